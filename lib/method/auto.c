/*
 * auto: for matrices that share an input, which equalization, which rotation, which kind of zero
 * points and whether to clip, wherever the config leaves that open.
 *
 * Each candidate is tried in earnest: equalized, rounded by the config's rounding, and measured.
 * Its error is the sum over the matrices of
 *
 *     |X (W - Q)^T|^2 / |X W^T|^2  +  |(X' - Xq) Q'^T|^2 / |X' Q'^T|^2,
 *
 * the first term in Hessian space, by statistics of the matrix's own where it has them, the second,
 * where activations are int8, on the rows that the statistics keep: X' the equalized rows and Xq
 * what int8 makes of them. The choices are made one after the other, in the order of what they
 * usually win; beginning from the plain matrix, each keeps what loses least.
 */
#include <math.h>
#include <string.h>
#include "base/exact.h"
#include "linalg/matmul.h"
#include "linalg/vector.h"
#include "method.h"
#include "qtensor.h"
#include "stats.h"
#include "tensor.h"

#define ERROR_ROWS 256 /* of the sample, for the error of int8 activations */

struct trial {
    struct ptq_config config; /* with nothing left open */
    ptq_equalization *e;
    ptq_qtensor **q; /* [count] */
    double *errors;  /* [count] */
    double error;    /* their sum */
};

struct search {
    const struct ptq_config *config;
    const ptq_tensor *const *weights;
    int64_t count;
    const ptq_stats *stats;
    const ptq_stats *const *own_stats;
    const int32_t *ties;
    struct trial best;
    double *plain; /* [count], errors of the first trial */
};

static void clear(struct search *s, struct trial *t)
{
    for (int64_t i = 0; t->q && i < s->count; i++)
        ptq_qtensor_free(t->q[i]);
    ptq_equalization_free(t->e);
    ptqi_free(s->config->context, t->q);
    ptqi_free(s->config->context, t->errors);
    memset(t, 0, sizeof *t);
}

/* rows [count][k] of the equalized input become what int8 makes of them. */
static void quantize_rows(const ptq_equalization *e, float *rows, int64_t count)
{
    const float shared = e->activations == PTQ_ACTIVATIONS_INT8_STATIC
                             ? e->activation_scale
                             : ptqi_absmax(e->context, rows, count * e->k) / 127.0f;
    for (int64_t t = 0; t < count; t++) {
        float *row = rows + t * e->k, scale = shared;
        if (e->activations == PTQ_ACTIVATIONS_INT8_TOKEN)
            scale = ptqi_absmax(e->context, row, e->k) / 127.0f;
        for (int64_t c = 0; scale > 0 && c < e->k; c++) {
            float v = row[c] / scale;
            v = v < -127.0f ? -127.0f : v > 127.0f ? 127.0f : v;
            row[c] = ptqi_round_even(v) * scale;
        }
    }
}

/* |(X' - Xq) Q'^T|^2 / |X' Q'^T|^2; x [rows][k] is X' and d its difference to Xq. */
static ptq_status activation_error(const ptq_qtensor *q, const float *x, const float *d,
                                   int64_t rows, double *error)
{
    ptq_context *context = q->context;
    int32_t *group_of = ptqi_alloc(context, q->k, (int64_t)sizeof *group_of);
    float *w = ptqi_alloc(context, q->n * q->k, (int64_t)sizeof *w);
    float *y = ptqi_alloc(context, rows * q->n, (int64_t)sizeof *y);
    double sums[2] = {0, 0};
    ptq_status status =
        group_of && w && y ? ptq_qtensor_group_index(q, group_of) : PTQ_ERROR_MEMORY;
    if (!status)
        ptqi_qtensor_dequantize_rows(q, group_of, 0, q->n, w);
    for (int side = 0; side < 2 && !status; side++) {
        status = ptqi_matmul_linear(context, rows, q->n, q->k, side ? d : x, w, y);
        for (int64_t i = 0; i < rows * q->n && !status; i++)
            sums[side] += (double)y[i] * (double)y[i];
    }
    *error = sums[0] > 0 ? sums[1] / sums[0] : 0;
    ptqi_free(context, group_of);
    ptqi_free(context, w);
    ptqi_free(context, y);
    return status;
}

