#include "calibrate/observe.h"
#include <string.h>
#include "base/context.h"
#include "model/architecture.h"

#define VALUE_ROWS 32    /* per channel */
#define MAX_VALUE_STEP 8 /* largest step through the queries of a window */

static ptq_status plain_input(struct calibration *c, const struct block *b, enum site site,
                              int64_t i, const float **input)
{
    const int64_t length = c->windows->length;
    struct workspace *w = c->workspace;
    float *x = streams_residual(&c->streams, i), *attention = streams_attention(&c->streams, i);
    float *kept = streams_inner(&c->streams, i), *inner = kept ? kept : w->gate;
    switch (site) {
    case SITE_ATTENTION:
        *input = w->normed;
        return block_attention_input(c->model, b, x, length, w->normed);
    case SITE_OUTPUT:
        *input = attention;
        PTQI_TRY(block_attention_input(c->model, b, x, length, w->normed));
        return block_attention(c->model, b, w, w->normed, length, attention);
    case SITE_MLP:
        *input = w->normed;
        PTQI_TRY(block_attention_output(c->model, b, w, attention, length, x));
        return block_mlp_input(c->model, b, x, length, w->normed);
    default:
        *input = inner;
        PTQI_TRY(block_mlp_input(c->model, b, x, length, w->normed));
        return block_mlp(c->model, b, w, w->normed, length, inner);
    }
}

static ptq_status expert_input(struct calibration *c, const struct block *b, const struct matrix *m,
                               const struct expert_rows *selected, int64_t i, const float **input,
                               int64_t *rows)
{
    struct workspace *w = c->workspace;
    *rows = expert_rows_gather(selected, i, streams_residual(&c->streams, i), c->streams.hidden,
                               w->gathered);
    *input = m->site == SITE_MLP ? w->normed : w->gate;
    PTQI_TRY(block_mlp_input(c->model, b, w->gathered, *rows, w->normed));
    return m->site == SITE_MLP ? PTQ_OK : experts_inner(b, w, m->expert, w->normed, *rows, w->gate);
}

ptq_status site_input(struct calibration *c, const struct block *b, const struct matrix *m,
                      const struct expert_rows *selected, int64_t i, const float **input,
                      int64_t *rows)
{
    *rows = c->windows->length;
    return m->expert < 0 ? plain_input(c, b, m->site, i, input)
                         : expert_input(c, b, m, selected, i, input, rows);
}

void observation_free(struct observation *o)
{
    for (int64_t i = 0; o->values && i < o->value_count; i++)
        ptq_stats_free(o->values[i]);
    ptq_stats_free(o->stats);
    if (o->context)
        ptqi_free(o->context, o->values);
    memset(o, 0, sizeof *o);
}

static ptq_status create(ptq_context *context, int64_t k, int32_t flags, int64_t value_count,
                         struct observation *o)
{
    memset(o, 0, sizeof *o);
    o->context = context;
    o->value_count = value_count;
    PTQI_TRY(ptq_stats_create(context, k, flags, &o->stats));
    if (!value_count)
        return PTQ_OK;
    o->values = ptqi_alloc_zero(context, value_count, (int64_t)sizeof *o->values);
    if (!o->values)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < value_count; i++)
        PTQI_TRY(ptq_stats_create(context, k, flags & ~PTQ_STATS_SAMPLE, &o->values[i]));
    return PTQ_OK;
}

static ptq_status merge(struct observation *o, const struct observation *piece)
{
    PTQI_TRY(ptq_stats_merge(o->stats, piece->stats));
    for (int64_t i = 0; i < o->value_count; i++)
        PTQI_TRY(ptq_stats_merge(o->values[i], piece->values[i]));
    return PTQ_OK;
}

/* Value statistics gain little beyond VALUE_ROWS rows per channel, so only every n-th query is
 * used. */
static int64_t value_step(const struct calibration *c)
{
    const struct model_config *mc = &c->model->config;
    const int64_t rows = c->windows->count * c->windows->length * mc->heads / c->value_stats;
    const int64_t step = rows / (VALUE_ROWS * mc->hidden);
    return step < 1 ? 1 : step < MAX_VALUE_STEP ? step : MAX_VALUE_STEP;
}

/* Adds one window to the value statistics: rows A_h x for every head, and those of the unquantized
 * model. mixed [2][length][hidden] is scratch. */
static ptq_status observe_values(struct calibration *c, const struct block *b, const float *x,
                                 const float *reference, float *mixed, struct observation *o)
{
    const struct model_config *mc = &c->model->config;
    const int64_t length = c->windows->length, k = mc->hidden, share = mc->heads / mc->kv_heads;
    const int64_t step = value_step(c), rows = (length + step - 1) / step;
    struct attention_input in, other;
    float *mixed_reference = reference ? mixed + length * k : NULL;
    PTQI_TRY(block_project(c->model, b, c->workspace, x, length, &in));
    if (reference)
        PTQI_TRY(block_project(c->model, c->reference_block, c->reference->workspace, reference,
                               length, &other));
    for (int64_t h = 0; h < mc->heads; h++) {
        ptq_stats *stats = o->values[o->value_count > 1 ? h / share : 0];
        PTQI_TRY(attention_mix(o->context, mc, &in, h, x, k, length, step, mixed));
        if (reference)
            PTQI_TRY(attention_mix(o->context, mc, &other, h, reference, k, length, step,
                                   mixed_reference));
        PTQI_TRY(ptq_stats_update_paired(stats, mixed, k, mixed_reference, k, PTQ_DTYPE_F32, rows,
                                         NULL));
    }
    return PTQ_OK;
}

static ptq_status observe_window(struct calibration *c, const struct block *b,
                                 const struct matrix *m, int64_t i, float *mixed,
                                 struct observation *o)
{
    const float *input, *reference = NULL;
    const int64_t k = m->k;
    int64_t rows;
    PTQI_TRY(site_input(c, b, m, c->experts, i, &input, &rows));
    if (ptq_stats_flags(o->stats) & PTQ_STATS_MISMATCH)
        PTQI_TRY(site_input(c->reference, c->reference_block, m, c->experts, i, &reference, &rows));
    PTQI_TRY(ptq_stats_update_paired(o->stats, input, k, reference, k, PTQ_DTYPE_F32, rows, NULL));
    if (o->value_count)
        PTQI_TRY(observe_values(c, b, input, reference, mixed, o));
    return ptqi_check_cancelled(o->context);
}

/* Every MERGE_WINDOWS windows have separate statistics, which are merged in order, so several
 * machines could share the work and get the same bits. */
ptq_status observe_site(struct calibration *c, const struct block *b, const struct matrix *m,
                        int32_t flags, struct observation *o)
{
    ptq_context *context = c->model->context;
    const int64_t count = c->windows->count, k = m->k;
    const int64_t values =
        m->site == SITE_ATTENTION && (flags & PTQ_STATS_HESSIAN) ? c->value_stats : 0;
    float *mixed = NULL;
    struct observation piece = {0};
    ptq_status status = create(context, k, flags, values, o);
    if (!status && values)
        if (!(mixed = ptqi_alloc(context, 2 * c->windows->length * k, (int64_t)sizeof *mixed)))
            status = PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count && !status; i++) {
        if (!piece.stats)
            status = create(context, k, flags, values, &piece);
        if (!status)
            status = observe_window(c, b, m, i, mixed, &piece);
        if (status || ((i + 1) % MERGE_WINDOWS && i + 1 < count))
            continue;
        status = merge(o, &piece);
        observation_free(&piece);
    }
    observation_free(&piece);
    ptqi_free(context, mixed);
    return status;
}
