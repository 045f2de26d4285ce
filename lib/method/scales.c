#include "scales.h"
#include <float.h>
#include <math.h>
#include "base/half.h"
#include "ptq/tensor.h"

/* The scales of each dtype: the smallest, the smallest of full precision, the smallest of which 7
 * significant bits are kept, and the largest. */
static const struct {
    float smallest, normal, seven_bits, largest;
} limits[] = {
    [PTQ_DTYPE_F32] = {FLT_MIN, FLT_MIN, FLT_MIN, FLT_MAX},
    [PTQ_DTYPE_F16] = {0x1p-24f, 0x1p-14f, 0x1p-18f, 65504.0f},
    [PTQ_DTYPE_BF16] = {FLT_MIN, FLT_MIN, FLT_MIN, 0x1.fep127f},
};

int32_t ptqi_stored_dtype(const struct ptq_config *config)
{
    return config->scales == PTQ_SCALES_SUPER ? PTQ_DTYPE_F32 : config->scale_dtype;
}

float ptqi_smallest_row_scale(int32_t dtype)
{
    return limits[dtype].seven_bits;
}

float ptqi_storable_scale(float scale, int32_t dtype)
{
    float rounded = fabsf(ptqi_round_to(scale, dtype));
    rounded = rounded < limits[dtype].smallest ? limits[dtype].smallest : rounded;
    rounded = rounded > limits[dtype].largest ? limits[dtype].largest : rounded;
    return scale < 0 ? -rounded : rounded;
}

int ptqi_scale_is_clamped(float scale, int32_t dtype, int is_row_scale)
{
    const float smallest = is_row_scale ? limits[dtype].seven_bits : limits[dtype].normal;
    return fabsf(scale) <= smallest || fabsf(scale) >= limits[dtype].largest;
}

float ptqi_storable_minimum(float minimum, int32_t dtype)
{
    const float rounded = ptqi_round_to(minimum, dtype), most = limits[dtype].largest;
    return rounded < -most ? -most : rounded > most ? most : rounded;
}

/* The largest magnitude of count values, if there are any, and of one more. */
static float magnitude(const float *values, int64_t count, float max)
{
    for (int64_t i = 0; values && i < count; i++)
        max = fabsf(values[i]) > max ? fabsf(values[i]) : max;
    return max;
}

ptq_status ptqi_check_scales(const struct ptq_config *config, const float *scales,
                             const float *minima, int64_t count)
{
    const int32_t dtype = config->scale_dtype;
    const float max = magnitude(minima, count, magnitude(scales, count, 0));
    if (max > limits[dtype].normal && max < limits[dtype].largest)
        return PTQ_OK;
    return ptqi_fail(config->context, PTQ_ERROR_BOUNDS,
                     "weights too %s for scales of %s: the largest scale is %g%s",
                     max < 1 ? "small" : "large", ptq_dtype_name(dtype), (double)max,
                     dtype == PTQ_DTYPE_F32 ? "" : "; use scale-dtype f32");
}

ptq_status ptqi_check_super(const struct ptq_config *config, const float *scales,
                            const float *minima, int64_t count)
{
    const float scale = magnitude(scales, count, 0), max = magnitude(minima, count, scale);
    if (scale > limits[PTQ_DTYPE_F16].smallest && max < limits[PTQ_DTYPE_F16].largest)
        return PTQ_OK;
    return ptqi_fail(config->context, PTQ_ERROR_BOUNDS,
                     "weights too %s for super scales, which are f16: the largest is %g",
                     max < 1 ? "small" : "large", (double)max);
}
