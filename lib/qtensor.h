/* Quantized matrix internals. */
#ifndef PTQI_QTENSOR_H
#define PTQI_QTENSOR_H

#include <math.h>
#include "activations.h"
#include "base/context.h"
#include "base/exact.h"
#include "ptq/qtensor.h"

#define PTQI_MAX_COLUMNS 131072
#define PTQI_MAX_MATRICES 65536 /* per call */
#define PTQI_SUPER_COLUMNS 256  /* that share super scales */

struct ptq_qtensor {
    ptq_context *context;
    int64_t n, k;
    int32_t bits;
    int64_t group;      /* as requested: 0 means one per row */
    int64_t group_size; /* columns of a full group, 1 .. k */
    int64_t groups;
    uint8_t *codes; /* [n][k], original order; NULL until set, or while codes are borrowed */
    struct ptqi_encoded *borrowed; /* codes in the caller's memory; encoding.h */
    float *scales;                 /* [n][groups]; NULL until set */
    int32_t scale_dtype;           /* that scales were rounded to or read in; 0: unknown */
    float *minima;                 /* [n][groups]: w = scale code + minimum; NULL: zero points */
    int8_t *levels;                /* [2^bits]: w = scale level[code]; NULL: zero points */
    int32_t *group_of;             /* [k]: uneven groups, sorted by order; NULL: groups are even */
    float *row_scales;             /* [n]: scales are 1 .. 15 times this; NULL: plain scales */
    uint8_t *zeros;                /* [n][groups]; NULL: 2^(bits-1) everywhere */
    /* [n][k / 256]: what the scales, and minima, of 256 columns are multiples of; or NULL */
    float *super_scales, *super_minima;
    int32_t *order;     /* [k]; NULL: 0 .. k-1 */
    float *input_scale; /* [k]; NULL: 1 */
    int32_t rotation;   /* columns per block; 0: none */
    int32_t equalize;   /* PTQ_EQUALIZE_... that computed the input scale, even if folded */
    int32_t activations;
    float activation_scale;  /* 0: none */
    int32_t activation_zero; /* of UINT8_STATIC */
    double weight_error, output_error, damping;
    int64_t adjusted_groups;          /* groups of PTQ_GRID_RANGE that differ from AWQ's */
    int64_t clamped_groups;           /* groups whose scale does not fit its dtype */
    double plain_error, chosen_error; /* of the plain matrix and of auto's choice; else NaN */
    double weight_energy,
        output_energy; /* |W|^2 and |X W^T|^2, if errors were measured; else NaN */
};

static inline int32_t ptqi_qtensor_zero(const struct ptq_qtensor *q, int64_t n, int64_t g)
{
    return q->zeros ? q->zeros[n * q->groups + g] : 1 << (q->bits - 1);
}

/* Whether groups of this size have a multiple of 32 columns, or are whole rows of k. */
static inline int ptqi_is_plain_group(int64_t group_size, int64_t k)
{
    return group_size % 32 == 0 || group_size == k;
}

/* Whether groups are plain and even, and there are neither minima nor levels. */
static inline int ptqi_qtensor_is_plain(const struct ptq_qtensor *q)
{
    return !q->minima && !q->levels && !q->group_of && ptqi_is_plain_group(q->group_size, q->k);
}

/* The weight of a code in row n, group g, rounded once. */
static inline float ptqi_qtensor_weight(const struct ptq_qtensor *q, int64_t n, int64_t g,
                                        float scale, int32_t code)
{
    if (q->minima)
        return fmaf(scale, (float)code, q->minima[n * q->groups + g]);
    return scale * (float)(q->levels ? q->levels[code] : code - ptqi_qtensor_zero(q, n, g));
}

/* Columns of group g; the last group may be shorter. */
static inline int64_t ptqi_group_columns(const struct ptq_qtensor *q, int64_t g)
{
    const int64_t left = q->k - g * q->group_size;
    return left < q->group_size ? left : q->group_size;
}

/* The integer in 1 .. 15 nearest to scale / row_scale whose product with (code - zero) fits in 8
 * bits for every code. */
static inline float ptqi_round_level(float scale, float zero, int32_t bits, float row_scale)
{
    const float top = (float)((1 << bits) - 1), far = zero > top - zero ? zero : top - zero;
    float most = floorf(127.0f / far), level = ptqi_round_even(scale / row_scale);
    most = most < 15.0f ? most : 15.0f;
    level = level > 1.0f ? level : 1.0f;
    return level < most ? level : most;
}

/* PTQ_ERROR_ARGUMENT unless count, an argument of function, is a valid number of matrices. */
ptq_status ptqi_check_count(ptq_context *context, const char *function, int64_t count);
/* The number of columns over which a sum of (code - zero) q_x is certain to fit in 32 bits, given
 * |code - zero| <= far and the scheme of the activations. */
static inline int64_t ptqi_most_columns(int32_t activations, int32_t far)
{
    return INT32_MAX / (ptqi_activations_most(activations) * far);
}

/* PTQ_ERROR_UNSUPPORTED if a group has more columns than that. */
ptq_status ptqi_check_sums(ptq_context *context, int32_t activations, int32_t far, int64_t columns);
/* qtensor_columns.c: of everything that all rows share. */
uint64_t ptqi_qtensor_columns_hash(const struct ptq_qtensor *q);
/* When scales or minima change. */
static inline void ptqi_qtensor_forget_super(struct ptq_qtensor *q)
{
    ptqi_free(q->context, q->super_scales);
    ptqi_free(q->context, q->super_minima);
    q->super_scales = q->super_minima = NULL;
}

/* PTQ_ERROR_MISSING unless codes and scales are set. */
ptq_status ptqi_qtensor_check(const struct ptq_qtensor *q);
/* out [k] = row n, dequantized in the basis of the codes. */
void ptqi_qtensor_dequantize_row(const struct ptq_qtensor *q, int64_t n, float *out);

/* Codes of rows from first on. If they are borrowed, they are decoded to buffer,
 * with row stride ld; else the stride is k. */
const uint8_t *ptqi_qtensor_rows_of_codes(const struct ptq_qtensor *q, int64_t first, int64_t rows,
                                          uint8_t *buffer, int64_t ld);
/* Codes first .. first + count - 1 of row n. */
void ptqi_qtensor_copy_codes(const struct ptq_qtensor *q, int64_t n, int64_t first, int64_t count,
                             uint8_t *out);

#endif
