/*
 * Packs what panels and words cannot express. The dense form holds weights in f32, the general one
 * holds codes minus their zero points in 16 bits. Both are simple and large. Scales, minima and
 * zero points are beside them, in the dense form only for ptq_linear_unpack.
 */
#include "linear/pack.h"

/* The scales, minima and zero points of row n. */
static void pack_groups(const struct ptqi_packing *job, int64_t n)
{
    const struct ptq_linear *l = job->l;
    const struct ptq_qtensor *q = job->q;
    const int64_t nr = job->layout.rows, source = ptqi_source_row(job, n);
    for (int64_t g = 0; g < l->groups; g++) {
        const int64_t at = ptqi_group_place(l, nr, n, g), of = g / l->split;
        l->scales[at] = q->scales[source * q->groups + of];
        if (l->minima)
            l->minima[at] = q->minima[source * q->groups + of];
        if (l->zeros)
            l->zeros[at] = ptqi_qtensor_zero(q, source, of);
    }
}

void ptqi_pack_dense(const struct ptqi_packing *job, int64_t begin, int64_t end,
                     const uint8_t *codes)
{
    const struct ptq_qtensor *q = job->q;
    const int64_t nr = job->layout.rows;
    for (int64_t n = begin; n < end; n++, codes += job->ld) {
        const int64_t source = ptqi_source_row(job, n);
        float *out = job->l->dense + n / nr * q->k * nr + n % nr;
        for (int64_t i = 0; i < q->k; i++) {
            int64_t g;
            const int64_t c = ptqi_column_at(q, i, &g);
            out[c * nr] =
                ptqi_qtensor_weight(q, source, g, q->scales[source * q->groups + g], codes[c]);
        }
        pack_groups(job, n);
    }
}

/* The integer that represents a code of row n, group g, in the product. */
static int16_t integer_of(const struct ptq_qtensor *q, int64_t n, int64_t g, int32_t code)
{
    if (q->levels)
        return q->levels[code];
    return (int16_t)(q->minima ? code : code - ptqi_qtensor_zero(q, n, g));
}

void ptqi_pack_general(const struct ptqi_packing *job, int64_t begin, int64_t end,
                       const uint8_t *codes)
{
    const struct ptq_qtensor *q = job->q;
    const int64_t nr = job->layout.rows;
    for (int64_t n = begin; n < end; n++, codes += job->ld) {
        int16_t *out = job->l->general_codes + n / nr * q->k * nr + n % nr;
        for (int64_t i = 0; i < q->k; i++) {
            int64_t g;
            const int64_t c = ptqi_column_at(q, i, &g);
            out[i * nr] = integer_of(q, ptqi_source_row(job, n), g, codes[c]);
        }
        pack_groups(job, n);
    }
}
