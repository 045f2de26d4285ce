/*
 * ptq_quantize_equalized: from weights and statistics to quantized matrices. Checks everything
 * first, equalizes, prepares what the matrices share, then clips and rounds each, and measures what
 * was lost.
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
                              int need_hessian, int need_mismatch)
{
    if (!stats && need_hessian)
        return ptqi_fail(context, PTQ_ERROR_MISSING, "GPTQ needs statistics of the input");
    if (!stats)
        return PTQ_OK;
    if (stats->k != k)
        return ptqi_fail(context, PTQ_ERROR_SHAPE,
                         "statistics of %lld channels do not fit a matrix of %lld columns",
                         (long long)stats->k, (long long)k);
    if (need_mismatch && !stats->mismatch)
        return ptqi_fail(context, PTQ_ERROR_MISSING,
                         "GPTAQ needs statistics with PTQ_STATS_MISMATCH");
    if (need_hessian && (!stats->hessian || stats->rows == 0))
        return ptqi_fail(context, PTQ_ERROR_MISSING, "GPTQ needs statistics %s",
                         stats->hessian ? "that have seen rows" : "with PTQ_STATS_HESSIAN");
    return PTQ_OK;
}

ptq_status ptqi_check_call(const char *function, const ptq_config *config,
                           const ptq_tensor *const *weights, int64_t count)
{
    PTQI_REQUIRE_FOR(NULL, function, config);
    PTQI_REQUIRE_FOR(config->context, function, weights);
    PTQI_TRY(ptqi_check_count(config->context, function, count));
    for (int64_t i = 0; i < count; i++)
        if (!weights[i])
            return ptqi_fail(config->context, PTQ_ERROR_ARGUMENT, "%s: weights[%lld] is NULL",
                             function, (long long)i);
    return PTQ_OK;
}

ptq_status ptqi_check_runs(const struct ptq_config *config, int32_t activations, int64_t k)
{
    if (activations == PTQ_ACTIVATIONS_F32 || config->symmetric)
        return PTQ_OK;
    return ptqi_check_sums(config->context, (1 << config->bits) - 1, ptqi_widest_group(config, k));
}

ptq_status ptqi_check_weights(const struct ptq_config *config, const ptq_tensor *const *weights,
                              int64_t count)
{
    ptq_context *context = config->context;
    PTQI_TRY(ptq_config_check(config));
    for (int64_t i = 0; i < count; i++) {
        const ptq_tensor *t = weights[i];
        if (t->rank != 2 || !t->shape[0] || !t->shape[1] || t->shape[1] != weights[0]->shape[1])
            return ptqi_fail(
                context, PTQ_ERROR_SHAPE,
                "%s: not a matrix, empty, or not as wide as those it shares its input with",
                label(t));
        if (!ptqi_is_float(t->dtype))
            return ptqi_fail(context, PTQ_ERROR_DTYPE, "%s: weights must be f32, f16 or bf16",
                             label(t));
    }
    PTQI_TRY(ptqi_check_runs(config, config->activations, weights[0]->shape[1]));
    for (int64_t i = 0; i < count; i++) {
        const ptq_tensor *t = weights[i];
        PTQI_TRY(ptqi_check_finite(context, label(t), t->data, t->dtype, t->shape[0], t->shape[1],
                                   t->shape[1]));
    }
    return PTQ_OK;
}

/* act-order needs the shared statistics even where each matrix has its own: matrices that share an
 * input share their order. */
