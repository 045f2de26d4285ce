/*
 * Packs rows into words of codes, for f32 activations.
 */
#include "linear/pack.h"

/* The codes of row n, in the original order of the columns. */
static void pack_codes(const struct ptqi_packing *job, int64_t n, const uint8_t *codes)
{
    const struct ptq_linear *l = job->l;
    const int nr = job->layout.rows, per_word = 32 / l->code_bits;
    uint32_t *out = l->words + n / nr * l->row_words * nr + n % nr;
    for (int64_t i = 0; i < l->k; i += per_word, out += nr) {
        uint32_t word = 0;
        for (int j = 0; j < per_word && i + j < l->k; j++)
            word |= (uint32_t)codes[i + j] << (j * l->code_bits);
        *out = word;
    }
}

void ptqi_pack_words(const struct ptqi_packing *job, int64_t begin, int64_t end,
                     const uint8_t *codes)
{
    const struct ptq_linear *l = job->l;
    const struct ptq_qtensor *q = job->q;
    const int nr = job->layout.rows;
    for (int64_t n = begin; n < end; n++) {
        const int64_t source = ptqi_source_row(job, n);
        pack_codes(job, n, codes + (n - begin) * job->ld);
        for (int64_t g = 0; g < l->groups; g++) {
            const int64_t at = (n / nr * l->groups + g) * nr + n % nr;
            l->scales[at] = q->scales[source * q->groups + g];
            if (l->zeros)
                l->zeros[at] = ptqi_qtensor_zero(q, source, g);
        }
    }
}
