/*
 * Tensors of a checkpoint, looked up by name. Shapes, types and values are checked, and messages
 * name the tensor.
 */
#include "model/weights.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/half.h"
#include "model/architecture.h"
#include "checkpoint/checkpoint.h"
#include "tensor.h"

/* Finds a tensor, which must have this shape (columns 0: a vector) and hold floats. */
ptq_status weights_find(const struct model *m, const ptq_store *store, const char *name,
                        int64_t rows, int64_t columns, ptq_tensor **tensor)
{
    PTQI_TRY(ptq_store_tensor(store, name, tensor));
    int32_t rank = columns ? 2 : 1, dtype = ptq_tensor_dtype(*tensor);
    ptq_status status = PTQ_OK;
    if (ptq_tensor_rank(*tensor) != rank || ptq_tensor_size(*tensor, 0) != rows ||
        (columns && ptq_tensor_size(*tensor, 1) != columns))
        status = ptqi_fail(m->context, PTQ_ERROR_SHAPE,
                           "%s: %s: its shape should be [%lld%s%.0lld] by config.json",
                           m->checkpoint->path, name, (long long)rows, columns ? ", " : "",
                           (long long)columns);
    else if (dtype != PTQ_DTYPE_F32 && dtype != PTQ_DTYPE_F16 && dtype != PTQ_DTYPE_BF16)
        status = ptqi_fail(m->context, PTQ_ERROR_DTYPE, "%s: %s: not f32, f16 or bf16",
                           m->checkpoint->path, name);
    if (status) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
    }
    return status;
}

/* Checks that all values are finite. A vector is a row. */
static ptq_status check_values(const struct model *m, const char *name, const ptq_tensor *tensor)
{
    const int is_matrix = ptq_tensor_rank(tensor) == 2;
    const int64_t columns = ptq_tensor_size(tensor, is_matrix);
    ptq_status status =
        ptqi_check_finite(m->context, name, ptq_tensor_data(tensor), ptq_tensor_dtype(tensor),
                          is_matrix ? ptq_tensor_size(tensor, 0) : 1, columns, columns);
    return status ? ptqi_fail_at(m->context, status, m->checkpoint->path) : PTQ_OK;
}

ptq_status weights_floats(const struct model *m, const ptq_store *store, const char *name,
                          int64_t rows, int64_t columns, float **out)
{
    ptq_tensor *tensor;
    PTQI_TRY(weights_find(m, store, name, rows, columns, &tensor));
    *out = NULL;
    ptq_status status = check_values(m, name, tensor);
    if (!status) {
        *out = ptqi_alloc(m->context, ptq_tensor_elements(tensor), (int64_t)sizeof **out);
        status = *out ? ptq_tensor_to_f32(tensor, *out) : PTQ_ERROR_MEMORY;
    }
    ptq_tensor_free(tensor);
    if (status) {
        ptqi_free(m->context, *out);
        *out = NULL;
    }
    return status;
}

void weights_transpose(const float *in, int64_t rows, int64_t columns, float *out)
{
    for (int64_t n = 0; n < rows; n++)
        for (int64_t c = 0; c < columns; c++)
            out[c * rows + n] = in[n * columns + c];
}

ptq_status weights_matrix(const struct model *m, const ptq_store *store,
                          const struct matrix *matrix, float **out)
{
    const int64_t n = matrix->n, k = matrix->k;
    char name[MAX_LAYER_NAME + 8];
    float *stored;
    snprintf(name, sizeof name, "%s.weight", matrix->name);
    if (!m->transposed)
        return weights_floats(m, store, name, n, k, out);
    *out = NULL;
    PTQI_TRY(weights_floats(m, store, name, k, n, &stored));
    *out = ptqi_alloc(m->context, n * k, (int64_t)sizeof **out);
    if (*out)
        weights_transpose(stored, k, n, *out);
    ptqi_free(m->context, stored);
    return *out ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* Embedding and head stay mapped in their dtype. This checks that every row is finite. */
ptq_status weights_check_rows(const struct model *m, const ptq_tensor *tensor)
{
    return check_values(m, ptq_tensor_name(tensor), tensor);
}

ptq_status weights_stored(const struct model *m, const ptq_store *store, const char *name,
                          int64_t rows, int64_t columns, struct vector *v)
{
    ptq_tensor *tensor;
    PTQI_TRY(weights_find(m, store, name, rows, columns, &tensor));
    v->length = ptq_tensor_elements(tensor);
    v->dtype = ptq_tensor_dtype(tensor);
    ptq_tensor_free(tensor);
    return weights_floats(m, store, name, rows, columns, &v->values);
}

ptq_status weights_vector(const struct model *m, const ptq_store *store, const char *name,
                          int64_t length, struct vector *v)
{
    return weights_stored(m, store, name, length, 0, v);
}

ptq_status norm_apply_one(const struct model *m, struct norm *norm)
{
    const int64_t length = norm->weight.length;
    if (!m->config.architecture->norm_plus_one)
        return PTQ_OK;
    if (!norm->applied)
        norm->applied = ptqi_alloc(m->context, length, (int64_t)sizeof *norm->applied);
    for (int64_t i = 0; norm->applied && i < length; i++)
        norm->applied[i] = 1.0f + norm->weight.values[i];
    return norm->applied ? PTQ_OK : PTQ_ERROR_MEMORY;
}

void norm_free(ptq_context *context, struct norm *norm)
{
    ptqi_free(context, norm->applied);
    ptqi_free(context, norm->weight.values);
    ptqi_free(context, norm->bias.values);
}
