/*
 * ptq_quantize: from weights and statistics to quantized matrices. Checks everything first, prepares
 * what the matrices share, then equalizes and rounds each, and measures what was lost.
 */
#include <math.h>
#include <string.h>
#include "base/half.h"
#include "linalg/matmul.h"
#include "method.h"
#include "stats.h"
#include "tensor.h"

static const char *label(const ptq_tensor *t)
{
    return t->name ? t->name : "weight";
}

static ptq_status check_stats(ptq_context *context, const ptq_stats *stats, int64_t k,
                              int need_hessian)
{
    if (!stats && need_hessian)
        return ptqi_fail(context, PTQ_ERROR_MISSING, "GPTQ needs statistics of the input");
    if (!stats)
        return PTQ_OK;
    if (stats->k != k)
        return ptqi_fail(context, PTQ_ERROR_SHAPE,
                         "statistics of %lld channels do not fit a matrix of %lld columns",
                         (long long)stats->k, (long long)k);
    if (need_hessian && (!stats->hessian || stats->rows == 0))
        return ptqi_fail(context, PTQ_ERROR_MISSING, "GPTQ needs statistics %s",
                         stats->hessian ? "that have seen rows" : "with PTQ_STATS_HESSIAN");
    return PTQ_OK;
}

/* Shapes, dtypes, numbers. act-order needs the shared statistics even where each matrix has its own:
 * matrices that share an input share their order. */
static ptq_status check_arguments(const ptq_config *config, const ptq_tensor *const *weights,
                                  int64_t count, const ptq_stats *stats,
                                  const ptq_stats *const *own_stats)
{
    ptq_context *context = config->context;
    int need_hessian = config->rounding == PTQ_ROUNDING_GPTQ;
    PTQI_TRY(ptq_config_check(config));
    for (int64_t i = 0; i < count; i++) {
        const ptq_tensor *t = weights[i];
        if (!t || t->rank != 2 || !t->shape[0] || !t->shape[1] || t->shape[1] != weights[0]->shape[1])
            return ptqi_fail(context, PTQ_ERROR_SHAPE,
                             "%s: not a matrix, empty, or not as wide as those it shares its input with",
                             t ? label(t) : "weight");
        if (!ptqi_is_float(t->dtype))
            return ptqi_fail(context, PTQ_ERROR_DTYPE, "%s: weights must be f32, f16 or bf16", label(t));
        PTQI_TRY(ptqi_check_finite(context, label(t), t->data, t->dtype, t->shape[0], t->shape[1],
                                   t->shape[1]));
        const ptq_stats *own = own_stats ? own_stats[i] : NULL;
        PTQI_TRY(check_stats(context, own ? own : stats, t->shape[1], need_hessian));
    }
    return check_stats(context, stats, weights[0]->shape[1], config->act_order);
}

static void free_curvature(ptq_context *context, struct ptqi_curvature *c)
{
    ptqi_free(context, c->hessian);
    ptqi_free(context, c->factor);
    ptqi_free(context, c->dead);
    memset(c, 0, sizeof *c);
}

/* The whole Hessian of statistics, and its dead columns. */
static ptq_status load_curvature(ptq_context *context, const ptq_stats *stats,
                                 struct ptqi_curvature *c)
{
    const int64_t k = stats->k;
    memset(c, 0, sizeof *c);
    c->k = k;
    c->hessian = ptqi_alloc(context, k * k, (int64_t)sizeof *c->hessian);
    c->dead = ptqi_alloc(context, k, 1);
    if (!c->hessian || !c->dead)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptq_stats_hessian(stats, c->hessian));
    PTQI_TRY(ptqi_check_finite(context, "Hessian", c->hessian, PTQ_F32, k, k, k));
    for (int64_t i = 0; i < k; i++)
        c->dead[i] = c->hessian[i * k + i] == 0.0f;
    return PTQ_OK;
}

/* The curvature that a matrix is rounded with, its factor included where GPTQ needs it. */
static ptq_status prepare_curvature(const ptq_config *config, const ptq_stats *stats,
                                    const int32_t *order, struct ptqi_curvature *c)
{
    ptq_context *context = config->context;
    PTQI_TRY(load_curvature(context, stats, c));
    if (config->rounding != PTQ_ROUNDING_GPTQ)
        return PTQ_OK;
    c->factor = ptqi_alloc(context, c->k * c->k, (int64_t)sizeof *c->factor);
    return c->factor ? ptqi_gptq_factor(config, c, order) : PTQ_ERROR_MEMORY;
}

/* sum over rows of d H d^T for d [n][k]. */
static ptq_status energy(ptq_context *context, const struct ptqi_curvature *c, int64_t n,
                         const float *d, float *product, double *sum)
{
    struct ptqi_matrix a = {d, c->k, 1}, h = {c->hessian, c->k, 1};
    PTQI_TRY(ptqi_matmul(context, n, c->k, c->k, a, h, product, c->k, 0));
    *sum = 0;
    for (int64_t i = 0; i < n * c->k; i++)
        *sum += (double)d[i] * (double)product[i];
    return PTQ_OK;
}

