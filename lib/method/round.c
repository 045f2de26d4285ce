/*
 * Rounding one call: prepares the data that the matrices share, then equalizes, clips, rounds and
 * measures each of them.
 */
#include <string.h>
#include "grid.h"
#include "measure.h"
#include "method.h"
#include "stats.h"
#include "tensor.h"

/* Data that the matrices of one call share. */
struct shared {
    const struct ptqi_call *call;
    const struct ptq_config *config;
    const struct ptq_equalization *e;
    const struct ptqi_rounding *rounding;
    struct ptqi_curvature curvature;
    int32_t *order;
};

ptq_status ptqi_check_runs(const struct ptq_config *config, int32_t activations, int64_t k)
{
    if (activations == PTQ_ACTIVATIONS_F32 || config->symmetric)
        return PTQ_OK;
    return ptqi_check_sums(config->context, activations, (1 << config->bits) - 1,
                           ptqi_group_size(config, k));
}

/* who: the method or option that needs the Hessian; NULL: it is not needed. */
static ptq_status check_stats(ptq_context *context, const struct ptq_stats *stats, int64_t k,
                              const char *who, int need_mismatch)
{
    if (!stats && who)
        return ptqi_fail(context, PTQ_ERROR_MISSING, "%s needs statistics of the input", who);
    if (!stats)
        return PTQ_OK;
    PTQI_TRY(ptqi_stats_check_width(context, stats, k));
    if (need_mismatch && !stats->mismatch)
        return ptqi_fail(context, PTQ_ERROR_MISSING,
                         "GPTAQ needs statistics with PTQ_STATS_MISMATCH");
    if (who && (!stats->hessian || stats->rows == 0))
        return ptqi_fail(context, PTQ_ERROR_MISSING, "%s needs statistics %s", who,
                         stats->hessian ? "that have seen rows" : "with PTQ_STATS_HESSIAN");
    return PTQ_OK;
}

static const struct ptq_stats *own_stats(const struct ptqi_call *call, int64_t i)
{
    return call->own_stats ? call->own_stats[i] : NULL;
}

/* act-order needs the shared statistics even if each matrix has its own: matrices that share an
 * input share their order. */
static ptq_status check(const struct shared *s)
{
    const struct ptqi_call *call = s->call;
    const struct ptq_config *config = s->config;
    const int64_t k = call->matrices->k;
    const char *who = s->rounding->needs & PTQI_NEEDS_HESSIAN ? s->rounding->name : NULL;
    PTQI_TRY(ptqi_check_runs(config, s->e->activations, k));
    if (config->scales == PTQ_SCALES_SUPER && k % PTQI_SUPER_COLUMNS)
        return ptqi_fail(config->context, PTQ_ERROR_SHAPE,
                         "super scales need rows of whole blocks of %d columns, not of %lld",
                         PTQI_SUPER_COLUMNS, (long long)k);
    for (int64_t i = 0; i < call->matrices->count; i++) {
        const struct ptq_stats *own = own_stats(call, i);
        PTQI_TRY(check_stats(config->context, own ? own : call->stats, k, who, config->gptaq > 0));
    }
    if (s->e->k != k)
        return ptqi_fail(config->context, PTQ_ERROR_SHAPE,
                         "an equalization of %lld channels does not fit a matrix of %lld columns",
                         (long long)s->e->k, (long long)k);
    const struct ptq_stats *stats = call->stats;
    if (config->clip && (!stats || !stats->rows || (!stats->hessian && !stats->sampled)))
        return ptqi_fail(config->context, PTQ_ERROR_MISSING,
                         "clipping needs statistics with a sample or a Hessian");
    return check_stats(config->context, stats, k, config->act_order ? "act-order" : NULL, 0);
}

static int is_two_level(const struct shared *s)
{
    if (s->config->scales != PTQ_AUTO)
        return s->config->scales == PTQ_SCALES_TWO_LEVEL;
    return !ptqi_activations_are_exact(s->e->activations) && s->config->bits <= 4 &&
           s->config->scale_dtype != PTQ_DTYPE_BF16;
}

