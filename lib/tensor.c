/*
 * ptq_tensor: an element type, a shape and the data.
 */
#include "tensor.h"
#include <string.h>
#include "base/half.h"
#include "store/store.h"

static ptq_status make(const char *function, ptq_context *context, int32_t dtype, int32_t rank,
                       const int64_t *shape, ptq_tensor **tensor)
{
    int64_t elements = 1, bytes;
    PTQI_REQUIRE_FOR(context, function, tensor);
    *tensor = NULL;
    PTQI_REQUIRE_FOR(NULL, function, context);
    PTQI_TRY(ptqi_check_between(context, function, "rank", rank, 0, PTQ_MAX_RANK));
    if (rank > 0)
        PTQI_REQUIRE_FOR(context, function, shape);
    if (!ptq_dtype_size(dtype))
        return ptqi_fail(context, PTQ_ERROR_DTYPE, "there is no dtype %d", dtype);
    for (int32_t i = 0; i < rank; i++)
        if (shape[i] < 0 || !ptqi_multiply(elements, shape[i], &elements))
            return ptqi_fail(context, PTQ_ERROR_SHAPE, "invalid size %lld of axis %d",
                             (long long)shape[i], i);
    if (!ptqi_multiply(elements, ptq_dtype_size(dtype), &bytes) || bytes > PTRDIFF_MAX)
        return ptqi_fail(context, PTQ_ERROR_SHAPE, "a tensor of %lld elements is too large",
                         (long long)elements);
    struct ptq_tensor *t = ptqi_new_handle(context, (int64_t)sizeof *t);
    if (!t)
        return PTQ_ERROR_MEMORY;
    t->context = context;
    atomic_init(&t->references, 1);
    t->dtype = dtype;
    t->rank = rank;
    for (int32_t i = 0; i < rank; i++)
        t->shape[i] = shape[i];
    t->elements = elements;
    t->bytes = bytes;
    t->row_stride = 1;
    for (int32_t i = 1; i < rank && elements; i++)
        t->row_stride *= shape[i]; /* cannot overflow: no size is 0 */
    *tensor = t;
    return PTQ_OK;
}

ptq_status ptq_tensor_create(ptq_context *context, int32_t dtype, int32_t rank,
                             const int64_t *shape, ptq_tensor **tensor)
{
    PTQI_TRY(make(__func__, context, dtype, rank, shape, tensor));
    (*tensor)->data = ptqi_alloc_zero(context, (*tensor)->bytes, 1);
    (*tensor)->owned = 1;
    if (!(*tensor)->data) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
        return PTQ_ERROR_MEMORY;
    }
    return PTQ_OK;
}

static ptq_status check_data(ptq_context *context, const char *function, const ptq_tensor *tensor,
                             const void *data)
{
    const int64_t size = ptq_dtype_size(tensor->dtype);
    if (tensor->bytes)
        PTQI_REQUIRE_FOR(context, function, data);
    if ((uintptr_t)data % (uintptr_t)size)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: data is not aligned to %lld bytes",
                         function, (long long)size);
    return PTQ_OK;
}

/* Frees the tensor if the data cannot be its. */
static ptq_status borrow(ptq_context *context, const char *function, ptq_tensor **tensor,
                         const void *data)
{
    const ptq_status status = check_data(context, function, *tensor, data);
    if (status) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
        return status;
    }
    (*tensor)->data = (void *)(uintptr_t)data;
    return PTQ_OK;
}

ptq_status ptq_tensor_borrow(ptq_context *context, int32_t dtype, int32_t rank,
                             const int64_t *shape, const void *data, ptq_tensor **tensor)
{
    PTQI_TRY(make(__func__, context, dtype, rank, shape, tensor));
    return borrow(context, __func__, tensor, data);
}

/* Whether the last element is within the address space. */
static int fits(int64_t rows, int64_t columns, int64_t ld, int64_t size)
{
    int64_t elements, bytes;
    return !rows || (ptqi_multiply(rows - 1, ld, &elements) && elements <= INT64_MAX - columns &&
                     ptqi_multiply(elements + columns, size, &bytes) && bytes <= PTRDIFF_MAX);
}

ptq_status ptq_tensor_borrow_rows(ptq_context *context, int32_t dtype, int64_t rows,
                                  int64_t columns, int64_t ld, const void *data,
                                  ptq_tensor **tensor)
{
    const int64_t shape[2] = {rows, columns};
    PTQI_TRY(make(__func__, context, dtype, 2, shape, tensor));
    ptq_status status = PTQ_OK;
    if (ld < columns)
        status = ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: ld is %lld, below columns = %lld",
                           __func__, (long long)ld, (long long)columns);
    else if (!fits(rows, columns, ld, ptq_dtype_size(dtype)))
        status = ptqi_fail(context, PTQ_ERROR_SHAPE,
                           "%s: %lld rows with ld = %lld exceed the address space", __func__,
                           (long long)rows, (long long)ld);
    if (status) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
        return status;
    }
    (*tensor)->row_stride = ld;
    return borrow(context, __func__, tensor, data);
}

void ptqi_tensor_hold(const ptq_tensor *tensor)
{
    ptq_tensor *t = (ptq_tensor *)(uintptr_t)tensor;
    atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
}

void ptqi_tensor_release(ptq_tensor *t)
{
    if (atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) > 1)
        return;
    if (t->owned)
        ptqi_free(t->context, t->data);
    if (t->store)
        ptqi_store_release(t->store);
    ptqi_free(t->context, t->name);
    ptqi_free_handle(t->context, t);
}

