/*
 * Folding an equalization: x' = x / s is made by the operation before, W' = W s takes it. For norms
 * the weight is divided; where the input of a site is linear in the output of a matrix (attention
 * passes v on, the MLP multiplies by up), the rows of that matrix are.
 */
#include <string.h>
#include "base/context.h"
#include "base/half.h"
#include "model/equalize.h"

void fold_ties(const struct model_config *config, int32_t *ties)
{
    const int64_t d = config->head_dim, share = config->heads / config->kv_heads;
    for (int64_t h = 0; h < config->heads; h++)
        for (int64_t i = 0; i < d; i++)
            ties[h * d + i] = (int32_t)(h / share * d + i);
}

/* Divides a norm by done, which becomes what the rounded weight really was divided by. */
static void fold_norm(float *weight, int64_t k, int32_t dtype, float *done)
{
    for (int64_t c = 0; c < k; c++) {
        float folded = ptqi_round_to(weight[c] / done[c], dtype);
        if (folded == 0.0f || folded - folded != 0) {
            done[c] = 1.0f; /* nothing of the channel would be left: leave it as it is */
            continue;
        }
        done[c] = weight[c] / folded;
        weight[c] = folded;
    }
}

/* Divides rows of the matrix before by the scale of the channel that each becomes. */
static void fold_rows(struct matrix *before, const struct model_config *config, enum site site,
                      int32_t dtype, const float *scale)
{
    const int64_t d = config->head_dim, share = config->heads / config->kv_heads;
    for (int64_t n = 0; n < before->n; n++) {
        int64_t channel = site == SITE_OUTPUT ? n / d * share * d + n % d : n;
        for (int64_t c = 0; c < before->k; c++)
            before->weight[n * before->k + c] /= scale[channel];
        if (before->bias)
            before->bias[n] = ptqi_round_to(before->bias[n] / scale[channel], dtype);
    }
}

ptq_status fold_site(const struct model *m, struct block *b, enum site site, const float *scale)
{
    const int64_t k = site == SITE_DOWN     ? m->config.intermediate
                      : site == SITE_OUTPUT ? m->config.heads * m->config.head_dim
                                            : m->config.hidden;
    float *done = ptqi_alloc(m->context, k, (int64_t)sizeof *done);
    if (!done)
        return PTQ_ERROR_MEMORY;
    memcpy(done, scale, (size_t)k * sizeof *done);
    if (site == SITE_ATTENTION)
        fold_norm(b->attention_norm, k, b->norm_dtype, done);
    else if (site == SITE_MLP)
        fold_norm(b->mlp_norm, k, b->norm_dtype, done);
    else
        fold_rows(block_find(b, site == SITE_OUTPUT ? "v_proj" : "up_proj"), &m->config, site,
                  b->norm_dtype, done);
    for (int i = 0; i < b->count; i++) {
        struct matrix *matrix = &b->matrices[i];
        for (int64_t j = 0; matrix->site == site && j < matrix->n * k; j++)
            matrix->weight[j] *= done[j % k];
    }
    ptqi_free(m->context, done);
    return PTQ_OK;
}
