/*
 * Rows of f16 and bf16, to and from f32.
 */
#include "half.h"

int ptqi_is_float(int32_t dtype)
{
    return dtype == PTQ_DTYPE_F32 || dtype == PTQ_DTYPE_F16 || dtype == PTQ_DTYPE_BF16;
}

void ptqi_to_f32(float *out, const void *in, int32_t dtype, int64_t count)
{
    ptqi_widen_row(out, in, dtype, count);
}

void ptqi_from_f32(void *out, int32_t dtype, const float *in, int64_t count)
{
    ptqi_narrow_row(out, dtype, in, count);
}

float ptqi_round_to(float x, int32_t dtype)
{
    if (dtype == PTQ_DTYPE_F16)
        return ptqi_f16_to_f32(ptqi_f32_to_f16(x));
    if (dtype == PTQ_DTYPE_BF16)
        return ptqi_bf16_to_f32(ptqi_f32_to_bf16(x));
    return x;
}
