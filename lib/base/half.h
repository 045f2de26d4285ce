/*
 * Conversion between f32 and f16 or bf16: round to nearest even, the same bits everywhere.
 */
#ifndef PTQI_HALF_H
#define PTQI_HALF_H

#include <stdint.h>
#include <string.h>
#include "compiler.h"
#include "ptq/tensor.h"

PTQI_INLINE uint32_t ptqi_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

PTQI_INLINE float ptqi_from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, 4);
    return x;
}

PTQI_INLINE float ptqi_bf16_to_f32(uint16_t h)
{
    return ptqi_from_bits((uint32_t)h << 16);
}

/* These select between results instead of branching, so that compilers can vectorize loops over
 * them. */

PTQI_INLINE uint16_t ptqi_f32_to_bf16(float x)
{
    const uint32_t u = ptqi_bits(x), quiet = u >> 16 | 0x40; /* keeps a NaN a NaN */
    const uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (uint16_t)((int32_t)(u & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

PTQI_INLINE float ptqi_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const int32_t rest = h & 0x7fff, wide = rest << 13;
    const float small = (float)rest * 0x1p-24f; /* exact for zero and subnormals */
    int32_t u = rest < 0x400 ? (int32_t)ptqi_bits(small) : wide + 0x38000000;
    u = rest >= 0x7c00 ? wide | 0x7f800000 : u;
    u = rest > 0x7c00 ? u | 0x400000 : u; /* quiet NaN */
    return ptqi_from_bits(sign | (uint32_t)u);
}

PTQI_INLINE uint16_t ptqi_f32_to_f16(float x)
{
    const uint32_t sign = ptqi_bits(x) >> 16 & 0x8000;
    const int32_t u = (int32_t)(ptqi_bits(x) & 0x7fffffff);
    const float magnitude = ptqi_from_bits((uint32_t)u);
    /* Below 2^-14, adding 0.5 leaves the subnormal in the lowest bits. */
    const int32_t small = (int32_t)ptqi_bits(magnitude + 0.5f) - 0x3f000000;
    int32_t h = (u - 0x38000000 + 0xfff + (u >> 13 & 1)) >> 13;
    h = u < 0x38800000 ? small : h;
    h = u >= 0x477ff000 ? 0x7c00 : h; /* from 65520 on */
    h = u > 0x7f800000 ? 0x7e00 | (u >> 13 & 0x3ff) : h;
    return (uint16_t)(sign | (uint32_t)h);
}

/* Converts a row of count elements of dtype f32, f16 or bf16 to f32, and back. */

PTQI_INLINE void ptqi_widen_row(float *restrict out, const void *restrict in, int32_t dtype,
                                int64_t count)
{
    const uint16_t *half = in;
    if (dtype == PTQ_DTYPE_F32)
        memcpy(out, in, (size_t)count * 4);
    else if (dtype == PTQ_DTYPE_F16)
        for (int64_t i = 0; i < count; i++)
            out[i] = ptqi_f16_to_f32(half[i]);
    else
        for (int64_t i = 0; i < count; i++)
            out[i] = ptqi_bf16_to_f32(half[i]);
}

PTQI_INLINE void ptqi_narrow_row(void *restrict out, int32_t dtype, const float *restrict in,
                                 int64_t count)
{
    uint16_t *half = out;
    if (dtype == PTQ_DTYPE_F32)
        memcpy(out, in, (size_t)count * 4);
    else if (dtype == PTQ_DTYPE_F16)
        for (int64_t i = 0; i < count; i++)
            half[i] = ptqi_f32_to_f16(in[i]);
    else
        for (int64_t i = 0; i < count; i++)
            half[i] = ptqi_f32_to_bf16(in[i]);
}

/* The same for callers without a context; kernels have a version for their instruction set. */
void ptqi_to_f32(float *out, const void *in, int32_t dtype, int64_t count);
void ptqi_from_f32(void *out, int32_t dtype, const float *in, int64_t count);
/* x, rounded to a dtype. */
float ptqi_round_to(float x, int32_t dtype);
/* 1 for f32, f16 and bf16. */
int ptqi_is_float(int32_t dtype);

#endif
