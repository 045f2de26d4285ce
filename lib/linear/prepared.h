/* Prepared activations: the contents of the memory in which a call prepares x. */
#ifndef PTQI_PREPARED_H
#define PTQI_PREPARED_H

#include "linear/linear.h"

#define PTQI_PREPARED_MAGIC 0x3230707270717470u /* "ptqprp02" */

/*
 * This header is followed, at the given offsets, by
 *
 * scales f32 [places], NaN for a row that is not finite;
 * 8-bit activations: sums i32 [places][sums stride]: one per group, then the sum of the whole row,
 * then, for tiles of kernels that use them, the starts of its blocks; then, by group, the scales of
 * its groups, f32;
 * x i8, for streams [places][x stride]; for tiles one slice per chunk, [places][columns], so a
 * chunk reads memory from front to back. Rows are in pairs if the kernels' x_rows is 2; the general
 * form: sums [places][groups], by group with scales after them, and x i16 [places][k] minus the
 * zero point, if any, with a row stride of x stride; f32 activations: x f32 [places][k].
 */
struct ptqi_prepared {
    uint64_t magic, recipe;
    int64_t rows;            /* of x */
    uint64_t lists;          /* a hash of the number of rows of each list; 0: no lists */
    int64_t places;          /* prepared rows, or limbs, including those that complete pairs */
    int64_t sliced;          /* x is for tiles */
    int64_t scales, sums, x; /* offsets in bytes */
    int64_t bytes;
};

/* Row stride of quantized x in bytes: an odd number of cache lines. If it were a multiple of 4096
 * bytes, all rows would share a few sets of the cache. */
static inline int64_t ptqi_x_stride(const struct ptq_linear *linear)
{
    if (linear->form == PTQI_FORM_GENERAL)
        return ptqi_align(linear->k * (int64_t)sizeof(int16_t));
    return ((ptqi_padded_k(linear) + 63) / 64 | 1) * 64;
}

/* Offset from a row's sums to the scales of its groups, which come last, if it has any. */
static inline int64_t ptqi_scales_offset(const struct ptq_linear *linear)
{
    if (linear->form == PTQI_FORM_GENERAL)
        return linear->groups;
    return linear->groups + 1 + (linear->kernels->starts ? linear->panel.blocks : 0);
}

/* Offset from a row's sums to the scales of its groups; 0 if it has one scale. */
static inline int64_t ptqi_group_scales(const struct ptq_linear *linear)
{
    return linear->by_group ? ptqi_scales_offset(linear) : 0;
}

/* The scales of a row's groups, given its sums; NULL if it has one scale. */
static inline const float *ptqi_scales_after(const struct ptq_linear *linear, const int32_t *sums)
{
    return linear->by_group ? (const float *)(const void *)(sums + ptqi_scales_offset(linear))
                            : NULL;
}

/* Row stride of the sums. */
static inline int64_t ptqi_sums_stride(const struct ptq_linear *linear)
{
    return ptqi_scales_offset(linear) + (linear->by_group ? linear->groups : 0);
}

/* The number of places with the last pair completed: pairs of rows, or of the limbs of a row. */
static inline int64_t ptqi_whole_places(const struct ptq_linear *linear, int64_t places)
{
    const int unit = linear->kernels->x_rows == 2 ? 2 : ptqi_limbs(linear);
    return (places + unit - 1) / unit * unit;
}

/* The number of places for rows of x. */
static inline int64_t ptqi_places(const struct ptq_linear *linear, int64_t rows)
{
    return ptqi_whole_places(linear, rows * ptqi_limbs(linear));
}

/* The layout for this many places, if no result has more than longest rows; it does not set rows
 * and lists. PTQ_ERROR_SHAPE if they exceed the address space. */
ptq_status ptqi_lay_out(const char *function, const struct ptq_linear *linear, int64_t places,
                        int64_t longest, struct ptqi_prepared *layout);

#endif