/* Adds what int8 activations lose to the errors of a trial. */
static ptq_status add_activation_errors(const struct search *s, struct trial *t)
{
    ptq_context *context = s->config->context;
    const int64_t k = t->e->k, step = (s->stats->sampled + ERROR_ROWS - 1) / ERROR_ROWS;
    const int64_t rows = (s->stats->sampled + step - 1) / step;
    float *x = ptqi_alloc(context, rows * k, (int64_t)sizeof *x);
    float *d = ptqi_alloc(context, rows * k, (int64_t)sizeof *d);
    ptq_status status = x && d ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < rows && !status; i++)
        memcpy(x + i * k, s->stats->sample + i * step * k, (size_t)k * sizeof *x);
    if (!status) {
        ptqi_equalize_rows(t->e, x, rows);
        memcpy(d, x, (size_t)(rows * k) * sizeof *d);
        quantize_rows(t->e, d, rows);
        for (int64_t i = 0; i < rows * k; i++)
            d[i] = x[i] - d[i];
    }
    for (int64_t i = 0; i < s->count && !status; i++) {
        double error;
        status = activation_error(t->q[i], x, d, rows, &error);
        t->errors[i] += error;
    }
    ptqi_free(context, x);
    ptqi_free(context, d);
    return status;
}

static ptq_status run(const struct search *s, struct trial *t)
{
    ptq_context *context = s->config->context;
    t->q = ptqi_alloc_zero(context, s->count, (int64_t)sizeof *t->q);
    t->errors = ptqi_alloc_zero(context, s->count, (int64_t)sizeof *t->errors);
    if (!t->q || !t->errors)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptq_equalize(&t->config, s->weights, s->count, s->stats, s->ties, &t->e));
    PTQI_TRY(ptq_quantize_equalized(&t->config, t->e, s->weights, s->count, s->stats, s->own_stats,
                                    t->q));
    for (int64_t i = 0; i < s->count; i++)
        t->errors[i] = ptq_qtensor_output_error(t->q[i]);
    if (t->e->activations != PTQ_ACTIVATIONS_F32 && s->stats->sampled)
        PTQI_TRY(add_activation_errors(s, t));
    t->error = 0;
    for (int64_t i = 0; i < s->count; i++)
        t->error += t->errors[i];
    return PTQ_OK;
}

/* Tries a config and keeps it where it is better, or the first. */
static ptq_status try(struct search *s, const struct ptq_config *config)
{
    struct trial t = {.config = *config};
    ptq_status status = run(s, &t);
    if (!status && (!s->best.q || t.error < s->best.error)) {
        struct trial swap = s->best;
        s->best = t;
        t = swap;
    }
    clear(s, &t);
    return status;
}

/* Tries other values of one choice, the rest as it is in the best so far. */
static ptq_status improve(struct search *s, size_t field, const int32_t *values, int count)
{
    struct ptq_config config = s->best.config;
    int32_t *value = (int32_t *)(void *)((char *)&config + field), now = *value;
    for (int i = 0; i < count; i++) {
        *value = values[i];
        if (values[i] != now)
            PTQI_TRY(try(s, &config));
    }
    return PTQ_OK;
}

/* Zero points are no candidate where sums with them might not fit. */
static int zeros_can_run(const struct search *s)
{
    const struct ptq_config *c = s->config;
    return c->activations == PTQ_ACTIVATIONS_F32 ||
           ptqi_widest_group(c, s->weights[0]->shape[1]) <= ptqi_most_columns((1 << c->bits) - 1);
}