static ptq_status allocate_super(ptq_context *context, int minima, struct ptq_qtensor *q)
{
    const int64_t count = q->n * (q->k / PTQI_SUPER_COLUMNS);
    q->super_scales = ptqi_alloc(context, count, (int64_t)sizeof *q->super_scales);
    if (minima)
        q->super_minima = ptqi_alloc(context, count, (int64_t)sizeof *q->super_minima);
    return q->super_scales && (q->super_minima || !minima) ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* Empty codes, scales and zeros of the config's kind. */
static ptq_status allocate_parts(const struct shared *s, struct ptq_qtensor *q)
{
    ptq_context *context = s->config->context;
    const int two_level = is_two_level(s), zeros = !s->config->symmetric;
    const int minima = ptqi_has_minima(s->config);
    q->codes = ptqi_alloc(context, q->n * q->k, 1);
    q->scales = ptqi_alloc(context, q->n * q->groups, (int64_t)sizeof *q->scales);
    if (zeros)
        q->zeros = ptqi_alloc(context, q->n * q->groups, 1);
    if (two_level)
        q->row_scales = ptqi_alloc(context, q->n, (int64_t)sizeof *q->row_scales);
    if (minima)
        q->minima = ptqi_alloc(context, q->n * q->groups, (int64_t)sizeof *q->minima);
    if (!q->codes || !q->scales || (zeros && !q->zeros) || (two_level && !q->row_scales) ||
        (minima && !q->minima))
        return PTQ_ERROR_MEMORY;
    return s->config->scales == PTQ_SCALES_SUPER ? allocate_super(context, minima, q) : PTQ_OK;
}

/* How the input of q is to be quantized and equalized. */
static ptq_status set_scheme(const struct ptq_equalization *e, struct ptq_qtensor *q)
{
    PTQI_TRY(ptq_qtensor_set_activations(q, e->activations));
    if (e->activation_scale > 0)
        PTQI_TRY(ptq_qtensor_set_activation_scale(q, e->activation_scale));
    PTQI_TRY(ptq_qtensor_set_rotation(q, e->rotation));
    q->equalize = e->equalize;
    return e->scale ? ptq_qtensor_set_input_scale(q, e->scale) : PTQ_OK;
}

static ptq_status new_qtensor(const struct shared *s, int64_t n, ptq_qtensor **out)
{
    const struct ptq_config *config = s->config;
    PTQI_TRY(ptq_qtensor_create(config->context, n, s->call->matrices->k, config->bits,
                                ptqi_config_group(config), out));
    struct ptq_qtensor *q = *out;
    PTQI_TRY(allocate_parts(s, q));
    q->scale_dtype = ptqi_stored_dtype(config);
    /* The order matters only if it decides which columns form a group. */
    if (s->order && !config->static_groups && q->groups > 1)
        PTQI_TRY(ptq_qtensor_set_order(q, s->order));
    return set_scheme(s->e, q);
}

static int has_weights(const float *w, int64_t count)
{
    int64_t i = 0;
    while (i < count && w[i] == 0)
        i++;
    return i < count;
}

/* q->clamped_groups: those of a clamped scale that have weights, the w [n][k]. */
static ptq_status count_clamped(const struct ptq_config *config, const float *w,
                                struct ptq_qtensor *q)
{
    int32_t *group_of = ptqi_alloc(q->context, q->k, (int64_t)sizeof *group_of);
    ptq_status status = group_of ? ptq_qtensor_group_index(q, group_of) : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < q->n * q->groups && !status; i++) {
        const int64_t n = i / q->groups, g = i % q->groups;
        const float scale = q->row_scales ? q->row_scales[n] : q->scales[i];
        int weights = 0;
        if (!ptqi_scale_is_clamped(scale, ptqi_stored_dtype(config), q->row_scales != NULL))
            continue;
        for (int64_t c = 0; c < q->k; c++)
            weights |= group_of[c] == g && w[n * q->k + c] != 0;
        q->clamped_groups += weights;
    }
    ptqi_free(q->context, group_of);
    return status;
}

/* Of a matrix that is not all 0. */
static ptq_status check_scales(const struct ptq_config *config, const struct ptq_qtensor *q)
{
    if (q->super_scales)
        PTQI_TRY(ptqi_check_super(config, q->super_scales, q->super_minima,
                                  q->n * (q->k / PTQI_SUPER_COLUMNS)));
    return ptqi_check_scales(config, q->scales, q->super_scales ? NULL : q->minima,
                             q->n * q->groups);
}

static ptq_status round_weights(const struct shared *s, const float *w,
                                const struct ptqi_curvature *c, struct ptq_qtensor *q)
{
    PTQI_TRY(s->rounding->round(s->config, w, c, q));
    if (!has_weights(w, q->n * q->k))
        return PTQ_OK;
    PTQI_TRY(count_clamped(s->config, w, q));
    return check_scales(s->config, q);
}

/* Clips a copy of the equalized w and rounds that: errors are measured against w itself. */
static ptq_status round_clipped(const struct shared *s, const float *w,
                                const struct ptqi_curvature *c, struct ptq_qtensor *q)
{
    ptq_context *context = s->config->context;
    float *clipped = ptqi_alloc(context, q->n * q->k, (int64_t)sizeof *clipped);
    if (!clipped)
        return PTQ_ERROR_MEMORY;
    memcpy(clipped, w, (size_t)(q->n * q->k) * sizeof *clipped);
    ptq_status status = ptqi_clip_awq(s->config, s->call->stats, s->e, q->n, q->k, clipped);
    if (!status)
        status = round_weights(s, clipped, c, q);
    ptqi_free(context, clipped);
    return status;
}

static int is_clipped(const struct ptq_config *config, int64_t index)
{
    return config->clip && !(index < 32 && config->clip_except >> index & 1);
}

