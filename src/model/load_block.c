/*
 * Loading a block: its norms and its matrices, in full precision or quantized and packed.
 */
#include <stdio.h>
#include "base/context.h"
#include "checkpoint/checkpoint.h"
#include "model/architecture.h"
#include "model/weights.h"

/* Schemes that only say how a weight-only matrix will run, as in lib/activations.h. */
static int is_weight_only(int32_t activations)
{
    return activations == PTQ_ACTIVATIONS_F32 || activations == PTQ_ACTIVATIONS_INT16_TOKEN ||
           activations == PTQ_ACTIVATIONS_INT8_GROUP;
}

/* Whether a product with activations by group is faster than one with f32. It is not with groups of
 * 16 or of arbitrary columns, unless f32 needs the weights themselves, as with minima and levels.
 */
static int is_faster_by_group(const ptq_qtensor *q)
{
    const int64_t group = ptq_qtensor_group(q);
    if (ptq_qtensor_has_minima(q) || ptq_qtensor_has_levels(q))
        return 1;
    return !ptq_qtensor_has_uneven_groups(q) && (group % 32 == 0 || group == ptq_qtensor_k(q));
}

ptq_status model_set_activations(ptq_qtensor *q, int32_t format, int32_t activations)
{
    const int32_t own = ptq_qtensor_activations(q);
    if (activations == ACTIVATIONS_CALIBRATION && is_weight_only(own))
        activations = PTQ_ACTIVATIONS_F32;
    if (activations == ACTIVATIONS_DEFAULT && format != PTQ_FORMAT_PTQ &&
        own == PTQ_ACTIVATIONS_F32 && is_faster_by_group(q))
        activations = PTQ_ACTIVATIONS_INT8_GROUP;
    return activations >= 0 ? ptq_qtensor_set_activations(q, activations) : PTQ_OK;
}

ptq_status model_check_activations(const struct model *m, int32_t activations)
{
    if (activations < 0 || m->config.quantized)
        return PTQ_OK;
    return ptqi_fail(m->context, PTQ_ERROR_CONFLICT,
                     "%s: not quantized, so --activations has nothing to act on",
                     m->checkpoint->path);
}

/* Reads and packs a quantized matrix. */
static ptq_status load_quantized(const struct model *m, const ptq_store *store, int32_t format,
                                 int32_t activations, struct matrix *matrix)
{
    ptq_qtensor *q;
    PTQI_TRY(ptq_qtensor_read(m->context, format, store, matrix->name, &q));
    ptq_status status = PTQ_OK;
    if (ptq_qtensor_n(q) != matrix->n || ptq_qtensor_k(q) != matrix->k)
        status = ptqi_fail(
            m->context, PTQ_ERROR_SHAPE, "%s: %s: its shape should be [%lld, %lld] by config.json",
            m->checkpoint->path, matrix->name, (long long)matrix->n, (long long)matrix->k);
    if (!status)
        status = model_set_activations(q, format, activations);
    if (!status)
        status = ptq_linear_create(m->context, q, &matrix->linear);
    if (!status && matrix->bias.values)
        status = ptq_linear_set_bias(matrix->linear, matrix->bias.values);
    ptq_qtensor_free(q);
    return status;
}

static ptq_status load_matrix(const struct model *m, const ptq_store *store, int32_t activations,
                              struct matrix *matrix, int *quantized)
{
    char name[MAX_LAYER_NAME + 16];
    snprintf(name, sizeof name, "%s.bias", matrix->name);
    if (ptq_store_has(store, name))
        PTQI_TRY(weights_vector(m, store, name, matrix->n, &matrix->bias));
    const int32_t format = ptq_format_find(store, matrix->name);
    if (format) {
        ++*quantized;
        return load_quantized(m, store, format, activations, matrix);
    }
    return weights_matrix(m, store, matrix, &matrix->weight);
}

static ptq_status load_block(const struct model *m, const ptq_store *store, int32_t activations,
                             struct block *b, int *quantized)
{
    char name[MAX_LAYER_NAME];
    const int count = model_matrix_count(m, b->index);
    *quantized = 0;
    b->experts = model_experts(m, b->index);
    b->matrices = ptqi_alloc_zero(m->context, count, (int64_t)sizeof *b->matrices);
    if (!b->matrices)
        return PTQ_ERROR_MEMORY;
    while (b->count < count) {
        struct matrix *matrix = &b->matrices[b->count];
        model_describe_matrix(m, b->index, b->count++, matrix);
        b->plain += matrix->expert < 0;
        PTQI_TRY(load_matrix(m, store, activations, matrix, quantized));
    }
    if (model_router_name(m, b->index, name))
        PTQI_TRY(weights_stored(m, store, name, b->experts, m->config.hidden, &b->router));
    for (enum norm_role role = 0; role < NORMS; role++) {
        struct norm *norm = &b->norms[role];
        int64_t length = model_norm_name(m, b->index, role, 0, name);
        if (!length)
            continue;
        PTQI_TRY(weights_vector(m, store, name, length, &norm->weight));
        PTQI_TRY(norm_apply_one(m, norm));
        length = model_norm_name(m, b->index, role, 1, name);
        if (length)
            PTQI_TRY(weights_vector(m, store, name, length, &norm->bias));
    }
    return PTQ_OK;
}

ptq_status model_load_block(const struct model *m, const ptq_store *store, int64_t index,
                            int32_t activations, struct block **block, int *quantized)
{
    struct block *b = ptqi_alloc_zero(m->context, 1, (int64_t)sizeof *b);
    *block = NULL;
    if (!b)
        return PTQ_ERROR_MEMORY;
    b->context = m->context;
    b->index = index;
    ptq_status status =
        load_block(m, store ? store : m->checkpoint->store, activations, b, quantized);
    if (status) {
        block_free(b);
        return status;
    }
    *block = b;
    return PTQ_OK;
}

void block_free(struct block *b)
{
    if (!b)
        return;
    for (int i = 0; i < b->count; i++) {
        ptqi_free(b->context, b->matrices[i].weight);
        ptqi_free(b->context, b->matrices[i].bias.values);
        ptq_linear_free(b->matrices[i].linear);
    }
    ptqi_free(b->context, b->matrices);
    ptqi_free(b->context, b->router.values);
    for (int i = 0; i < NORMS; i++)
        norm_free(b->context, &b->norms[i]);
    ptqi_free(b->context, b);
}