static ptq_status check_arguments(const ptq_config *config, const ptq_equalization *e,
                                  const ptq_tensor *const *weights, int64_t count,
                                  const ptq_stats *stats, const ptq_stats *const *own_stats)
{
    const int64_t k = weights[0]->shape[1];
    int need_hessian = config->rounding != PTQ_ROUNDING_RTN;
    for (int64_t i = 0; i < count; i++) {
        const ptq_stats *own = own_stats ? own_stats[i] : NULL;
        PTQI_TRY(
            check_stats(config->context, own ? own : stats, k, need_hessian, config->gptaq > 0));
    }
    if (e->k != k)
        return ptqi_fail(config->context, PTQ_ERROR_SHAPE,
                         "an equalization of %lld channels does not fit a matrix of %lld columns",
                         (long long)e->k, (long long)k);
    if (config->clip && (!stats || !stats->rows || (!stats->hessian && !stats->sampled)))
        return ptqi_fail(config->context, PTQ_ERROR_MISSING,
                         "clipping needs statistics with a sample or a Hessian");
    return check_stats(config->context, stats, k, config->act_order, 0);
}

static void free_curvature(ptq_context *context, struct ptqi_curvature *c)
{
    ptqi_free(context, c->hessian);
    ptqi_free(context, c->factor);
    ptqi_free(context, c->correction);
    ptqi_free(context, c->damped);
    ptqi_free(context, c->mismatch);
    ptqi_free(context, c->dead);
    memset(c, 0, sizeof *c);
}

/* The whole Hessian of the equalized input, and its dead columns. */
static ptq_status load_curvature(const ptq_equalization *e, const ptq_stats *stats,
                                 struct ptqi_curvature *c)
{
    ptq_context *context = e->context;
    const int64_t k = stats->k;
    memset(c, 0, sizeof *c);
    c->k = k;
    c->hessian = ptqi_alloc(context, k * k, (int64_t)sizeof *c->hessian);
    c->dead = ptqi_alloc(context, k, 1);
    if (!c->hessian || !c->dead)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptq_stats_hessian(stats, c->hessian));
    PTQI_TRY(ptqi_equalize_square(e, c->hessian, 1));
    for (int64_t i = 0; i < k; i++)
        c->dead[i] = c->hessian[i * k + i] == 0.0f;
    return PTQ_OK;
}

/* GPTAQ's correction for the equalized input. */
static ptq_status load_correction(const ptq_config *config, const ptq_equalization *e,
                                  const ptq_stats *stats, const int32_t *order,
                                  struct ptqi_curvature *c)
{
    float *mismatch = ptqi_alloc(config->context, c->k * c->k, (int64_t)sizeof *mismatch);
    ptq_status status = mismatch ? ptq_stats_mismatch(stats, mismatch) : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptqi_equalize_square(e, mismatch, 0);
    if (!status)
        status = ptqi_gptaq_correction(config, c, mismatch, order);
    ptqi_free(config->context, mismatch);
    return status;
}

/* What GPTQ needs of a curvature that is loaded: its factor, and GPTAQ's correction. */
static ptq_status factor_curvature(const ptq_config *config, const ptq_equalization *e,
                                   const ptq_stats *stats, const int32_t *order,
                                   struct ptqi_curvature *c)
{
    if (config->rounding == PTQ_ROUNDING_RTN)
        return PTQ_OK;
    c->factor = ptqi_alloc(config->context, c->k * c->k, (int64_t)sizeof *c->factor);
    if (!c->factor)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptqi_gptq_factor(config, c, order));
    return config->gptaq > 0 ? load_correction(config, e, stats, order, c) : PTQ_OK;
}

/* H is symmetric: columns before a block count twice with it, those after it are left out. */
ptq_status ptqi_energy(ptq_context *context, const float *hessian, int64_t k, int64_t n,
                       const float *d, float *product, double *sum)
{
    *sum = 0;
    for (int64_t first = 0; first < k; first += PTQI_ENERGY_BLOCK) {
        const int64_t columns = ptqi_min(PTQI_ENERGY_BLOCK, k - first);
        for (int own = first == 0; own < 2; own++) {
            const int64_t from = own ? first : 0, inner = own ? columns : first;
            const struct ptqi_matrix a = {d + from, k, 1};
            const struct ptqi_matrix h = {hessian + from * k + first, k, 1};
            double part = 0;
            PTQI_TRY(ptqi_matmul(context, n, columns, inner, a, h, product, columns, 0));
            for (int64_t row = 0; row < n; row++)
                for (int64_t c = 0; c < columns; c++)
                    part += (double)d[row * k + first + c] * (double)product[row * columns + c];
            *sum += own ? part : 2 * part;
        }
    }
    return PTQ_OK;
}

