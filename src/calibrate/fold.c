/*
 * Folds an equalization: the preceding operation produces x' = x / s, and W' = W s takes it. If
 * that operation is a norm, its weight is divided. If the input of a site is linear in the output
 * of a matrix (attention passes v on, the MLP multiplies by up), the rows of that matrix are
 * divided.
 */
#include <string.h>
#include "calibrate/fold.h"
#include "base/context.h"
#include "base/half.h"
#include "model/architecture.h"
#include "model/weights.h"

void fold_ties(const struct model_config *config, int32_t *ties)
{
    const int64_t d = config->head_dim, share = config->heads / config->kv_heads;
    for (int64_t h = 0; h < config->heads; h++)
        for (int64_t i = 0; i < d; i++)
            ties[h * d + i] = (int32_t)(h / share * d + i);
}

static int is_finite(float x)
{
    return x - x == 0;
}

/* Divides a norm by done, and sets done to the factor by which the rounded weight was really
 * divided. A channel that would vanish or overflow is left unchanged, with done 1. */
static ptq_status fold_norm(const struct model *m, struct norm *norm, int64_t k, float *done)
{
    float *weight = norm->weight.values, *bias = norm->bias.values;
    const float one = m->config.architecture->norm_plus_one ? 1.0f : 0.0f;
    for (int64_t c = 0; c < k; c++) {
        const float stored = ptqi_round_to((one + weight[c]) / done[c] - one, norm->weight.dtype);
        const float folded = one + stored, ratio = (one + weight[c]) / folded;
        float moved = bias ? ptqi_round_to(bias[c] / ratio, norm->bias.dtype) : 0.0f;
        if (folded == 0.0f || !is_finite(folded) || !is_finite(ratio) || !is_finite(moved)) {
            done[c] = 1.0f;
            continue;
        }
        done[c] = ratio;
        weight[c] = stored;
        if (bias)
            bias[c] = moved;
    }
    return norm_apply_one(m, norm);
}

/* Whether row n of a matrix can be divided by scale: the result must fit the dtype of its bias. */
static int can_divide(const struct matrix *m, int64_t n, float scale)
{
    return !m->bias.values || is_finite(ptqi_round_to(m->bias.values[n] / scale, m->bias.dtype));
}

static void divide_row(struct matrix *m, int64_t n, float scale)
{
    for (int64_t c = 0; c < m->k; c++)
        m->weight[n * m->k + c] /= scale;
    if (m->bias.values)
        m->bias.values[n] = ptqi_round_to(m->bias.values[n] / scale, m->bias.dtype);
}

/* The row of the preceding matrix that produces channel c of a site's input. Heads of q share the
 * values of their group. */
static int64_t row_before(const struct model_config *c, const struct matrix *before,
                          int64_t channel)
{
    const int64_t d = c->head_dim, share = c->heads / c->kv_heads;
    if (before->role == ROLE_UP)
        return channel;
    if (before->role == ROLE_GATE_UP)
        return before->n / 2 + channel;
    return role_value_row(c, before->role, channel / d / share * d + channel % d);
}

/* Divides the rows that produce the channels of a site's input by done, which is the same for all
 * channels of one row, and is set to 1 if the row cannot be divided. */
static void fold_rows(struct matrix *before, const struct model_config *c, int64_t k, float *done)
{
    int64_t last = -1;
    for (int64_t channel = 0; channel < k; channel++)
        if (!can_divide(before, row_before(c, before, channel), done[channel]))
            done[channel] = 1.0f;
    for (int64_t channel = 0; channel < k; channel++) {
        const int64_t row = row_before(c, before, channel);
        if (row <= last) /* another head of the group, which shares the row */
            continue;
        divide_row(before, row, done[channel]);
        last = row;
    }
}

int fold_is_possible(const struct model *m, enum site site)
{
    return site != SITE_DOWN || architecture_has(m->config.architecture, ROLE_GATE) ||
           architecture_has(m->config.architecture, ROLE_GATE_UP);
}

/* Multiplies the columns of a matrix [n][k]. */
static void multiply_columns(float *weight, int64_t n, int64_t k, const float *factor)
{
    for (int64_t i = 0; i < n * k; i++)
        weight[i] *= factor[i % k];
}

/* The width of a site's input. */
static int64_t width_of(const struct model_config *c, enum site site, int64_t expert)
{
    return site == SITE_DOWN     ? expert < 0 ? c->intermediate : c->expert_width
           : site == SITE_OUTPUT ? c->heads * c->head_dim
                                 : c->hidden;
}

ptq_status fold_site(const struct model *m, struct block *b, enum site site, int64_t expert,
                     const float *scale)
{
    const struct architecture *a = m->config.architecture;
    const enum role values = architecture_has(a, ROLE_QKV) ? ROLE_QKV : ROLE_V;
    const enum role up = architecture_has(a, ROLE_GATE_UP) ? ROLE_GATE_UP : ROLE_UP;
    const enum role before = site == SITE_DOWN ? up : values;
    const int64_t k = width_of(&m->config, site, expert);
    float *done = ptqi_alloc(m->context, k, (int64_t)sizeof *done);
    if (!done)
        return PTQ_ERROR_MEMORY;
    memcpy(done, scale, (size_t)k * sizeof *done);
    ptq_status status = PTQ_OK;
    if (site == SITE_ATTENTION || site == SITE_MLP)
        status = fold_norm(m, &b->norms[site == SITE_MLP ? NORM_MLP : NORM_ATTENTION], k, done);
    else
        fold_rows(block_matrix(b, before, expert), &m->config, k, done);
    for (int i = 0; i < b->count; i++) {
        struct matrix *matrix = &b->matrices[i];
        if (matrix->site == site && (expert < 0 || matrix->expert == expert))
            multiply_columns(matrix->weight, matrix->n, k, done);
    }
    if (site == SITE_MLP && b->experts) {
        multiply_columns(b->router.values, b->experts, k, done);
        b->router.dtype = PTQ_DTYPE_F32;
    }
    ptqi_free(m->context, done);
    return status;
}
