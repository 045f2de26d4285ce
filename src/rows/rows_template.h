/*
 * Row operations of a forward pass, written once in plain C and compiled for each instruction set.
 * The including file defines NAME(function) and TARGET, the attribute that lets the compiler use
 * its vector instructions. Every operation is an IEEE 754 or integer operation, and sums are kept
 * in SUM_LANES partial sums that are added in a fixed tree, so the results are bit-identical
 * however the loops are vectorized.
 */
#include <math.h>
#include "base/exact.h"
#include "rows/rows.h"

#define SUM_LANES 16

/* Adds the lanes pairwise: 8 apart, 4, 2, 1. */
TARGET static inline float NAME(add_lanes)(float *lane)
{
    for (int width = SUM_LANES / 2; width >= 1; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
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
        out[i] = ptqi_silu(gate[i]) * up[i];
}

/* x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x / (1 + exp(-2 u)). */
TARGET static void NAME(gelu)(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = ptqi_gelu(x[i]);
}

#define ROW_FUNCTIONS                                                                              \
    {                                                                                              \
        .sum_squares = NAME(sum_squares), .softmax = NAME(softmax), .sum_exp = NAME(sum_exp),      \
        .silu_multiply = NAME(silu_multiply), .gelu = NAME(gelu)                                   \
    }
