/*
 * Elementwise and row operations, written once in plain C and compiled for each instruction set:
 * the including file defines NAME(function) and TARGET, the attribute that lets the compiler use
 * its vector instructions. Every operation here is one of IEEE 754 or one on integers, and sums are
 * kept in SUM_LANES partial sums that are added in a fixed tree, so that the results are the same
 * bits however the loops are vectorized.
 */
#include <math.h>
#include <string.h>
#include "base/exact.h"
#include "base/half.h"
#include "kernel/code.h"

#define SUM_LANES 16

/* Adds the lanes pairwise: 8 apart, 4, 2, 1. */
TARGET static inline float NAME(add_lanes)(float *lane)
{
    for (int width = SUM_LANES / 2; width >= 1; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}

/* round(x / scale), ties to even, within -127 .. 127; scale > 0. */
TARGET static inline int8_t NAME(quantize_one)(float x, float scale)
{
    float v = x / scale;
    v = v < -127.0f ? -127.0f : v;
    v = v > 127.0f ? 127.0f : v;
    return (int8_t)(int32_t)ptqi_round_even(v);
}

/* biased and add are constants. */
TARGET PTQI_INLINE void NAME(finish_as)(const int biased, const int add, const float *restrict sum,
                                        float scale, const float *restrict bias,
                                        float *restrict out, int64_t n)
{
    const float nan = ptqi_from_bits(0x7fc00000);
    for (int64_t i = 0; i < n; i++) {
        float y = biased ? fmaf(sum[i], scale, bias[i]) : sum[i] * scale;
        y = add ? out[i] + y : y;
        out[i] = y == y ? y : nan;
    }
}

/* y = sum * scale, or fma(sum, scale, bias); out = y, or with add out + y; every NaN becomes the
 * one quiet NaN 0x7fc00000. */
TARGET static void NAME(finish)(const float *sum, float scale, const float *bias, float *out,
                                int64_t n, int add)
{
    if (bias && add)
        NAME(finish_as)(1, 1, sum, scale, bias, out, n);
    else if (bias)
        NAME(finish_as)(1, 0, sum, scale, bias, out, n);
    else if (add)
        NAME(finish_as)(0, 1, sum, scale, bias, out, n);
    else
        NAME(finish_as)(0, 0, sum, scale, bias, out, n);
}

/* Rows of f32, f16 or bf16 to f32 and back. */
TARGET static void NAME(widen)(float *out, const void *in, int32_t dtype, int64_t n)
{
    ptqi_widen_row(out, in, dtype, n);
}

TARGET static void NAME(narrow)(void *out, int32_t dtype, const float *in, int64_t n)
{
    ptqi_narrow_row(out, dtype, in, n);
}

TARGET static void NAME(divide)(const float *x, const float *divisor, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] / divisor[i];
}

/* The sum of x[i]^2, element i in lane i mod SUM_LANES. */
TARGET static float NAME(sum_squares)(const float *x, int64_t n)
{
    float lane[SUM_LANES] = {0};
    int64_t i = 0;
    for (; i + SUM_LANES <= n; i += SUM_LANES)
        for (int j = 0; j < SUM_LANES; j++)
            lane[j] = fmaf(x[i + j], x[i + j], lane[j]);
    for (int j = 0; i < n; i++, j++)
        lane[j] = fmaf(x[i], x[i], lane[j]);
    return NAME(add_lanes)(lane);
}

TARGET static float NAME(maximum)(const float *x, int64_t n)
{
    float lane[SUM_LANES], result = x[0];
    int64_t i = 0;
    for (int j = 0; j < SUM_LANES; j++)
        lane[j] = x[0];
    for (; i + SUM_LANES <= n; i += SUM_LANES)
        for (int j = 0; j < SUM_LANES; j++)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (; i < n; i++)
        result = x[i] > result ? x[i] : result;
    for (int j = 0; j < SUM_LANES; j++)
        result = lane[j] > result ? lane[j] : result;
    return result;
}

/* The sum of exp(x[i] - shift). */
TARGET static float NAME(sum_exp)(const float *x, float shift, int64_t n)
{
    float lane[SUM_LANES] = {0};
    int64_t i = 0;
    for (; i + SUM_LANES <= n; i += SUM_LANES)
        for (int j = 0; j < SUM_LANES; j++)
            lane[j] += ptqi_expf(x[i + j] - shift);
    for (int j = 0; i < n; i++, j++)
        lane[j] += ptqi_expf(x[i] - shift);
    return NAME(add_lanes)(lane);
}

