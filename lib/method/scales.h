/* What scales can be stored. */
#ifndef PTQI_SCALES_H
#define PTQI_SCALES_H

#include "config.h"

/* The dtype of a config's scales: multiples of super scales are exact in f32 only. */
int32_t ptqi_stored_dtype(const struct ptq_config *config);
/* A scale as it will be stored: never zero and never infinite, and with its sign. */
float ptqi_storable_scale(float scale, int32_t dtype);
/* Whether a scale, or a row scale, was raised or lowered to what its dtype holds, or kept little of
 * its precision there. */
int ptqi_scale_is_clamped(float scale, int32_t dtype, int is_row_scale);
/* A minimum as it will be stored: never infinite. */
float ptqi_storable_minimum(float minimum, int32_t dtype);
/* PTQ_ERROR_BOUNDS if the scales of a matrix that is not all 0, or its minima (or NULL), are beyond
 * their dtype: clipped, or all so small that little of their precision is left. */
ptq_status ptqi_check_scales(const struct ptq_config *config, const float *scales,
                             const float *minima, int64_t count);
/* The same for super scales and super minima (or NULL), which are f16: clipped, or all as small as
 * they can be. */
ptq_status ptqi_check_super(const struct ptq_config *config, const float *scales,
                            const float *minima, int64_t count);
/* The smallest row scale, of which 7 significant bits are kept. */
float ptqi_smallest_row_scale(int32_t dtype);

#endif
