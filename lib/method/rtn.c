/*
 * RTN, round to nearest: each group on its own grid, no data. The baseline of every table.
 */
#include "base/team.h"
#include "method.h"
#include "shares.h"

/* The same with super scales. */
static void find_super_grids(struct ptqi_pass *pass, int64_t n, const float *w,
                             struct ptqi_grid *grids)
{
    struct ptq_qtensor *q = pass->q;
    for (int64_t first = 0; first < q->k; first += q->group_size) {
        if (first % PTQI_SUPER_COLUMNS == 0)
            ptqi_set_super(q, n, first, ptqi_find_super(pass->config, w + first, NULL));
        grids[first / q->group_size] = ptqi_super_grid(pass->config, ptqi_get_super(q, n, first),
                                                       w + first, NULL, q->group_size);
    }
}

/* grids [groups] = the grids of a row w [k]. */
static void find_grids(struct ptqi_pass *pass, int64_t n, const float *w, struct ptqi_grid *grids)
{
    const struct ptq_config *config = pass->config;
    struct ptq_qtensor *q = pass->q;
    if (q->super_scales) {
        find_super_grids(pass, n, w, grids);
        return;
    }
    for (int64_t g = 0; g < q->groups; g++)
        grids[g] = ptqi_find_grid(config, w + g * q->group_size, ptqi_group_columns(q, g));
    if (!q->row_scales)
        return;
    q->row_scales[n] = ptqi_row_scale(config, grids, q->groups);
    for (int64_t g = 0; g < q->groups; g++)
        grids[g] = ptqi_level_grid(config, grids[g], q->row_scales[n], NULL, NULL, 0);
}

static void round_group(struct ptqi_pass *pass, int64_t n, int64_t g, struct ptqi_grid grid)
{
    struct ptq_qtensor *q = pass->q;
    const float top = (float)((1 << q->bits) - 1);
    const int64_t first = n * q->k + g * q->group_size;
    ptqi_set_grid(pass, n, g, grid);
    for (int64_t i = first; i < first + ptqi_group_columns(q, g); i++)
        q->codes[i] = (uint8_t)ptqi_grid_code(grid, pass->w[i], top);
}

static ptq_status round_rows(struct ptqi_pass *pass, const struct ptqi_share *share)
{
    ptq_context *context = pass->config->context;
    const struct ptq_qtensor *q = pass->q;
    struct ptqi_grid *grids = ptqi_alloc(context, q->groups, (int64_t)sizeof *grids);
    if (!grids)
        return PTQ_ERROR_MEMORY;
    for (int64_t n = share->first; n < share->first + share->count; n++) {
        find_grids(pass, n, pass->w + n * q->k, grids);
        for (int64_t g = 0; g < q->groups; g++)
            round_group(pass, n, g, grids[g]);
    }
    ptqi_free(context, grids);
    return PTQ_OK;
}

static ptq_status round_rtn(const struct ptq_config *config, const float *w,
                            const struct ptqi_curvature *curvature, struct ptq_qtensor *q)
{
    struct ptqi_pass pass = {.name = "RTN",
                             .config = config,
                             .curvature = curvature,
                             .w = w,
                             .q = q,
                             .round = round_rows};
    PTQI_TRY(ptqi_run_pass(&pass));
    q->adjusted_groups = atomic_load(&pass.adjusted);
    return PTQ_OK;
}

const struct ptqi_rounding ptqi_rounding_rtn = {
    .id = PTQ_ROUNDING_RTN, .name = "RTN", .round = round_rtn};

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
        for (int64_t i = at; i < at + count; i++)
            j->out[i] = ptqi_grid_value(grid, ptqi_grid_code(grid, j->w[i], top));
        at += count;
    }
}

ptq_status ptqi_rtn_dequantize(const struct ptq_config *config, const float *w, int64_t n,
                               int64_t k, int64_t group, float *out)
{
    struct dequantize_job job = {config, w, n, k, group, ptqi_threads(config->context), out};
    const struct ptqi_crew crew = ptqi_config_crew(config);
    return ptqi_parallel_as(crew.context, crew.user, job.parts, dequantize_rows, &job);
}