/* weight_error and, with a Hessian, output_error of q against w. */
static ptq_status measure(const ptq_config *config, const float *w, const struct ptqi_curvature *c,
                          struct ptq_qtensor *q)
{
    ptq_context *context = config->context;
    int64_t count = q->n * q->k;
    float *difference = ptqi_alloc(context, count, (int64_t)sizeof *difference);
    float *product = ptqi_alloc(context, c->hessian ? count : 0, (int64_t)sizeof *product);
    double lost = 0, whole = 0;
    ptq_status status = difference && product ? ptq_qtensor_dequantize(q, difference)
                                              : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count && !status; i++) {
        difference[i] = w[i] - difference[i];
        lost += (double)difference[i] * difference[i];
        whole += (double)w[i] * w[i];
    }
    q->weight_error = whole > 0 ? lost / whole : 0;
    if (!status && c->hessian) {
        status = energy(context, c, q->n, difference, product, &lost);
        if (!status)
            status = energy(context, c, q->n, w, product, &whole);
        lost = lost > 0 ? lost : 0; /* rounding can leave a tiny negative sum */
        q->output_error = whole > 0 ? lost / whole : 0;
    }
    ptqi_free(context, difference);
    ptqi_free(context, product);
    return status;
}

/* An empty qtensor of the config's kind for a matrix of n x k. */
static ptq_status new_qtensor(const ptq_config *config, int64_t n, int64_t k, const int32_t *order,
                              ptq_qtensor **out)
{
    PTQI_TRY(ptq_qtensor_create(config->context, n, k, config->bits, config->group, out));
    struct ptq_qtensor *q = *out;
    q->codes = ptqi_alloc(config->context, n * k, 1);
    q->scales = ptqi_alloc(config->context, n * q->groups, (int64_t)sizeof *q->scales);
    if (!config->symmetric)
        q->zeros = ptqi_alloc(config->context, n * q->groups, 1);
    q->activations = config->activations;
    if (!q->codes || !q->scales || (!config->symmetric && !q->zeros))
        return PTQ_ERROR_MEMORY;
    /* The order matters only where it decides which columns make a group. */
    if (order && !config->static_groups && q->groups > 1)
        return ptq_qtensor_set_order(q, order);
    return PTQ_OK;
}

static ptq_status quantize_one(const ptq_config *config, const ptq_tensor *weight,
                               const struct ptqi_curvature *shared, const ptq_stats *own_stats,
                               const int32_t *order, ptq_qtensor **q)
{
    ptq_context *context = config->context;
    struct ptqi_curvature own = {0};
    const struct ptqi_curvature *c = own_stats ? &own : shared;
    const int64_t n = weight->shape[0], k = weight->shape[1];
    float *w = ptqi_alloc(context, weight->elements, (int64_t)sizeof *w);
    ptq_status status = w ? ptq_tensor_to_f32(weight, w) : PTQ_ERROR_MEMORY;
    if (!status && own_stats)
        status = prepare_curvature(config, own_stats, order, &own);
    if (!status)
        status = new_qtensor(config, n, k, order, q);
    if (!status)
        status = config->rounding == PTQ_ROUNDING_GPTQ ? ptqi_round_gptq(config, w, c, order, *q)
                                                       : ptqi_round_rtn(config, w, *q);
    if (!status)
        status = measure(config, w, c, *q);
    ptqi_free(context, w);
    free_curvature(context, &own);
    return status;
}

static ptq_status quantize_all(const ptq_config *config, const ptq_tensor *const *weights,
                               int64_t count, const struct ptqi_curvature *shared,
                               const ptq_stats *const *own_stats, const int32_t *order,
                               ptq_qtensor **q)
{
    for (int64_t i = 0; i < count; i++) {
        ptq_status status = quantize_one(config, weights[i], shared,
                                         own_stats ? own_stats[i] : NULL, order, &q[i]);
        if (status)
            return weights[i]->name ? ptqi_fail_at(config->context, status, weights[i]->name) : status;
        ptqi_progress(config->context, (double)(i + 1) / (double)count, label(weights[i]));
    }
    return PTQ_OK;
}

ptq_status ptq_quantize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                        const ptq_stats *stats, const ptq_stats *const *own_stats, ptq_qtensor **q)
{
    if (!config || !weights || count < 1 || !q)
        return ptqi_fail(config ? config->context : NULL, PTQ_ERROR_ARGUMENT,
                         "ptq_quantize: no config, weights or place for the results");
    ptq_context *context = config->context;
    struct ptqi_curvature shared = {0};
    int32_t *order = NULL;
    for (int64_t i = 0; i < count; i++)
        q[i] = NULL;
    PTQI_TRY(check_arguments(config, weights, count, stats, own_stats));
    ptq_status status = PTQ_OK;
    if (stats && stats->hessian && stats->rows)
        status = load_curvature(context, stats, &shared);
    if (!status && config->act_order) {
        order = ptqi_alloc(context, stats->k, (int64_t)sizeof *order);
        status = order ? ptqi_gptq_order(context, &shared, order) : PTQ_ERROR_MEMORY;
    }
    if (!status && config->rounding == PTQ_ROUNDING_GPTQ && shared.hessian) {
        shared.factor = ptqi_alloc(context, shared.k * shared.k, (int64_t)sizeof(float));
        status = shared.factor ? ptqi_gptq_factor(config, &shared, order) : PTQ_ERROR_MEMORY;
    }
    if (!status)
        status = quantize_all(config, weights, count, &shared, own_stats, order, q);
    for (int64_t i = 0; i < count && status; i++) {
        ptq_qtensor_free(q[i]);
        q[i] = NULL;
    }
    ptqi_free(context, order);
    free_curvature(context, &shared);
    return status;
}
