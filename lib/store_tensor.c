/*
 * Reading tensors from a store, adding them to one, and copying them between stores.
 */
#include <string.h>
#include "store/store.h"
#include "tensor.h"

ptq_status ptq_store_tensor(const ptq_store *store, const char *name, ptq_tensor **tensor)
{
    PTQI_REQUIRE(store ? store->context : NULL, tensor);
    *tensor = NULL;
    PTQI_TRY(ptqi_store_check_reading(__func__, store));
    PTQI_REQUIRE(store->context, name);
    const struct ptqi_entry *e = ptqi_store_find(store, name);
    if (!e)
        return ptqi_fail(store->context, PTQ_ERROR_UNKNOWN, "%s: no tensor \"%.200s\"", store->path,
                         name);
    if (!e->dtype)
        return ptqi_fail(store->context, PTQ_ERROR_DTYPE, "%s: %.200s: dtype %s is not supported",
                         store->path, name, e->dtype_name);
    ptq_status status;
    if (!e->rows && (uintptr_t)e->data % (uintptr_t)ptq_dtype_size(e->dtype) == 0) {
        void *data = (void *)(uintptr_t)e->data;
        status = ptq_tensor_borrow(store->context, e->dtype, e->rank, e->shape, data, tensor);
        if (!status) {
            ptqi_store_hold(store);
            (*tensor)->store = (ptq_store *)(uintptr_t)store;
        }
    } else {
        status = ptq_tensor_create(store->context, e->dtype, e->rank, e->shape, tensor);
        if (!status)
            ptqi_entry_copy(e, ptq_tensor_data(*tensor));
    }
    if (!status)
        status = ptq_tensor_set_name(*tensor, name);
    if (status) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
    }
    return status;
}

static void drop_tensor(void *tensor)
{
    ptqi_tensor_release(tensor);
}

ptq_status ptq_store_add(ptq_store *store, const char *name, const ptq_tensor *tensor)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(store->context, name);
    PTQI_REQUIRE(store->context, tensor);
    if (ptqi_tensor_has_gaps(tensor))
        return ptqi_fail(store->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: there are gaps between the rows of %.200s", __func__, name);
    PTQI_TRY(ptqi_store_describe(store, name, tensor->dtype, tensor->rank, tensor->shape, &e));
    e->data = tensor->data;
    ptqi_tensor_hold(tensor);
    e->held = (void *)(uintptr_t)tensor;
    e->drop = drop_tensor;
    return PTQ_OK;
}

ptq_status ptq_store_copy(ptq_store *store, const ptq_store *from, const char *name)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(store->context, from);
    PTQI_TRY(ptqi_store_check_reading(__func__, from));
    PTQI_REQUIRE(store->context, name);
    const struct ptqi_entry *source = ptqi_store_find(from, name);
    if (!source)
        return ptqi_fail(store->context, PTQ_ERROR_UNKNOWN, "%s: no tensor \"%.200s\"", from->path,
                         name);
    PTQI_TRY(ptqi_view_add(store, name, from, source, -1, &e));
    if (!source->rows)
        return PTQ_OK;
    e->data = e->owned = ptqi_alloc(store->context, e->bytes, 1);
    if (!e->owned)
        return PTQ_ERROR_MEMORY;
    ptqi_entry_copy(source, e->owned);
    return PTQ_OK;
}

ptq_status ptqi_store_put_raw(ptq_store *store, const char *name, const char *dtype_name,
                              int32_t rank, const int64_t *shape, int64_t bytes, void **data)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_new_entry(store, name, &e));
    strcpy(e->dtype_name, dtype_name);
    e->rank = rank;
    memcpy(e->shape, shape, (size_t)rank * sizeof *shape);
    e->data = e->owned = *data = ptqi_alloc(store->context, bytes, 1);
    e->bytes = e->owned ? bytes : 0;
    return e->owned ? PTQ_OK : PTQ_ERROR_MEMORY;
}
