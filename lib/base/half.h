/*
 * f16 and bf16: conversion to and from f32, round to nearest even, the same bits everywhere.
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

PTQI_INLINE uint16_t ptqi_f32_to_bf16(float x)
{
    uint32_t u = ptqi_bits(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); /* a NaN stays one, quiet */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

PTQI_INLINE float ptqi_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) /* infinity or NaN (made quiet) */
        return ptqi_from_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13 |
                              (rest > 0x7c00 ? 0x400000 : 0));
    if (rest < 0x400) { /* zero or subnormal: rest * 2^-24 is exact */
        float value = (float)rest * 0x1p-24f;
        return ptqi_from_bits(sign | ptqi_bits(value));
    }
    return ptqi_from_bits(sign | ((rest << 13) + 0x38000000));
}

PTQI_INLINE uint16_t ptqi_f32_to_f16(float x)
{
    uint32_t u = ptqi_bits(x), sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x3ff));
    if (u >= 0x477ff000) /* from 65520 on */
        return (uint16_t)(sign | 0x7c00);
    if (u < 0x38800000) { /* below 2^-14: adding 0.5 leaves the subnormal in the last bits */
        uint32_t v = ptqi_bits(ptqi_from_bits(u) + 0.5f);
        return (uint16_t)(sign | (v - 0x3f000000));
    }
    return (uint16_t)(sign | ((u - 0x38000000 + 0xfff + (u >> 13 & 1)) >> 13));
}

/* Converts count elements of dtype f32, f16 or bf16 to f32, and back. */
void ptqi_to_f32(float *out, const void *in, int32_t dtype, int64_t count);
void ptqi_from_f32(void *out, int32_t dtype, const float *in, int64_t count);
/* x rounded to a dtype and back. */
float ptqi_round_to(float x, int32_t dtype);
/* 1 for f32, f16 and bf16. */
int ptqi_is_float(int32_t dtype);

#endif