/* Rounds matrix number index; w [n][k] is its copy in the equalized basis. */
static ptq_status round_copy(const struct shared *s, int64_t index, float *w,
                             const struct ptqi_curvature *c, ptq_qtensor **q)
{
    PTQI_TRY(new_qtensor(s, s->call->matrices->weights[index].n, q));
    PTQI_TRY(is_clipped(s->config, index) ? round_clipped(s, w, c, *q)
                                          : round_weights(s, w, c, *q));
    return ptqi_measure_weights(ptqi_config_crew(s->config), s->e, w, c, *q);
}

/* The factor of a Hessian that is loaded, if the rounding needs it. */
static ptq_status factor(const struct shared *s, const struct ptq_stats *stats,
                         struct ptqi_curvature *c)
{
    const int32_t needs = s->rounding->needs;
    if (!(needs & PTQI_NEEDS_FACTOR))
        return PTQ_OK;
    return ptqi_factor_curvature(s->config, s->e, stats, (needs & PTQI_NEEDS_DAMPED) != 0, c);
}

static int has_hessian(const struct ptq_stats *stats)
{
    return stats && stats->hessian && stats->rows;
}

/* A Hessian that the rounding does not need is for the output error, which an infinite one leaves
 * unknown. */
static ptq_status load_curvature(const struct shared *s, const struct ptq_stats *stats,
                                 struct ptqi_curvature *c)
{
    const int needed = s->rounding->needs || s->config->act_order;
    const ptq_status status = ptqi_load_curvature(s->e, stats, c);
    if (status != PTQ_ERROR_NOT_FINITE || needed)
        return status;
    ptqi_free_curvature(s->config->context, c);
    ptqi_log_line(s->config->context, PTQ_LOG_WARNING,
                  "the Hessian is not finite; the output error is unknown");
    return PTQ_OK;
}

static ptq_status load_own(const struct shared *s, const struct ptq_stats *stats,
                           struct ptqi_curvature *c)
{
    PTQI_TRY(load_curvature(s, stats, c));
    c->order = s->order;
    return factor(s, stats, c);
}

static ptq_status round_matrix(const struct shared *s, int64_t index, ptq_qtensor **q)
{
    ptq_context *context = s->config->context;
    const struct ptqi_weight *weight = &s->call->matrices->weights[index];
    const struct ptq_stats *stats = own_stats(s->call, index);
    struct ptqi_curvature own = {0};
    const int has_own = has_hessian(stats);
    const int64_t k = s->call->matrices->k;
    float *w = ptqi_alloc(context, weight->n * k, (int64_t)sizeof *w);
    ptq_status status = PTQ_ERROR_MEMORY;
    if (w) {
        memcpy(w, weight->w, (size_t)(weight->n * k) * sizeof *w);
        ptqi_equalize_weights(s->e, w, weight->n);
        status = ptqi_check_finite(context, "equalized weight", w, PTQ_DTYPE_F32, weight->n, k, k);
    }
    if (!status && has_own)
        status = load_own(s, stats, &own);
    if (!status)
        status = round_copy(s, index, w, has_own ? &own : &s->curvature, q);
    ptqi_free(context, w);
    ptqi_free_curvature(context, &own);
    return status;
}

static ptq_status round_all(const struct shared *s, ptq_qtensor **q)
{
    ptq_context *context = s->config->context;
    const int64_t count = s->call->matrices->count;
    for (int64_t i = 0; i < count; i++) {
        const struct ptqi_weight *weight = &s->call->matrices->weights[i];
        PTQI_TRY(ptqi_check_cancelled(context));
        ptq_status status = round_matrix(s, i, &q[i]);
        if (status)
            return weight->name ? ptqi_fail_at(context, status, weight->name) : status;
        ptqi_progress(context, (double)(i + 1) / (double)count, ptqi_weight_label(weight));
    }
    return PTQ_OK;
}

/* The curvature and the order that all matrices share. */
static ptq_status load_shared(struct shared *s)
{
    const struct ptq_stats *stats = s->call->stats;
    if (!has_hessian(stats))
        return PTQ_OK;
    PTQI_TRY(load_curvature(s, stats, &s->curvature));
    if (s->config->act_order) {
        s->order = ptqi_alloc(s->config->context, stats->k, (int64_t)sizeof *s->order);
        if (!s->order)
            return PTQ_ERROR_MEMORY;
        PTQI_TRY(ptqi_hessian_order(s->config->context, &s->curvature, s->order));
        s->curvature.order = s->order;
    }
    return factor(s, stats, &s->curvature);
}

ptq_status ptqi_round_call(const struct ptqi_call *call, const struct ptq_equalization *e,
                           struct ptq_qtensor **q)
{
    ptq_context *context = call->config->context;
    struct shared s = {.call = call, .config = call->config, .e = e};
    PTQI_TRY(ptqi_find_rounding(context, s.config->rounding, &s.rounding));
    PTQI_TRY(check(&s));
    ptq_status status = load_shared(&s);
    if (!status)
        status = round_all(&s, q);
    for (int64_t i = 0; i < call->matrices->count && status; i++) {
        ptq_qtensor_free(q[i]);
        q[i] = NULL;
    }
    ptqi_free(context, s.order);
    ptqi_free_curvature(context, &s.curvature);
    return status;
}
