/*
 * Opening a model: names and shapes according to its architecture, the embedding, the head and the
 * norms outside the blocks.
 */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/half.h"
#include "checkpoint/checkpoint.h"
#include "model/architecture.h"
#include "model/gguf_view.h"
#include "model/token_matrix.h"
#include "model/weights.h"

static ptq_status load_norm(const struct model *m, const char *name, struct norm *norm)
{
    char whole[MAX_LAYER_NAME];
    snprintf(whole, sizeof whole, "%s%s.weight", m->prefix, name);
    PTQI_TRY(weights_vector(m, m->checkpoint->store, whole, m->config.hidden, &norm->weight));
    PTQI_TRY(norm_apply_one(m, norm));
    if (!m->config.architecture->norm_bias)
        return PTQ_OK;
    snprintf(whole, sizeof whole, "%s%s.bias", m->prefix, name);
    return weights_vector(m, m->checkpoint->store, whole, m->config.hidden, &norm->bias);
}

/* The head: lm_head, or the embedding if they are tied. A checkpoint that claims a tied head but
 * has one with other values was trained untied; like transformers 5, we use the head that is there.
 */
static ptq_status load_head(struct model *m)
{
    static const char name[] = "lm_head.weight";
    int same = 0;
    m->head = &m->embedding;
    if (m->config.tied && !token_matrix_exists(m, name))
        return PTQ_OK;
    PTQI_TRY(token_matrix_open(m, name, &m->own_head));
    if (m->config.tied)
        PTQI_TRY(token_matrix_compare(m, &m->own_head, &m->embedding, &same));
    if (same)
        token_matrix_free(&m->own_head);
    else
        m->head = &m->own_head;
    return PTQ_OK;
}

/* Whether config.json says that the matrices are quantized by another tool. */
static int is_foreign(const struct checkpoint *c)
{
    const char *method = ptqi_json_string(ptqi_json_get(c->quantization, "quant_method"));
    return !c->quantization_document && !(method && ptq_format_from_name(method) == PTQ_FORMAT_PTQ);
}

/* The matrices determine whether a model is quantized. If they are plain, our quantization_config
 * is listed as unused, and so is the file of an old checkpoint. */
static ptq_status look_for_quantized(struct model *m)
{
    struct checkpoint *c = m->checkpoint;
    const int has =
        model_has_quantized(m) || m->embedding.quantized != NULL || m->head->quantized != NULL;
    if (m->config.quantized && !has && is_foreign(c))
        return ptqi_fail(m->context, PTQ_ERROR_CONFLICT,
                         "%s/config.json has a \"quantization_config\", but no matrix is quantized",
                         c->path);
    if (m->config.quantized && !has)
        unused_add(&c->unused, c->quantization_document ? "the file with the " : "config.json's ",
                   "quantization_config (no matrix is quantized)");
    m->config.quantized = has;
    return PTQ_OK;
}

/* Learned positions: a row for each, after first_position others. */
static ptq_status load_positions(struct model *m)
{
    const struct model_config *c = &m->config;
    char name[MAX_LAYER_NAME];
    if (!c->architecture->positions)
        return PTQ_OK;
    snprintf(name, sizeof name, "%s%s", m->prefix, c->architecture->positions);
    PTQI_TRY(weights_find(m, m->checkpoint->store, name, c->max_positions + c->first_position,
                          c->hidden, &m->positions));
    return weights_check_rows(m, m->positions);
}

/* The longest part of the prefix with which the store has the embedding, and its name: models are
 * also saved without the enclosing head, like the published BLOOM. */
static void find_prefix(struct model *m, char *name)
{
    const struct architecture *a = m->config.architecture;
    for (const char *prefix = a->prefix;; prefix += strcspn(prefix, ".") + 1) {
        snprintf(name, MAX_LAYER_NAME, "%s%s", prefix, a->embedding);
        m->prefix = prefix;
        if (!*prefix || token_matrix_exists(m, name))
            break;
    }
    if (token_matrix_exists(m, name))
        return;
    m->prefix = a->prefix; /* the name that the message should have */
    snprintf(name, MAX_LAYER_NAME, "%s%s", a->prefix, a->embedding);
}