/* x = exp(x - max x) / sum of the same, n >= 1. */
TARGET static void NAME(softmax)(float *x, int64_t n)
{
    float lane[SUM_LANES] = {0}, shift = NAME(maximum)(x, n);
    int64_t i = 0;
    for (; i + SUM_LANES <= n; i += SUM_LANES)
        for (int j = 0; j < SUM_LANES; j++) {
            x[i + j] = ptqi_expf(x[i + j] - shift);
            lane[j] += x[i + j];
        }
    for (int j = 0; i < n; i++, j++) {
        x[i] = ptqi_expf(x[i] - shift);
        lane[j] += x[i];
    }
    float inverse = 1.0f / NAME(add_lanes)(lane);
    for (i = 0; i < n; i++)
        x[i] *= inverse;
}

/* out = up * gate / (1 + exp(-gate)) */
TARGET static void NAME(silu_multiply)(const float *gate, const float *up, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = gate[i] / (1.0f + ptqi_expf(-gate[i])) * up[i];
}

/* x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x / (1 + exp(-2 u)). */
TARGET static void NAME(gelu)(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float u = 0.79788456f * x[i] * (1.0f + 0.044715f * x[i] * x[i]);
        x[i] = x[i] / (1.0f + ptqi_expf(-2.0f * u));
    }
}

#include "kernel/rotate_template.h"

/* w -= factor * u, fused. */
TARGET static void NAME(subtract_scaled)(float *w, const float *u, float factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = fmaf(-factor, u[i], w[i]);
}

/*
 * For each candidate c, a scale and a zero point of one group: errors[c] = sum over the group's n
 * weights of |w' - w|^2.4, w' = scale (code - zero). The lanes are the candidates.
 * |d|^2.4 = d^2 |d|^0.4.
 */
TARGET static void NAME(shrink_errors)(const float *w, int64_t n, const float *scales,
                                       const float *zeros, float top, int candidates, float *errors)
{
    for (int c0 = 0; c0 < candidates; c0 += PTQI_SHRINK_UNIT) {
        float sum[PTQI_SHRINK_UNIT] = {0};
        for (int64_t i = 0; i < n; i++)
            for (int j = 0; j < PTQI_SHRINK_UNIT; j++) {
                float scale = scales[c0 + j], zero = zeros[c0 + j];
                float q = ptqi_code(w[i], scale, zero, top);
                float d = fabsf(scale * (q - zero) - w[i]);
                d = d < 1e-30f ? 1e-30f : d; /* log2 wants a normal number */
                sum[j] += d * d * ptqi_exp2f(0.4f * ptqi_log2f(d));
            }
        for (int j = 0; j < PTQI_SHRINK_UNIT; j++)
            errors[c0 + j] = sum[j];
    }
}

/* The same with errors[c] = sum of metric (w' - w)^2. */
TARGET static void NAME(metric_errors)(const float *w, const float *metric, int64_t n,
                                       const float *scales, const float *zeros, float top,
                                       int candidates, float *errors)
{
    for (int c0 = 0; c0 < candidates; c0 += PTQI_SHRINK_UNIT) {
        float sum[PTQI_SHRINK_UNIT] = {0};
        for (int64_t i = 0; i < n; i++)
            for (int j = 0; j < PTQI_SHRINK_UNIT; j++) {
                float scale = scales[c0 + j], zero = zeros[c0 + j];
                float d = scale * (ptqi_code(w[i], scale, zero, top) - zero) - w[i];
                sum[j] += metric[i] * d * d;
            }
        for (int j = 0; j < PTQI_SHRINK_UNIT; j++)
            errors[c0 + j] = sum[j];
    }
}

#define VECTOR_KERNELS                                                                             \
    .finish = NAME(finish), .widen = NAME(widen), .narrow = NAME(narrow), .divide = NAME(divide),  \
    .sum_squares = NAME(sum_squares), .softmax = NAME(softmax), .sum_exp = NAME(sum_exp),          \
    .silu_multiply = NAME(silu_multiply), .gelu = NAME(gelu), .rotate = NAME(rotate),              \
    .subtract_scaled = NAME(subtract_scaled), .shrink_errors = NAME(shrink_errors),                \
    .metric_errors = NAME(metric_errors)