static ptq_status search(struct search *s)
{
    static const int32_t rotations[] = {64, 32, 128}, symmetric[] = {0}, clip[] = {1};
    static const int32_t equalizations[] = {PTQ_EQUALIZE_AWQ, PTQ_EQUALIZE_LAE,
                                            PTQ_EQUALIZE_SMOOTHQUANT};
    const struct ptq_config *c = s->config;
    const int best = c->effort == PTQ_EFFORT_BEST;
    struct ptq_config plain = *c;
    if (c->equalize == PTQ_AUTO)
        plain.equalize = PTQ_EQUALIZE_NONE;
    if (c->rotate == PTQ_AUTO)
        plain.rotate = 0;
    if (c->symmetric == PTQ_AUTO)
        plain.symmetric = 1;
    if (c->clip == PTQ_AUTO)
        plain.clip = 0;
    if (c->effort == PTQ_EFFORT_FAST) { /* without what only GPTQ's rounding knows */
        plain.rounding = PTQ_ROUNDING_RTN;
        plain.gptaq = 0;
        plain.act_order = plain.static_groups = 0;
    }
    PTQI_TRY(try(s, &plain));
    memcpy(s->plain, s->best.errors, (size_t)s->count * sizeof *s->plain);
    if (c->rotate == PTQ_AUTO)
        PTQI_TRY(improve(s, offsetof(struct ptq_config, rotate), rotations, best ? 3 : 1));
    if (c->equalize == PTQ_AUTO)
        PTQI_TRY(improve(s, offsetof(struct ptq_config, equalize), equalizations, best ? 3 : 2));
    if (c->symmetric == PTQ_AUTO && zeros_can_run(s))
        PTQI_TRY(improve(s, offsetof(struct ptq_config, symmetric), symmetric, 1));
    if (c->clip == PTQ_AUTO && best)
        PTQI_TRY(improve(s, offsetof(struct ptq_config, clip), clip, 1));
    if (plain.rounding == c->rounding)
        return PTQ_OK;
    struct ptq_config final = *c; /* the choice was made by a cheaper rounding */
    final.equalize = s->best.config.equalize;
    final.rotate = s->best.config.rotate;
    final.symmetric = s->best.config.symmetric;
    final.clip = s->best.config.clip;
    clear(s, &s->best);
    return try(s, &final);
}

int ptqi_is_open(const struct ptq_config *c)
{
    return c->equalize == PTQ_AUTO || c->rotate == PTQ_AUTO || c->symmetric == PTQ_AUTO ||
           c->clip == PTQ_AUTO;
}

ptq_status ptqi_choose(const struct ptq_config *config, const ptq_tensor *const *weights,
                       int64_t count, const ptq_stats *stats, const ptq_stats *const *own_stats,
                       const int32_t *ties, ptq_equalization **e, ptq_qtensor **q)
{
    ptq_context *context = config->context;
    struct search s = {.config = config,
                       .weights = weights,
                       .count = count,
                       .stats = stats,
                       .own_stats = own_stats,
                       .ties = ties};
    if (!stats || !stats->hessian || !stats->rows)
        return ptqi_fail(context, PTQ_ERROR_MISSING,
                         "auto needs statistics with PTQ_STATS_HESSIAN that have seen rows");
    s.plain = ptqi_alloc_zero(context, count, (int64_t)sizeof *s.plain);
    ptq_status status = s.plain ? search(&s) : PTQ_ERROR_MEMORY;
    if (!status) {
        s.best.e->chosen = 1;
        s.best.e->choice = s.best.config.equalize;
        s.best.e->symmetric = s.best.config.symmetric;
        s.best.e->clip = s.best.config.clip;
    }
    for (int64_t i = 0; i < count && !status && q; i++) {
        s.best.q[i]->plain_error = s.plain[i];
        s.best.q[i]->chosen_error = s.best.errors[i];
        q[i] = s.best.q[i];
        s.best.q[i] = NULL;
    }
    if (!status && e) {
        *e = s.best.e;
        s.best.e = NULL;
    }
    clear(&s, &s.best);
    ptqi_free(context, s.plain);
    return status;
}
