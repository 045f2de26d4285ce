/*
 * Adds X^T X of the caller's rows to a square matrix, some columns at a time, without allocating
 * memory.
 */
#ifndef PTQI_GRAM_H
#define PTQI_GRAM_H

#include "base/context.h"

/* Rows x [count][k] of a float dtype with row stride ld. */
struct ptqi_gram {
    int64_t k, count;
    const void *x;
    int32_t dtype;
    int64_t ld;
    const float *weights;  /* [count], or NULL: 1 */
    const void *reference; /* rows of the same dtype, or NULL: see below */
    int64_t ldreference;
};

#define PTQI_GRAM_FLOATS 16384       /* the smallest buffer: 64 KiB */
#define PTQI_GRAM_MOST_FLOATS 147456 /* more is not used */
#define PTQI_GRAM_FEW 32             /* rows for which a small buffer is as fast */

/*
 * Columns begin .. end of c [k][k] += sum of l_t x_t^T, where l_t is w_t x_t or, with a reference,
 * w_t (reference_t - x_t), rounded to f32 first. Each element is one chain of fused multiply-adds
 * in order of t, so neither the range of columns nor the size of the buffer changes a bit. Without
 * a reference only the upper triangle is computed; nothing is written below it. buffer is aligned
 * to 64 bytes.
 */
void ptqi_gram_columns(const ptq_context *context, const struct ptqi_gram *g, int64_t begin,
                       int64_t end, float *c, float *buffer, int64_t floats);

#endif
