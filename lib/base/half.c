/*
 * Rows of f16 and bf16, to and from f32.
 */
#include "half.h"

int ptqi_is_float(int32_t dtype)
{
    return dtype == PTQ_F32 || dtype == PTQ_F16 || dtype == PTQ_BF16;
}

void ptqi_to_f32(float *out, const void *in, int32_t dtype, int64_t count)
{
    const uint16_t *half = in;
    if (dtype == PTQ_F32)
        memcpy(out, in, (size_t)count * 4);
    else if (dtype == PTQ_F16)
        for (int64_t i = 0; i < count; i++)
            out[i] = ptqi_f16_to_f32(half[i]);
    else
        for (int64_t i = 0; i < count; i++)
            out[i] = ptqi_bf16_to_f32(half[i]);
}

void ptqi_from_f32(void *out, int32_t dtype, const float *in, int64_t count)
{
    uint16_t *half = out;
    if (dtype == PTQ_F32)
        memcpy(out, in, (size_t)count * 4);
    else if (dtype == PTQ_F16)
        for (int64_t i = 0; i < count; i++)
            half[i] = ptqi_f32_to_f16(in[i]);
    else
        for (int64_t i = 0; i < count; i++)
            half[i] = ptqi_f32_to_bf16(in[i]);
}

float ptqi_round_to(float x, int32_t dtype)
{
    if (dtype == PTQ_F16)
        return ptqi_f16_to_f32(ptqi_f32_to_f16(x));
    if (dtype == PTQ_BF16)
        return ptqi_bf16_to_f32(ptqi_f32_to_bf16(x));
    return x;
}
