/*
 * Elementwise and row operations, written once in plain C and compiled for each instruction set:
 * the including file defines NAME(function) and TARGET, the attribute that lets the compiler use
 * its vector instructions. Every operation here is an IEEE 754 or integer operation, so the results
 * are bit-identical however the loops are vectorized.
 */
#include <math.h>
#include <string.h>
#include "base/exact.h"
#include "base/half.h"
#include "kernel/code.h"

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

/* y = sum * scale, or fma(sum, scale, bias); out = y, or out + y with add. Every NaN becomes the
 * quiet NaN 0x7fc00000. */
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

/* Converts rows of f32, f16 or bf16 to f32 and back. */
TARGET static void NAME(widen)(float *out, const void *in, int32_t dtype, int64_t n)
{
    ptqi_widen_row(out, in, dtype, n);
}

TARGET static void NAME(narrow)(void *out, int32_t dtype, const float *in, int64_t n)
{
    ptqi_narrow_row(out, dtype, in, n);
}

/* up = silu(gate) * up, and the same with GELU. */
TARGET static void NAME(swiglu)(const float *gate, float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        up[i] = ptqi_silu(gate[i]) * up[i];
}

TARGET static void NAME(geglu)(const float *gate, float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        up[i] = ptqi_gelu(gate[i]) * up[i];
}

TARGET static void NAME(divide)(const float *x, const float *divisor, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] / divisor[i];
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
 * weights of |w' - w|^2.4, w' = scale (code - zero). The vector lanes are candidates. |d|^2.4 = d^2
 * |d|^0.4.
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
                d = d < 1e-30f ? 1e-30f : d; /* log2 needs a normal number */
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

/* (|q| + 126) / 254 by a multiplication, which is exact for |q| <= 32385. */
TARGET static void NAME(quantize16)(const float *x, float scale, int64_t n, int8_t *hi, int8_t *lo)
{
    for (int64_t i = 0; i < n; i++) {
        float q = x[i] / scale;
        q = q < -PTQI_MOST16 ? -PTQI_MOST16 : q;
        q = q > PTQI_MOST16 ? PTQI_MOST16 : q;
        const int32_t code = (int32_t)ptqi_round_even(q);
        const int32_t magnitude = code < 0 ? -code : code;
        const int32_t quotient = (magnitude + 126) * 33027 >> 23;
        const int32_t high = code < 0 ? -quotient : quotient;
        hi[i] = (int8_t)high;
        lo[i] = (int8_t)(code - 254 * high);
    }
}

TARGET static void NAME(join)(const float *hi, const float *lo, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = fmaf(254.0f, hi[i], lo[i]);
}

#define VECTOR_KERNELS                                                                             \
    .finish = NAME(finish), .swiglu = NAME(swiglu), .geglu = NAME(geglu), .widen = NAME(widen),    \
    .narrow = NAME(narrow), .divide = NAME(divide), .rotate = NAME(rotate),                        \
    .subtract_scaled = NAME(subtract_scaled), .shrink_errors = NAME(shrink_errors),                \
    .metric_errors = NAME(metric_errors), .quantize16 = NAME(quantize16), .join = NAME(join)
