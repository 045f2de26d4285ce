/*
 * ptq_tensor: an element type, a shape and the data.
 */
#include "tensor.h"
#include <string.h>
#include "base/half.h"

static const struct {
    int64_t size;
    const char *name;
} dtypes[] = {
    [PTQ_F32] = {4, "f32"}, [PTQ_F16] = {2, "f16"}, [PTQ_BF16] = {2, "bf16"},
    [PTQ_I8] = {1, "i8"},   [PTQ_U8] = {1, "u8"},   [PTQ_I32] = {4, "i32"},
};

static int is_dtype(int32_t dtype)
{
    return dtype >= PTQ_F32 && dtype <= PTQ_I32;
}

int64_t ptq_dtype_size(int32_t dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].size : 0;
}

const char *ptq_dtype_name(int32_t dtype)
{
    return is_dtype(dtype) ? dtypes[dtype].name : NULL;
}

static ptq_status make(ptq_context *context, int32_t dtype, int32_t rank, const int64_t *shape,
                       ptq_tensor **tensor)
{
    int64_t elements = 1, bytes;
    if (!tensor)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "a tensor: no place for the result");
    *tensor = NULL;
    if (!context || rank < 0 || rank > PTQ_MAX_RANK || (rank > 0 && !shape))
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "a tensor of rank %d cannot be", rank);
    if (!is_dtype(dtype))
        return ptqi_fail(context, PTQ_ERROR_DTYPE, "there is no dtype %d", dtype);
    for (int32_t i = 0; i < rank; i++)
        if (shape[i] < 0 || !ptqi_multiply(elements, shape[i], &elements))
            return ptqi_fail(context, PTQ_ERROR_SHAPE, "size %lld of axis %d cannot be",
                             (long long)shape[i], i);
    if (!ptqi_multiply(elements, dtypes[dtype].size, &bytes))
        return ptqi_fail(context, PTQ_ERROR_SHAPE, "a tensor of %lld elements is too large",
                         (long long)elements);
    struct ptq_tensor *t = ptqi_alloc_zero(context, 1, (int64_t)sizeof *t);
    if (!t)
        return PTQ_ERROR_MEMORY;
    t->context = context;
    t->dtype = dtype;
    t->rank = rank;
    for (int32_t i = 0; i < rank; i++)
        t->shape[i] = shape[i];
    t->elements = elements;
    t->bytes = bytes;
    *tensor = t;
    return PTQ_OK;
}

ptq_status ptq_tensor_create(ptq_context *context, int32_t dtype, int32_t rank,
                             const int64_t *shape, ptq_tensor **tensor)
{
    PTQI_TRY(make(context, dtype, rank, shape, tensor));
    (*tensor)->data = ptqi_alloc_zero(context, (*tensor)->bytes, 1);
    (*tensor)->owned = 1;
    if (!(*tensor)->data) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
        return PTQ_ERROR_MEMORY;
    }
    return PTQ_OK;
}

ptq_status ptq_tensor_borrow(ptq_context *context, int32_t dtype, int32_t rank,
                             const int64_t *shape, void *data, ptq_tensor **tensor)
{
    PTQI_TRY(make(context, dtype, rank, shape, tensor));
    if ((!data && (*tensor)->bytes) || (uintptr_t)data % (uintptr_t)dtypes[dtype].size) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "borrowed data are NULL or not aligned");
    }
    (*tensor)->data = data;
    return PTQ_OK;
}

void ptq_tensor_free(ptq_tensor *tensor)
{
    if (!tensor)
        return;
    if (tensor->owned)
        ptqi_free(tensor->context, tensor->data);
    ptqi_free(tensor->context, tensor->name);
    ptqi_free(tensor->context, tensor);
}

int32_t ptq_tensor_dtype(const ptq_tensor *tensor)
{
    return tensor->dtype;
}

int32_t ptq_tensor_rank(const ptq_tensor *tensor)
{
    return tensor->rank;
}

int64_t ptq_tensor_size(const ptq_tensor *tensor, int32_t axis)
{
    return axis >= 0 && axis < tensor->rank ? tensor->shape[axis] : 1;
}

int64_t ptq_tensor_elements(const ptq_tensor *tensor)
{
    return tensor->elements;
}

int64_t ptq_tensor_bytes(const ptq_tensor *tensor)
{
    return tensor->bytes;
}

void *ptq_tensor_data(const ptq_tensor *tensor)
{
    return tensor->data;
}

ptq_status ptq_tensor_set_name(ptq_tensor *tensor, const char *name)
{
    char *copy = ptqi_copy_text(tensor->context, name, (int64_t)strlen(name));
    if (!copy)
        return PTQ_ERROR_MEMORY;
    ptqi_free(tensor->context, tensor->name);
    tensor->name = copy;
    return PTQ_OK;
}

const char *ptq_tensor_name(const ptq_tensor *tensor)
{
    return tensor->name ? tensor->name : "";
}

ptq_status ptq_tensor_to_f32(const ptq_tensor *tensor, float *out)
{
    if (!ptqi_is_float(tensor->dtype))
        return ptqi_fail(tensor->context, PTQ_ERROR_DTYPE, "%s: %s numbers where floats are needed",
                         tensor->name ? tensor->name : "a tensor", dtypes[tensor->dtype].name);
    ptqi_to_f32(out, tensor->data, tensor->dtype, tensor->elements);
    return PTQ_OK;
}

/* The bits of the exponent, all ones for infinity and NaN. */
static int is_finite(const void *data, int32_t dtype, int64_t i)
{
    if (dtype == PTQ_F32)
        return (((const uint32_t *)data)[i] & 0x7f800000) != 0x7f800000;
    uint32_t mask = dtype == PTQ_F16 ? 0x7c00 : 0x7f80;
    return (((const uint16_t *)data)[i] & mask) != mask;
}

ptq_status ptqi_check_finite(ptq_context *context, const char *name, const void *data,
                             int32_t dtype, int64_t rows, int64_t columns, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            if (!is_finite(data, dtype, r * ld + c)) {
                float value;
                const char *at = (const char *)data + (r * ld + c) * dtypes[dtype].size;
                ptqi_to_f32(&value, at, dtype, 1);
                return ptqi_fail(context, PTQ_ERROR_NOT_FINITE, "%s[%lld][%lld] is %s", name,
                                 (long long)r, (long long)c, value != value ? "NaN" : "infinite");
            }
    return PTQ_OK;
}
