/*
 * The head: from the residual stream to logits.
 */
#include "base/context.h"
#include "linalg/matmul.h"
#include "model/architecture.h"
#include "rows/rows.h"

static ptq_status quantize(struct model *m, ptq_config *config)
{
    const ptq_tensor *const weights[] = {m->head};
    ptq_qtensor *q;
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_BITS, 8));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_GROUP, 0));
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_INT8_TOKEN));
    PTQI_TRY(ptq_quantize(config, weights, 1, NULL, NULL, &q));
    const ptq_status status = ptq_linear_create(m->context, q, &m->head_linear);
    ptq_qtensor_free(q);
    return status;
}

ptq_status model_quantize_head(struct model *m)
{
    ptq_config *config;
    PTQI_TRY(ptq_config_create(m->context, PTQ_METHOD_RTN, &config));
    const ptq_status status = quantize(m, config);
    ptq_config_free(config);
    return status;
}

static ptq_status apply_quantized(const struct model *m, const float *x, int64_t rows,
                                  float *logits)
{
    const struct model_config *c = &m->config;
    const ptq_linear *linears[] = {m->head_linear};
    ptq_call *call;
    PTQI_TRY(ptq_call_create(m->context, linears, 1, &call));
    ptq_status status = ptq_call_set_x(call, x, PTQ_DTYPE_F32, rows, c->hidden);
    if (!status)
        status = ptq_call_set_y(call, 0, logits, PTQ_DTYPE_F32, rows, c->vocabulary);
    if (!status)
        status = ptq_call_run(call, NULL, 0);
    ptq_call_free(call);
    return status;
}

static ptq_status apply_plain(struct model *m, const float *x, int64_t rows, float *logits)
{
    const struct model_config *c = &m->config;
    if (!m->head_f32) {
        m->head_f32 = ptqi_alloc(m->context, ptq_tensor_elements(m->head), 4);
        if (!m->head_f32)
            return PTQ_ERROR_MEMORY;
        PTQI_TRY(ptq_tensor_to_f32(m->head, m->head_f32));
    }
    return ptqi_matmul_linear(m->context, rows, c->vocabulary, c->hidden, x, m->head_f32, logits);
}

ptq_status model_logits(struct model *m, const float *x, int64_t rows, float *logits)
{
    const struct model_config *c = &m->config;
    float *normed = ptqi_alloc(m->context, rows * c->hidden, (int64_t)sizeof *normed);
    if (!normed)
        return PTQ_ERROR_MEMORY;
    norm_rows(m, &m->final_norm, x, rows, normed);
    const ptq_status status = m->head_linear ? apply_quantized(m, normed, rows, logits)
                                             : apply_plain(m, normed, rows, logits);
    ptqi_free(m->context, normed);
    if (!status)
        row_soft_cap(c->final_cap, logits, rows * c->vocabulary);
    return status;
}
