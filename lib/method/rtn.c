/*
 * RTN, round to nearest: each group on its own grid, no data. The baseline of every table.
 */
#include "base/team.h"
#include "grid.h"
#include "kernel/code.h"
#include "method.h"

struct job {
    const struct ptq_config *config;
    const float *w;
    struct ptq_qtensor *q;
    struct ptqi_grid *grids; /* [parts][groups] */
    int64_t parts;
    atomic_llong *adjusted;
};

static void round_rows(void *argument, int64_t part)
{
    struct job *j = argument;
    struct ptq_qtensor *q = j->q;
    const float top = (float)((1 << q->bits) - 1);
    int64_t begin, end;
    ptqi_split(q->n, 1, part, j->parts, &begin, &end);
    struct ptqi_grid *grids = j->grids + part * q->groups;
    for (int64_t n = begin; n < end; n++) {
        const float *w = j->w + n * q->k;
        for (int64_t g = 0; g < q->groups; g++)
            grids[g] = ptqi_find_grid(j->config, w + g * q->group_size, ptqi_group_columns(q, g));
        if (q->row_scales)
            q->row_scales[n] = ptqi_row_scale(j->config, grids, q->groups);
        for (int64_t g = 0; g < q->groups; g++) {
            struct ptqi_grid grid = grids[g];
            if (q->row_scales)
                grid = ptqi_level_grid(j->config, grid, q->row_scales[n], NULL, NULL, 0);
            ptqi_set_grid(q, n, g, grid, j->adjusted);
            for (int64_t i = g * q->group_size; i < g * q->group_size + ptqi_group_columns(q, g);
                 i++)
                q->codes[n * q->k + i] = (uint8_t)ptqi_code(w[i], grid.scale, grid.zero, top);
        }
    }
}

ptq_status ptqi_round_rtn(const struct ptq_config *config, const float *w, struct ptq_qtensor *q)
{
    const int64_t parts = ptqi_threads(config->context);
    atomic_llong adjusted;
    struct job job = {config, w, q, NULL, parts, &adjusted};
    atomic_init(&adjusted, 0);
    job.grids = ptqi_alloc(config->context, parts * q->groups, (int64_t)sizeof *job.grids);
    if (!job.grids)
        return PTQ_ERROR_MEMORY;
    ptqi_parallel(config->context, job.parts, round_rows, &job);
    ptqi_free(config->context, job.grids);
    q->adjusted_groups = atomic_load(&adjusted);
    return PTQ_OK;
}

struct dequantize_job {
    const struct ptq_config *config;
    const float *w;
    int64_t n, k, group, parts;
    float *out;
};

static void dequantize_rows(void *argument, int64_t part)
{
    struct dequantize_job *j = argument;
    const float top = (float)((1 << j->config->bits) - 1);
    int64_t begin, end;
    ptqi_split(j->n, 1, part, j->parts, &begin, &end);
    for (int64_t at = begin * j->k; at < end * j->k;) {
        int64_t left = j->k - at % j->k, count = j->group < left ? j->group : left;
        struct ptqi_grid grid = ptqi_find_grid(j->config, j->w + at, count);
        for (int64_t i = at; i < at + count; i++) {
            float code = ptqi_code(j->w[i], grid.scale, grid.zero, top);
            j->out[i] = grid.scale * (code - grid.zero);
        }
        at += count;
    }
}

void ptqi_rtn_dequantize(const struct ptq_config *config, const float *w, int64_t n, int64_t k,
                         int64_t group, float *out)
{
    struct dequantize_job job = {config, w, n, k, group, ptqi_threads(config->context), out};
    ptqi_parallel(config->context, job.parts, dequantize_rows, &job);
}
