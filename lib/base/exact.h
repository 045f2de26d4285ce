/*
 * Elementary functions that give the same bits on every system, unlike those of libm.
 *
 * The f32 functions are written without branches, using only IEEE operations and fused
 * multiply-adds, so that a compiler can vectorize loops over them with the same results. Their
 * error is about one ulp. The double functions are for scalars; their relative error is a few times
 * 1e-16. Files that include this header are compiled with -ffp-contract=off, so an fma occurs only
 * where it is written.
 */
#ifndef PTQI_EXACT_H
#define PTQI_EXACT_H

#include <math.h>
#include <stdint.h>
#include "half.h"

/* The nearest integer to x, |x| < 2^22, ties to even: adding 1.5 * 2^23 leaves no fraction bits. */
PTQI_INLINE float ptqi_round_even(float x)
{
    const float magic = 12582912.0f;
    return (x + magic) - magic;
}

/* 2^n for -126 <= n <= 127. */
PTQI_INLINE float ptqi_power_of_two(int32_t n)
{
    return ptqi_from_bits((uint32_t)(n + 127) << 23);
}

/* y * 2^n for -252 <= n <= 254, rounded once if the result is subnormal. */
PTQI_INLINE float ptqi_scale_by_power(float y, int32_t n)
{
    int32_t half = n >> 1;
    return y * ptqi_power_of_two(half) * ptqi_power_of_two(n - half);
}

/* e^x: x = n ln 2 + r with |r| <= ln 2 / 2 in two steps, a minimax polynomial (Cephes' expf). */
PTQI_INLINE float ptqi_expf(float x)
{
    float c = x > -104.0f ? x : -104.0f; /* also replaces NaN, which has no integer */
    c = c > 89.0f ? 89.0f : c;
    float n = ptqi_round_even(c * 1.44269504f);
    float r = fmaf(n, -0.693359375f, c);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p, r * r, r) + 1.0f;
    p = ptqi_scale_by_power(p, (int32_t)n);
    return x == x ? p : x;
}

/* x / (1 + e^-x) */
PTQI_INLINE float ptqi_silu(float x)
{
    return x / (1.0f + ptqi_expf(-x));
}

/* x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x / (1 + e^(-2 u)). */
PTQI_INLINE float ptqi_gelu(float x)
{
    const float u = 0.79788456f * x * (1.0f + 0.044715f * x * x);
    return x / (1.0f + ptqi_expf(-2.0f * u));
}

/* log2 x for finite, normal x > 0: x = 2^e m with m in [sqrt 1/2, sqrt 2), Cephes' log2f. */
PTQI_INLINE float ptqi_log2f(float x)
{
    uint32_t u = ptqi_bits(x) - 0x3f3504f3u;
    int32_t e = (int32_t)u >> 23;
    float m = ptqi_from_bits((u & 0x7fffff) + 0x3f3504f3u) - 1.0f, z = m * m;
    float p = 7.0376836292e-2f;
    p = fmaf(p, m, -1.1514610310e-1f);
    p = fmaf(p, m, 1.1676998740e-1f);
    p = fmaf(p, m, -1.2420140846e-1f);
    p = fmaf(p, m, 1.4249322787e-1f);
    p = fmaf(p, m, -1.6668057665e-1f);
    p = fmaf(p, m, 2.0000714765e-1f);
    p = fmaf(p, m, -2.4999993993e-1f);
    p = fmaf(p, m, 3.3333331174e-1f);
    p = p * m * z;
    p = fmaf(-0.5f, z, p);
    /* (m + p) log2 e with log2 e = 1 + 0.44269504, so that the large part is not rounded twice */
    float y = p * 0.44269504088896340736f;
    y = fmaf(m, 0.44269504088896340736f, y);
    y = y + p;
    y = y + m;
    return y + (float)e;
}

/* 2^x for x >= -150. */
PTQI_INLINE float ptqi_exp2f(float x)
{
    float c = x > -150.0f ? x : -150.0f;
    c = c > 129.0f ? 129.0f : c;
    float n = ptqi_round_even(c), r = c - n;
    float p = 1.535336188319500e-4f;
    p = fmaf(p, r, 1.339887440266574e-3f);
    p = fmaf(p, r, 9.618437357674640e-3f);
    p = fmaf(p, r, 5.550332471162809e-2f);
    p = fmaf(p, r, 2.402264791363012e-1f);
    p = fmaf(p, r, 6.931472028550421e-1f);
    p = fmaf(p, r, 1.0f);
    return ptqi_scale_by_power(p, (int32_t)n);
}

double ptqi_exp(double x);
double ptqi_exp2(double x);
/* Natural and binary logarithm; x <= 0 and NaN give -infinity or NaN as in C. */
double ptqi_log(double x);
double ptqi_log2(double x);
/* x^y for x >= 0; its relative error grows by 4e-16 for each 2 of |log2 x^y|. */
double ptqi_pow(double x, double y);
/* |x| up to about 1e6; NaN from 1e15 on. */
double ptqi_sin(double x);
double ptqi_cos(double x);
double ptqi_tanh(double x);
/* 1 / sqrt(x), rounded once for each of the two operations. */
PTQI_INLINE float ptqi_rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

#endif