/* |a|^2 of n x k numbers. */
static double squares(const float *a, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)a[i];
    return sum;
}

/* weight_error, in the original basis, and, with a Hessian, output_error of q; w is the equalized
 * matrix and c the curvature of the equalized input: there D' H' D'^T = D H D^T. w is restored. */
static ptq_status measure(const ptq_equalization *e, float *w, const struct ptqi_curvature *c,
                          struct ptq_qtensor *q)
{
    ptq_context *context = q->context;
    int64_t count = q->n * q->k;
    int32_t *group_of = ptqi_alloc(context, q->k, (int64_t)sizeof *group_of);
    float *difference = ptqi_alloc(context, count, (int64_t)sizeof *difference);
    float *product =
        ptqi_alloc(context, c->hessian ? q->n * PTQI_ENERGY_BLOCK : 0, (int64_t)sizeof *product);
    double lost = 0, whole = 0;
    ptq_status status =
        group_of && difference && product ? ptq_qtensor_group_index(q, group_of) : PTQ_ERROR_MEMORY;
    if (!status)
        ptqi_qtensor_dequantize_rows(q, group_of, 0, q->n, difference);
    for (int64_t i = 0; i < count && !status; i++)
        difference[i] = w[i] - difference[i];
    if (!status && c->hessian) {
        status = ptqi_energy(context, c->hessian, q->k, q->n, difference, product, &lost);
        if (!status)
            status = ptqi_energy(context, c->hessian, q->k, q->n, w, product, &whole);
        lost = lost > 0 ? lost : 0; /* rounding can leave a tiny negative sum */
        q->output_error = whole > 0 ? lost / whole : 0;
        q->output_energy = whole;
    }
    if (!status) {
        ptqi_restore_weights(e, difference, q->n);
        ptqi_restore_weights(e, w, q->n);
        q->weight_energy = squares(w, count);
        q->weight_error = q->weight_energy > 0 ? squares(difference, count) / q->weight_energy : 0;
    }
    ptqi_free(context, group_of);
    ptqi_free(context, difference);
    ptqi_free(context, product);
    return status;
}

/* What the matrices of one call share. */
struct shared {
    const ptq_config *config;
    const ptq_equalization *e;
    const ptq_stats *stats;
    struct ptqi_curvature curvature;
    int32_t *order;
};

static int is_two_level(const struct shared *s)
{
    if (s->config->scales != PTQ_AUTO)
        return s->config->scales == PTQ_SCALES_TWO_LEVEL;
    return s->e->activations != PTQ_ACTIVATIONS_F32 && s->config->bits < 8 &&
           s->config->scale_dtype != PTQ_DTYPE_BF16;
}

/* An empty qtensor of the config's kind for a matrix of n x k. */
static ptq_status new_qtensor(const struct shared *s, int64_t n, int64_t k, ptq_qtensor **out)
{
    const ptq_config *config = s->config;
    const int two_level = is_two_level(s);
    PTQI_TRY(ptq_qtensor_create(config->context, n, k, config->bits, config->group, out));
    struct ptq_qtensor *q = *out;
    q->codes = ptqi_alloc(config->context, n * k, 1);
    q->scales = ptqi_alloc(config->context, n * q->groups, (int64_t)sizeof *q->scales);
    if (!config->symmetric)
        q->zeros = ptqi_alloc(config->context, n * q->groups, 1);
    if (two_level)
        q->row_scales = ptqi_alloc(config->context, n, (int64_t)sizeof *q->row_scales);
    if (!q->codes || !q->scales || (!config->symmetric && !q->zeros) ||
        (two_level && !q->row_scales))
        return PTQ_ERROR_MEMORY;
    /* The order matters only where it decides which columns make a group. */
    if (s->order && !config->static_groups && q->groups > 1)
        return ptq_qtensor_set_order(q, s->order);
    return PTQ_OK;
}

