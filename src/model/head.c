/*
 * The head: from the residual stream to logits.
 */
#include "base/context.h"
#include "checkpoint/checkpoint.h"
#include "model/architecture.h"
#include "model/token_matrix.h"
#include "rows/rows.h"

/* The largest block of columns that can be mixed. Mixing spreads the few large inputs that the last
 * norm has, which int8 activations need: without it, SmolLM2's perplexity rises by 1.5 %. */
static int32_t rotation(int64_t hidden)
{
    return hidden % 128 == 0 ? 128 : hidden % 64 == 0 ? 64 : hidden % 32 == 0 ? 32 : 0;
}

static ptq_status quantize(struct model *m, ptq_config *config)
{
    const ptq_tensor *const weights[] = {m->head->plain};
    ptq_qtensor *q;
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_BITS, 8));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_GROUP, 0));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_INT8_TOKEN));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_ROTATE, rotation(m->config.hidden)));
    PTQI_TRY(ptq_quantize(config, weights, 1, NULL, NULL, &q));
    const ptq_status status = ptq_linear_create(m->context, q, &m->head_matrix.linear);
    if (m->head == &m->embedding && !status)
        m->embedding.quantized = q; /* besides the plain one, which is mapped */
    else
        ptq_qtensor_free(q);
    return status;
}

ptq_status model_quantize_head(struct model *m)
{
    ptq_config *config;
    if (m->head->quantized)
        return ptqi_fail(m->context, PTQ_ERROR_CONFLICT,
                         "%s: the head is quantized already, so --head-bits has nothing to act on",
                         m->checkpoint->path);
    PTQI_TRY(ptq_config_create(m->context, PTQ_METHOD_RTN, &config));
    const ptq_status status = quantize(m, config);
    ptq_config_free(config);
    return status;
}

/* Packs or widens the head, unless that was done before. */
static ptq_status prepare(struct model *m)
{
    struct matrix *head = &m->head_matrix;
    head->n = m->config.vocabulary;
    head->k = m->config.hidden;
    if (head->linear || head->weight)
        return PTQ_OK;
    if (m->head->quantized)
        return ptq_linear_create(m->context, m->head->quantized, &head->linear);
    head->weight = ptqi_alloc(m->context, head->n * head->k, (int64_t)sizeof *head->weight);
    return head->weight ? token_matrix_to_f32(m->head, head->weight) : PTQ_ERROR_MEMORY;
}

ptq_status model_logits(struct model *m, const float *x, int64_t rows, float *logits)
{
    const struct model_config *c = &m->config;
    PTQI_TRY(prepare(m));
    float *normed = ptqi_alloc(m->context, rows * c->hidden, (int64_t)sizeof *normed);
    if (!normed)
        return PTQ_ERROR_MEMORY;
    norm_rows(m, &m->final_norm, x, rows, normed);
    const ptq_status status = matrix_run(m->context, &m->head_matrix, normed, rows, logits);
    ptqi_free(m->context, normed);
    if (!status)
        row_soft_cap(c->final_cap, logits, rows * c->vocabulary);
    return status;
}