void ptq_tensor_free(ptq_tensor *tensor)
{
    if (tensor)
        ptqi_tensor_release(tensor);
}

int32_t ptq_tensor_dtype(const ptq_tensor *tensor)
{
    return tensor ? tensor->dtype : 0;
}

int32_t ptq_tensor_rank(const ptq_tensor *tensor)
{
    return tensor ? tensor->rank : 0;
}

int64_t ptq_tensor_size(const ptq_tensor *tensor, int32_t axis)
{
    if (!tensor)
        return 0;
    return axis >= 0 && axis < tensor->rank ? tensor->shape[axis] : 1;
}

int64_t ptq_tensor_elements(const ptq_tensor *tensor)
{
    return tensor ? tensor->elements : 0;
}

int64_t ptq_tensor_bytes(const ptq_tensor *tensor)
{
    return tensor ? tensor->bytes : 0;
}

int64_t ptq_tensor_row_stride(const ptq_tensor *tensor)
{
    return tensor ? tensor->row_stride : 0;
}

void *ptq_tensor_data(const ptq_tensor *tensor)
{
    return tensor ? tensor->data : NULL;
}

ptq_status ptq_tensor_set_name(ptq_tensor *tensor, const char *name)
{
    PTQI_REQUIRE(NULL, tensor);
    PTQI_REQUIRE(tensor->context, name);
    char *copy = ptqi_copy_text(tensor->context, name, (int64_t)strlen(name));
    if (!copy)
        return PTQ_ERROR_MEMORY;
    ptqi_free(tensor->context, tensor->name);
    tensor->name = copy;
    return PTQ_OK;
}

const char *ptq_tensor_name(const ptq_tensor *tensor)
{
    if (!tensor)
        return NULL;
    return tensor->name ? tensor->name : "";
}

ptq_status ptq_tensor_to_f32(const ptq_tensor *tensor, float *out)
{
    PTQI_REQUIRE(NULL, tensor);
    PTQI_REQUIRE(tensor->context, out);
    if (!ptqi_is_float(tensor->dtype))
        return ptqi_fail(tensor->context, PTQ_ERROR_DTYPE, "%s: has dtype %s, not a float type",
                         tensor->name ? tensor->name : "a tensor", ptq_dtype_name(tensor->dtype));
    if (!ptqi_tensor_has_gaps(tensor)) {
        ptqi_to_f32(out, tensor->data, tensor->dtype, tensor->elements);
        return PTQ_OK;
    }
    const int64_t columns = tensor->shape[1], size = ptq_dtype_size(tensor->dtype);
    for (int64_t r = 0; r < tensor->shape[0]; r++)
        ptqi_to_f32(out + r * columns, (const char *)tensor->data + r * tensor->row_stride * size,
                    tensor->dtype, columns);
    return PTQ_OK;
}

ptq_status ptqi_check_block(ptq_context *context, const char *function, const struct ptqi_block *b)
{
    PTQI_TRY(ptqi_check_between(context, function, "rows", b->rows, 0, INT64_MAX));
    if (b->rows && !b->data)
        return ptqi_fail_null(context, function, b->name);
    if (!ptqi_is_float(b->dtype))
        return ptqi_fail(context, PTQ_ERROR_DTYPE, "%s: %s must be f32, f16 or bf16", function,
                         b->name);
    if (b->dtype != PTQ_DTYPE_F32 && (uintptr_t)b->data % 2)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is not aligned to 2 bytes", function,
                         b->name);
    if (b->ld < b->columns)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is %lld, below %s = %lld", function,
                         b->ld_name, (long long)b->ld, b->columns_name, (long long)b->columns);
    if (!fits(b->rows, b->columns, b->ld, ptq_dtype_size(b->dtype)))
        return ptqi_fail(context, PTQ_ERROR_SHAPE,
                         "%s: %s: %lld rows with %s = %lld exceed the address space", function,
                         b->name, (long long)b->rows, b->ld_name, (long long)b->ld);
    return PTQ_OK;
}

/* Whether count elements are finite, that is, no exponent has all bits set. Without branches, so
 * that it becomes vector instructions. */
static int all_finite(const char *data, int32_t dtype, int64_t count)
{
    uint32_t bad = 0;
    if (dtype == PTQ_DTYPE_F32) {
        for (int64_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, data + i * 4, 4); /* need not be aligned */
            bad |= (bits & 0x7f800000) == 0x7f800000;
        }
    } else {
        const uint32_t mask = dtype == PTQ_DTYPE_F16 ? 0x7c00 : 0x7f80;
        for (int64_t i = 0; i < count; i++) {
            uint16_t bits;
            memcpy(&bits, data + i * 2, 2);
            bad |= (bits & mask) == mask;
        }
    }
    return !bad;
}

ptq_status ptqi_check_finite(ptq_context *context, const char *name, const void *data,
                             int32_t dtype, int64_t rows, int64_t columns, int64_t ld)
{
    const int64_t size = ptq_dtype_size(dtype);
    for (int64_t r = 0; r < rows; r++) {
        const char *row = (const char *)data + r * ld * size;
        if (all_finite(row, dtype, columns))
            continue;
        int64_t c = 0;
        float value;
        while (all_finite(row + c * size, dtype, 1))
            c++;
        ptqi_to_f32(&value, row + c * size, dtype, 1);
        return ptqi_fail(context, PTQ_ERROR_NOT_FINITE, "%s[%lld][%lld] is %s", name, (long long)r,
                         (long long)c, value != value ? "NaN" : "infinite");
    }
    return PTQ_OK;
}