static int has_weights(const float *w, int64_t count)
{
    int64_t i = 0;
    while (i < count && w[i] == 0)
        i++;
    return i < count;
}

/* Rounds w, W * s of matrix number index: a copy of it, clipped where that is asked for. */
static ptq_status round_matrix(const struct shared *s, int64_t index, const float *w,
                               const struct ptqi_curvature *c, ptq_qtensor *q)
{
    const ptq_config *config = s->config;
    int clip = config->clip && !(index < 32 && config->clip_except >> index & 1);
    float *clipped = NULL;
    ptq_status status = PTQ_OK;
    if (clip) {
        if (!(clipped = ptqi_alloc(config->context, q->n * q->k, (int64_t)sizeof *clipped)))
            return PTQ_ERROR_MEMORY;
        memcpy(clipped, w, (size_t)(q->n * q->k) * sizeof *clipped);
        status = ptqi_clip_awq(config, s->stats, s->e, q->n, q->k, clipped);
        w = clipped;
    }
    if (!status)
        status = config->rounding == PTQ_ROUNDING_RTN ? ptqi_round_rtn(config, w, q)
                                                      : ptqi_round_gptq(config, w, c, s->order, q);
    if (!status && config->rounding == PTQ_ROUNDING_GPTQ_PLUS)
        status = ptqi_refine(config, w, c, s->order, q);
    if (!status && has_weights(w, q->n * q->k))
        status = ptqi_check_scales(config, q->scales, q->n * q->groups);
    ptqi_free(config->context, clipped);
    return status;
}

static ptq_status set_scheme(const struct shared *s, ptq_qtensor *q)
{
    PTQI_TRY(ptq_qtensor_set_activations(q, s->e->activations));
    if (s->e->activation_scale > 0)
        PTQI_TRY(ptq_qtensor_set_activation_scale(q, s->e->activation_scale));
    PTQI_TRY(ptq_qtensor_set_rotation(q, s->e->rotation));
    q->equalize = s->e->equalize;
    return s->e->scale ? ptq_qtensor_set_input_scale(q, s->e->scale) : PTQ_OK;
}

static ptq_status quantize_one(const struct shared *s, int64_t index, const ptq_tensor *weight,
                               const ptq_stats *own_stats, ptq_qtensor **q)
{
    ptq_context *context = s->config->context;
    struct ptqi_curvature own = {0};
    if (own_stats && (!own_stats->hessian || !own_stats->rows))
        own_stats = NULL; /* rtn takes any statistics; these know no error */
    const struct ptqi_curvature *c = own_stats ? &own : &s->curvature;
    const int64_t n = weight->shape[0], k = weight->shape[1];
    float *w = ptqi_alloc(context, weight->elements, (int64_t)sizeof *w);
    ptq_status status = w ? ptq_tensor_to_f32(weight, w) : PTQ_ERROR_MEMORY;
    if (!status)
        ptqi_equalize_weights(s->e, w, n);
    if (!status)
        status = ptqi_check_finite(context, "equalized weight", w, PTQ_DTYPE_F32, n, k, k);
    if (!status && own_stats)
        status = load_curvature(s->e, own_stats, &own);
    if (!status && own_stats)
        status = factor_curvature(s->config, s->e, own_stats, s->order, &own);
    if (!status)
        status = new_qtensor(s, n, k, q);
    if (!status)
        status = set_scheme(s, *q);
    if (!status)
        status = round_matrix(s, index, w, c, *q);
    if (!status)
        status = measure(s->e, w, c, *q);
    ptqi_free(context, w);
    free_curvature(context, &own);
    return status;
}

