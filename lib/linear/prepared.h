/* Prepared activations: what stands in the memory that a call prepares x in. */
#ifndef PTQI_PREPARED_H
#define PTQI_PREPARED_H

#include "linear/linear.h"

#define PTQI_PREPARED_MAGIC 0x3230707270717470u /* "ptqprp02" */

/*
 * This header, then at the given offsets
 *
 * scales f32 [places], NaN for a row that is not finite;
 * 8 bits: sums i32 [places][sums stride], of the groups, and the last of the whole row, and behind
 * them the starts of its blocks where kernels have such, for tiles; x i8: for streams
 * [places][x stride]; for tiles slice after slice, each the columns of one chunk,
 * [places][columns], so that a chunk reads memory from front to back; both in pairs of rows where
 * the kernels' x_rows  is 2; of the general form, sums [places][groups] and x i16 [places][k], less
 * the zero point if there is one, rows an x stride apart; f32: x f32 [places][k].
 */
struct ptqi_prepared {
    uint64_t magic, recipe;
    int64_t rows;            /* of x */
    uint64_t lists;          /* a hash of how many rows each list has; 0: there are none */
    int64_t places;          /* rows prepared, with those that fill up pairs */
    int64_t sliced;          /* x is for tiles */
    int64_t scales, sums, x; /* offsets in bytes */
    int64_t bytes;
};

/* Bytes from one quantized row of x to the next: an odd number of cache lines, since at a multiple
 * of 4096 bytes all rows would fall into the same few lines of a cache. */
static inline int64_t ptqi_x_stride(const struct ptq_linear *linear)
{
    if (linear->form == PTQI_FORM_GENERAL)
        return ptqi_align(linear->k * (int64_t)sizeof(int16_t));
    return ((ptqi_padded_k(linear) + 63) / 64 | 1) * 64;
}

/* From one row's sums to the next. */
static inline int64_t ptqi_sums_stride(const struct ptq_linear *linear)
{
    if (linear->form == PTQI_FORM_GENERAL)
        return linear->groups;
    return linear->groups + 1 + (linear->kernels->starts ? linear->panel.blocks : 0);
}

/* Rows with the last pair made whole. */
static inline int64_t ptqi_whole_rows(const struct ptq_linear *linear, int64_t rows)
{
    return (rows + linear->kernels->x_rows - 1) / linear->kernels->x_rows * linear->kernels->x_rows;
}

/* The layout for so many places, of results that have at most longest rows each; without rows and
 * lists. PTQ_ERROR_SHAPE where no memory holds them. */
ptq_status ptqi_lay_out(const char *function, const struct ptq_linear *linear, int64_t places,
                        int64_t longest, struct ptqi_prepared *layout);

#endif
