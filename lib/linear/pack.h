/* Packing rows of a quantized matrix, in each form that a linear may have. */
#ifndef PTQI_PACK_H
#define PTQI_PACK_H

#include "linear/linear.h"
#include "qtensor.h"

/* Rows `from` .. of q become rows first .. first + count - 1 of l. */
struct ptqi_packing {
    struct ptq_linear *l;
    const struct ptq_qtensor *q;
    struct ptqi_packed_layout layout;
    int64_t from, first, count;
    int64_t parts;
    int64_t ld;      /* of codes */
    uint8_t *buffer; /* [parts][layout.rows][ld] if the codes of q are borrowed, else NULL */
};

/* Packs rows begin .. end - 1 of l, which are in one panel, given their codes [end - begin][ld]. */
typedef void ptqi_pack_function(const struct ptqi_packing *job, int64_t begin, int64_t end,
                                const uint8_t *codes);

/* pack_panels.c, pack_words.c, forms.c */
ptqi_pack_function ptqi_pack_panels, ptqi_pack_words, ptqi_pack_dense, ptqi_pack_general;

/* The row of q that becomes row n of the linear. */
static inline int64_t ptqi_source_row(const struct ptqi_packing *job, int64_t n)
{
    return n - job->first + job->from;
}

/* Column number i in the order of quantization, and its group. */
static inline int64_t ptqi_column_at(const struct ptq_qtensor *q, int64_t i, int64_t *g)
{
    const int64_t c = q->order ? q->order[i] : i;
    *g = q->group_of ? q->group_of[c] : i / q->group_size;
    return c;
}

#endif