static ptq_status load_model(struct model *m)
{
    const struct architecture *a = m->config.architecture;
    char name[MAX_LAYER_NAME];
    find_prefix(m, name);
    PTQI_TRY(token_matrix_open(m, name, &m->embedding));
    PTQI_TRY(load_head(m));
    PTQI_TRY(load_positions(m));
    if (a->embedding_norm)
        PTQI_TRY(load_norm(m, a->embedding_norm, &m->embedding_norm));
    PTQI_TRY(load_norm(m, a->final_norm, &m->final_norm));
    PTQI_TRY(model_check_contents(m));
    return look_for_quantized(m);
}

static ptq_status open_model(struct model *m, const char *path)
{
    PTQI_TRY(checkpoint_open(m->context, path, &m->checkpoint));
    const int gguf = m->checkpoint->gguf;
    if (gguf)
        PTQI_TRY(gguf_open_config(m->checkpoint));
    PTQI_TRY(model_read_config(m->checkpoint, &m->config));
    m->transposed = m->config.architecture->transposed && !gguf;
    if (gguf)
        PTQI_TRY(gguf_open_tensors(m));
    return load_model(m);
}

ptq_status model_open(ptq_context *context, const char *path, struct model **model)
{
    *model = NULL;
    struct model *m = ptqi_alloc_zero(context, 1, (int64_t)sizeof *m);
    if (!m)
        return PTQ_ERROR_MEMORY;
    m->context = context;
    ptq_status status = open_model(m, path);
    if (status) {
        model_free(m);
        return status;
    }
    *model = m;
    return PTQ_OK;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    token_matrix_free(&m->embedding);
    token_matrix_free(&m->own_head);
    ptq_tensor_free(m->positions);
    norm_free(m->context, &m->embedding_norm);
    norm_free(m->context, &m->final_norm);
    ptqi_free(m->context, m->head_matrix.weight);
    ptq_linear_free(m->head_matrix.linear);
    ptqi_free(m->context, m->rope.cos);
    ptqi_free(m->context, m->rope.sin);
    ptqi_free(m->context, m->local_rope.cos);
    ptqi_free(m->context, m->local_rope.sin);
    ptqi_free(m->context, m->slopes);
    ptqi_free(m->context, m->config.windows);
    ptqi_free(m->context, m->config.has_experts);
    checkpoint_free(m->checkpoint);
    ptqi_free(m->context, m);
}

static ptq_status add_positions(const struct model *m, int64_t first, int64_t count, float *x)
{
    const int64_t hidden = m->config.hidden;
    if (!m->positions)
        return PTQ_OK;
    if (first + count > m->config.max_positions)
        return ptqi_fail(
            m->context, PTQ_ERROR_BOUNDS, "%s: %lld tokens, but the model has only %lld positions",
            m->checkpoint->path, (long long)(first + count), (long long)m->config.max_positions);
    const int32_t dtype = ptq_tensor_dtype(m->positions);
    const char *rows = ptq_tensor_data(m->positions);
    float *position = ptqi_alloc(m->context, hidden, (int64_t)sizeof *position);
    for (int64_t t = 0; position && t < count; t++) {
        const int64_t row = m->config.first_position + first + t;
        ptqi_to_f32(position, rows + row * hidden * ptq_dtype_size(dtype), dtype, hidden);
        for (int64_t i = 0; i < hidden; i++)
            x[t * hidden + i] += position[i];
    }
    ptqi_free(m->context, position);
    return position ? PTQ_OK : PTQ_ERROR_MEMORY;
}

ptq_status model_embed(const struct model *m, const int32_t *ids, int64_t position, int64_t count,
                       float *x)
{
    const int64_t hidden = m->config.hidden;
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= m->config.vocabulary)
            return ptqi_fail(m->context, PTQ_ERROR_BOUNDS,
                             "%s: the tokenizer gives id %d, beyond vocab_size %lld",
                             m->checkpoint->path, ids[i], (long long)m->config.vocabulary);
        PTQI_TRY(token_matrix_row(&m->embedding, ids[i], x + i * hidden));
    }
    for (int64_t i = 0; m->config.embedding_scale > 0 && i < count * hidden; i++)
        x[i] *= m->config.embedding_scale;
    PTQI_TRY(add_positions(m, position, count, x));
    if (m->embedding_norm.weight.values)
        norm_rows(m, &m->embedding_norm, x, count, x);
    return PTQ_OK;
}
