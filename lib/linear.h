/* A packed linear layer from inside. */
#ifndef PTQI_LINEAR_H
#define PTQI_LINEAR_H

#include "base/context.h"
#include "kernel/kernel.h"
#include "ptq/linear.h"

struct ptq_linear {
    ptq_context *context;
    const struct ptqi_kernels *kernels; /* packed for these, and run by these */
    int64_t n, k;
    int32_t activations;
    float activation_scale; /* static */
    int64_t group_size, groups;
    int32_t code_bits; /* as held: 4 or 8 */

    /*
     * int8 activations: panels of int_nr rows, in the layout of struct ptqi_panel, columns in the
     * order of quantization; scales [panels][groups][nr], zeros the same or NULL.
     * f32 activations: rows in original order of columns, two 4-bit codes a byte; scales and zeros
     * [n][groups]; group_of [k].
     */
    uint8_t *codes;
    float *scales;
    int32_t *zeros;
    int32_t zero; /* where zeros is NULL */
    int32_t *group_of;
    int64_t panels, panel_bytes, row_bytes;
    int64_t bytes;

    float *bias; /* [n], or NULL */

    /* The recipe of the activations. */
    float *input_scale; /* [k], or NULL */
    int32_t rotation;   /* columns of a block, or 0 */
    int32_t *order;     /* [k], or NULL; only with int8 activations */
    uint64_t recipe;
};

/* Columns with int8 activations, filled up to whole blocks. */
static inline int64_t ptqi_padded_k(const struct ptq_linear *linear)
{
    return (linear->k + PTQI_BLOCK - 1) / PTQI_BLOCK * PTQI_BLOCK;
}

/*
 * Prepared activations: this header, then at the given offsets
 * scales f32 [rows], NaN for a row that is not finite;
 * int8: sums i32 [rows][groups], x i8 [rows][padded k];   f32: x f32 [rows][k];
 * and room for the rows being prepared.
 */
struct ptqi_prepared {
    uint64_t magic, recipe;
    int64_t rows;
    int64_t scales, sums, x, scratch, bytes; /* offsets and size, in bytes */
};

/* The layout for rows rows; bytes is 0 where it cannot be. */
struct ptqi_prepared ptqi_prepared_layout(const struct ptq_linear *linear, int64_t rows);

#define PTQI_PREPARED_MAGIC 0x3130707270717470u /* "ptqprp01" */

/* linear_pack.c */
ptq_status ptqi_linear_pack(struct ptq_linear *linear, const struct ptq_qtensor *q);

#endif