static ptq_status quantize_all(const struct shared *s, const ptq_tensor *const *weights,
                               int64_t count, const ptq_stats *const *own_stats, ptq_qtensor **q)
{
    ptq_context *context = s->config->context;
    for (int64_t i = 0; i < count; i++) {
        PTQI_TRY(ptqi_check_cancelled(context));
        ptq_status status = quantize_one(s, i, weights[i], own_stats ? own_stats[i] : NULL, &q[i]);
        if (status)
            return weights[i]->name ? ptqi_fail_at(context, status, weights[i]->name) : status;
        ptqi_progress(context, (double)(i + 1) / (double)count, label(weights[i]));
    }
    return PTQ_OK;
}

/* The curvature and the order that all matrices share. */
static ptq_status prepare_shared(struct shared *s)
{
    ptq_context *context = s->config->context;
    if (!s->stats || !s->stats->hessian || !s->stats->rows)
        return PTQ_OK;
    PTQI_TRY(load_curvature(s->e, s->stats, &s->curvature));
    const int64_t k = s->curvature.k;
    if (s->config->act_order) {
        s->order = ptqi_alloc(context, k, (int64_t)sizeof *s->order);
        if (!s->order)
            return PTQ_ERROR_MEMORY;
        PTQI_TRY(ptqi_gptq_order(context, &s->curvature, s->order));
    }
    return factor_curvature(s->config, s->e, s->stats, s->order, &s->curvature);
}

/* No qtensor is made on failure, whatever comes. */
static ptq_status clear_results(const char *function, const ptq_config *config, int64_t count,
                                ptq_qtensor **q)
{
    ptq_context *context = config ? config->context : NULL;
    PTQI_REQUIRE_FOR(context, function, q);
    PTQI_TRY(ptqi_check_count(context, function, count));
    memset(q, 0, (size_t)count * sizeof *q);
    return PTQ_OK;
}

ptq_status ptq_quantize_equalized(const ptq_config *config, const ptq_equalization *equalization,
                                  const ptq_tensor *const *weights, int64_t count,
                                  const ptq_stats *stats, const ptq_stats *const *own_stats,
                                  ptq_qtensor **q)
{
    PTQI_TRY(clear_results(__func__, config, count, q));
    PTQI_TRY(ptqi_check_call(__func__, config, weights, count));
    PTQI_REQUIRE(config->context, equalization);
    struct ptq_config resolved = *config; /* with what was chosen for the equalization */
    if (equalization->chosen) {
        resolved.equalize = equalization->choice;
        resolved.symmetric = equalization->symmetric;
        resolved.clip = equalization->clip;
        resolved.rotate = equalization->rotation;
        config = &resolved;
    }
    if (ptqi_is_open(config))
        return ptqi_fail(config->context, PTQ_ERROR_CONFLICT,
                         "the config leaves something open that the equalization does not say");
    struct shared s = {.config = config, .e = equalization, .stats = stats};
    PTQI_TRY(ptqi_check_weights(config, weights, count));
    PTQI_TRY(ptqi_check_runs(config, equalization->activations, weights[0]->shape[1]));
    PTQI_TRY(check_arguments(config, equalization, weights, count, stats, own_stats));
    ptq_status status = prepare_shared(&s);
    if (!status)
        status = quantize_all(&s, weights, count, own_stats, q);
    for (int64_t i = 0; i < count && status; i++) {
        ptq_qtensor_free(q[i]);
        q[i] = NULL;
    }
    ptqi_free(config->context, s.order);
    free_curvature(config->context, &s.curvature);
    return status;
}

ptq_status ptq_quantize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                        const ptq_stats *stats, const ptq_stats *const *own_stats, ptq_qtensor **q)
{
    ptq_equalization *e;
    PTQI_TRY(clear_results(__func__, config, count, q));
    PTQI_TRY(ptqi_check_call(__func__, config, weights, count));
    if (ptqi_is_open(config)) {
        PTQI_TRY(ptqi_check_weights(config, weights, count));
        return ptqi_choose(config, weights, count, stats, own_stats, NULL, NULL, q);
    }
    PTQI_TRY(ptq_equalize(config, weights, count, stats, NULL, &e));
    ptq_status status = ptq_quantize_equalized(config, e, weights, count, stats, own_stats, q);
    ptq_equalization_free(e);
    return status;
}
