/*
 * Running a pass over the rows of a matrix.
 */
#include "shares.h"
#include "base/team.h"

static void run_share(void *argument, int64_t part)
{
    struct ptqi_pass *pass = argument;
    ptq_context *context = pass->config->context;
    struct ptqi_share share;
    int64_t end;
    ptqi_split(pass->q->n, 1, part, pass->parts, &share.first, &end);
    share.count = end - share.first;
    share.buffer = ptqi_alloc(context, share.count * pass->row_floats + pass->share_floats,
                              (int64_t)sizeof *share.buffer);
    ptq_status status = share.buffer ? pass->round(pass, &share) : PTQ_ERROR_MEMORY;
    if (status)
        atomic_store(&pass->failed, status);
    ptqi_free(context, share.buffer);
}

ptq_status ptqi_run_pass(struct ptqi_pass *pass)
{
    ptq_context *context = pass->config->context;
    pass->parts = ptqi_min(ptqi_threads(context), pass->q->n);
    atomic_init(&pass->failed, 0);
    atomic_init(&pass->adjusted, 0);
    PTQI_TRY(ptqi_parallel_as(context, ptqi_config_crew(pass->config).user, pass->parts, run_share,
                              pass));
    ptq_status status = atomic_load(&pass->failed);
    if (status) /* said again, because the message belongs to the thread that failed */
        return ptqi_fail(context, status, "%s: %s", pass->name, ptq_status_sentence(status));
    return PTQ_OK;
}

void ptqi_set_grid(struct ptqi_pass *pass, int64_t n, int64_t g, struct ptqi_grid grid)
{
    struct ptq_qtensor *q = pass->q;
    q->scales[n * q->groups + g] = grid.scale;
    if (q->zeros)
        q->zeros[n * q->groups + g] = (uint8_t)grid.zero;
    if (q->minima)
        q->minima[n * q->groups + g] = grid.minimum;
    if (grid.adjusted)
        atomic_fetch_add_explicit(&pass->adjusted, 1, memory_order_relaxed);
}

struct ptqi_grid ptqi_get_grid(const struct ptq_qtensor *q, int64_t n, int64_t g)
{
    const int64_t at = n * q->groups + g;
    return (struct ptqi_grid){.scale = q->scales[at],
                              .zero = q->minima ? 0.0f : (float)ptqi_qtensor_zero(q, n, g),
                              .minimum = q->minima ? q->minima[at] : 0.0f};
}

static int64_t super_index(const struct ptq_qtensor *q, int64_t n, int64_t first)
{
    return n * (q->k / PTQI_SUPER_COLUMNS) + first / PTQI_SUPER_COLUMNS;
}

void ptqi_set_super(struct ptq_qtensor *q, int64_t n, int64_t first, struct ptqi_super super)
{
    const int64_t at = super_index(q, n, first);
    q->super_scales[at] = super.scale;
    if (q->super_minima)
        q->super_minima[at] = super.minimum;
}

struct ptqi_super ptqi_get_super(const struct ptq_qtensor *q, int64_t n, int64_t first)
{
    const int64_t at = super_index(q, n, first);
    return (struct ptqi_super){q->super_scales[at], q->super_minima ? q->super_minima[at] : 0.0f};
}
