/*
 * Folding an equalization: x' = x / s is made by the operation before, W' = W s takes it. For norms
 * the weight is divided; where the input of a site is linear in the output of a matrix (attention
 * passes v on, the MLP multiplies by up), the rows of that matrix are.
 */
#include <string.h>
#include "base/context.h"
#include "base/half.h"
#include "model/architecture.h"
#include "model/equalize.h"

void fold_ties(const struct model_config *config, int32_t *ties)
{
    const int64_t d = config->head_dim, share = config->heads / config->kv_heads;
    for (int64_t h = 0; h < config->heads; h++)
        for (int64_t i = 0; i < d; i++)
            ties[h * d + i] = (int32_t)(h / share * d + i);
}

/* Divides a norm by done, which becomes what the rounded weight really was divided by. */
static void fold_norm(struct norm *norm, int64_t k, int32_t dtype, float *done)
{
    for (int64_t c = 0; c < k; c++) {
        float folded = ptqi_round_to(norm->weight[c] / done[c], dtype);
        if (folded == 0.0f || folded - folded != 0) {
            done[c] = 1.0f; /* nothing of the channel would be left: leave it as it is */
            continue;
        }
        done[c] = norm->weight[c] / folded;
        norm->weight[c] = folded;
        if (norm->bias)
            norm->bias[c] = ptqi_round_to(norm->bias[c] / done[c], dtype);
    }
}

static void divide_row(struct matrix *m, int64_t n, int32_t dtype, float scale)
{
    for (int64_t c = 0; c < m->k; c++)
        m->weight[n * m->k + c] /= scale;
    if (m->bias)
        m->bias[n] = ptqi_round_to(m->bias[n] / scale, dtype);
}

/* Divides the rows that make values, head after head, by the scales of the channels they become:
 * rows of v_proj, shared by the heads of a group, or the last third of each head of a fused matrix.
 */
static void fold_values(struct matrix *before, const struct model_config *c, int32_t dtype,
                        const float *scale)
{
    const int64_t d = c->head_dim, share = c->heads / c->kv_heads;
    const int fused = c->architecture->matrices[0].n == WIDTH_FUSED;
    for (int64_t h = 0; h < c->kv_heads; h++)
        for (int64_t i = 0; i < d; i++)
            divide_row(before, fused ? (3 * h + 2) * d + i : h * d + i, dtype,
                       scale[h * share * d + i]);
}

int fold_is_possible(const struct model *m, enum site site)
{
    return site != SITE_DOWN || m->config.architecture->before_down;
}

ptq_status fold_site(const struct model *m, struct block *b, enum site site, const float *scale)
{
    const struct architecture *a = m->config.architecture;
    const int64_t k = site == SITE_DOWN     ? m->config.intermediate
                      : site == SITE_OUTPUT ? m->config.heads * m->config.head_dim
                                            : m->config.hidden;
    float *done = ptqi_alloc(m->context, k, (int64_t)sizeof *done);
    if (!done)
        return PTQ_ERROR_MEMORY;
    memcpy(done, scale, (size_t)k * sizeof *done);
    if (site == SITE_ATTENTION || site == SITE_MLP)
        fold_norm(&b->norms[site == SITE_MLP], k, b->norm_dtype, done);
    else if (site == SITE_OUTPUT)
        fold_values(block_find(b, a->before_output), &m->config, b->norm_dtype, done);
    else
        for (int64_t n = 0; n < k; n++)
            divide_row(block_find(b, a->before_down), n, b->norm_dtype, done[n]);
    for (int i = 0; i < b->count; i++) {
        struct matrix *matrix = &b->matrices[i];
        for (int64_t j = 0; matrix->site == site && j < matrix->n * k; j++)
            matrix->weight[j] *= done[j % k];
    }
    ptqi_free(m->context, done);
    return PTQ_OK;
}
