/*
 * Packs what panels and words cannot express. The dense form holds weights in f32, the general one
 * holds codes minus their zero points in 16 bits. Both are simple and large.
 */
#include "base/team.h"
#include "linear/linear.h"
#include "qtensor.h"

struct packing {
    struct ptq_linear *l;
    const struct ptq_qtensor *q;
    const int32_t *group_of; /* [k] */
    int64_t parts;
};

static void pack_dense(void *argument, int64_t part)
{
    const struct packing *job = argument;
    const struct ptq_qtensor *q = job->q;
    const int64_t nr = job->l->kernels->f32_nr;
    int64_t begin, end;
    ptqi_split(q->n, nr, part, job->parts, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        float *out = job->l->dense + n / nr * q->k * nr + n % nr;
        for (int64_t c = 0; c < q->k; c++) {
            const int32_t g = job->group_of[c];
            out[c * nr] =
                ptqi_qtensor_weight(q, n, g, q->scales[n * q->groups + g], q->codes[n * q->k + c]);
        }
    }
}

/* The integer that represents a code of row n, group g, in the product. */
static int16_t integer_of(const struct ptq_qtensor *q, int64_t n, int64_t g, int32_t code)
{
    if (q->levels)
        return q->levels[code];
    return (int16_t)(q->minima ? code : code - ptqi_qtensor_zero(q, n, g));
}

static void pack_general(void *argument, int64_t part)
{
    const struct packing *job = argument;
    const struct ptq_qtensor *q = job->q;
    const struct ptq_linear *l = job->l;
    const int64_t nr = PTQI_GENERAL_NR;
    int64_t begin, end;
    ptqi_split(q->n, nr, part, job->parts, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        int16_t *out = l->general_codes + n / nr * q->k * nr + n % nr;
        for (int64_t i = 0; i < q->k; i++) {
            const int64_t c = q->order ? q->order[i] : i;
            out[i * nr] = integer_of(q, n, job->group_of[c], q->codes[n * q->k + c]);
        }
        for (int64_t g = 0; g < q->groups; g++) {
            const int64_t at = (n / nr * q->groups + g) * nr + n % nr;
            l->scales[at] = q->scales[n * q->groups + g];
            if (l->minima)
                l->minima[at] = q->minima[n * q->groups + g];
        }
    }
}

/* Computes the end of each group, in quantization order. */
static void find_ends(const struct packing *job)
{
    const struct ptq_linear *l = job->l;
    for (int64_t g = 0; g < l->groups; g++)
        l->group_end[g] = 0;
    for (int64_t c = 0; c < l->k; c++)
        l->group_end[job->group_of[c]]++;
    for (int64_t g = 1; g < l->groups; g++)
        l->group_end[g] += l->group_end[g - 1];
}

ptq_status ptqi_linear_pack_form(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    int32_t *group_of = ptqi_alloc(l->context, q->k, (int64_t)sizeof *group_of);
    if (!group_of)
        return PTQ_ERROR_MEMORY;
    ptq_status status = ptq_qtensor_group_index(q, group_of);
    struct packing job = {l, q, group_of, ptqi_min(ptqi_threads(l->context), l->panels)};
    if (l->form == PTQI_FORM_GENERAL)
        find_ends(&job);
    ptqi_parallel_inside(l->context, job.parts,
                         l->form == PTQI_FORM_GENERAL ? pack_general : pack_dense, &job);
    ptqi_free(l->context, group_of);
    return status;
}
