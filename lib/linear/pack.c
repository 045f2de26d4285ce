/*
 * Packs a quantized matrix for the kernels of a context: all of it, or rows of it.
 */
#include "base/hash.h"
#include "base/team.h"
#include "linear/pack.h"

static ptqi_pack_function *const packs[PTQI_FORMS] = {
    [PTQI_FORM_PANELS] = ptqi_pack_panels,
    [PTQI_FORM_WORDS] = ptqi_pack_words,
    [PTQI_FORM_DENSE] = ptqi_pack_dense,
    [PTQI_FORM_GENERAL] = ptqi_pack_general,
};

/* Computes the end of each group, in quantization order. */
static void find_ends(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    int64_t g;
    for (g = 0; g < l->groups; g++)
        l->group_end[g] = 0;
    for (int64_t i = 0; i < l->k; i++) {
        ptqi_column_at(q, i, &g);
        l->group_end[l->split > 1 ? i / l->group_size : g]++;
    }
    for (g = 1; g < l->groups; g++)
        l->group_end[g] += l->group_end[g - 1];
}

ptq_status ptqi_linear_pack_shared(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    if (l->input_scale)
        PTQI_TRY(ptq_qtensor_input_scale(q, l->input_scale));
    if (l->order)
        PTQI_TRY(ptq_qtensor_order(q, l->order));
    if (l->group_of)
        PTQI_TRY(ptq_qtensor_group_index(q, l->group_of));
    if (l->group_end)
        find_ends(l, q);
    return PTQ_OK;
}

/* The panels of a part, one after the other. */
static void pack_part(void *argument, int64_t part)
{
    const struct ptqi_packing *job = argument;
    const struct ptq_linear *l = job->l;
    const int64_t nr = job->layout.rows, last = job->first + job->count;
    const int64_t panel0 = job->first / nr, panels = (last + nr - 1) / nr - panel0;
    uint8_t *buffer = job->buffer ? job->buffer + part * nr * job->ld : NULL;
    int64_t begin, end;
    ptqi_split(panels, 1, part, job->parts, &begin, &end);
    for (int64_t p = panel0 + begin; p < panel0 + end; p++) {
        const int64_t n0 = ptqi_max(p * nr, job->first), n1 = ptqi_min((p + 1) * nr, last);
        packs[l->form](
            job, n0, n1,
            ptqi_qtensor_rows_of_codes(job->q, ptqi_source_row(job, n0), n1 - n0, buffer, job->ld));
    }
}

ptq_status ptqi_linear_pack_rows(struct ptq_linear *l, const struct ptq_qtensor *q, int64_t from,
                                 int64_t first, int64_t count, int64_t parts)
{
    struct ptqi_packing job = {
        .l = l, .q = q, .from = from, .first = first, .count = count, .parts = parts, .ld = q->k};
    job.layout = ptqi_packed_layout(l->kernels, l->form, l->code_bits);
    if (q->borrowed) {
        job.ld = ptqi_align(q->k) + PTQ_ALIGNMENT; /* rows in different sets of the cache */
        job.buffer = ptqi_alloc(l->context, parts * job.layout.rows, job.ld);
        if (!job.buffer)
            return PTQ_ERROR_MEMORY;
    }
    if (parts == 1)
        pack_part(&job, 0);
    else
        ptqi_parallel_inside(l->context, parts, pack_part, &job);
    ptqi_free(l->context, job.buffer);
    return PTQ_OK;
}
