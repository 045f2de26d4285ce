/*
 * The weight matrices of one call: checked once and widened once, however many candidates are then
 * tried on them.
 */
#include "matrices.h"
#include <string.h>
#include "base/half.h"
#include "tensor.h"

static const char *label(const ptq_tensor *t)
{
    return t->name ? t->name : "weight";
}

ptq_status ptqi_check_shapes(ptq_context *context, const ptq_tensor *const *tensors, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const ptq_tensor *t = tensors[i];
        if (t->rank != 2 || !t->shape[0] || !t->shape[1] || t->shape[1] != tensors[0]->shape[1])
            return ptqi_fail(
                context, PTQ_ERROR_SHAPE,
                "%s: not a matrix, empty, or not as wide as those it shares its input with",
                label(t));
        if (!ptqi_is_float(t->dtype))
            return ptqi_fail(context, PTQ_ERROR_DTYPE, "%s: weights must be f32, f16 or bf16",
                             label(t));
    }
    return PTQ_OK;
}

static ptq_status load_weight(ptq_context *context, const ptq_tensor *t, struct ptqi_weight *weight)
{
    weight->n = t->shape[0];
    weight->name = t->name;
    weight->w = t->data;
    if (t->dtype == PTQ_DTYPE_F32 && !ptqi_tensor_has_gaps(t))
        return PTQ_OK;
    weight->widened = ptqi_alloc(context, t->elements, (int64_t)sizeof *weight->widened);
    if (!weight->widened)
        return PTQ_ERROR_MEMORY;
    weight->w = weight->widened;
    return ptq_tensor_to_f32(t, weight->widened);
}

ptq_status ptqi_load_matrices(ptq_context *context, const ptq_tensor *const *tensors, int64_t count,
                              struct ptqi_matrices *m)
{
    ptq_status status = PTQ_OK;
    memset(m, 0, sizeof *m);
    for (int64_t i = 0; i < count; i++) {
        const ptq_tensor *t = tensors[i];
        PTQI_TRY(ptqi_check_finite(context, label(t), t->data, t->dtype, t->shape[0], t->shape[1],
                                   t->row_stride));
    }
    m->weights = ptqi_alloc_zero(context, count, (int64_t)sizeof *m->weights);
    if (!m->weights)
        return PTQ_ERROR_MEMORY;
    m->count = count;
    m->k = tensors[0]->shape[1];
    for (int64_t i = 0; i < count && !status; i++)
        status = load_weight(context, tensors[i], &m->weights[i]);
    if (status)
        ptqi_free_matrices(context, m);
    return status;
}

void ptqi_free_matrices(ptq_context *context, struct ptqi_matrices *m)
{
    for (int64_t i = 0; i < m->count; i++)
        ptqi_free(context, m->weights[i].widened);
    ptqi_free(context, m->weights);
    memset(m, 0, sizeof *m);
}
