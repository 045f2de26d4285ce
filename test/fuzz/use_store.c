/* What targets do with a store. */
#include <string.h>
#include "fuzz.h"

void fuzz_read_store(const ptq_store *store)
{
    volatile uint8_t sum = 0;
    const char *key;
    for (int64_t i = 0; i < ptq_store_count(store); i++) {
        const uint8_t *data = ptq_store_data(store, i);
        for (int64_t j = 0; j < ptq_store_bytes(store, i); j++)
            sum = (uint8_t)(sum + data[j]);
        fuzz_require(ptq_store_find(store, ptq_store_name(store, i)) == i,
                     "tensors are found by their names");
    }
    for (int64_t i = 0; (key = ptq_store_metadata_key(store, i)); i++)
        fuzz_require(ptq_store_metadata(store, key) && ptq_store_metadata_type(store, key),
                     "metadata are found by their keys");
}

/* Returns whether the copy has a place for all metadata: one of another kind than the store, which
 * the input decides, may have none. */
static int copy_contents(const ptq_store *from, ptq_store *to)
{
    const char *key;
    for (int64_t i = 0; (key = ptq_store_metadata_key(from, i)); i++)
        if (!fuzz_succeeded(ptq_store_set_typed_metadata(
                to, key, ptq_store_metadata_type(from, key), ptq_store_metadata(from, key))))
            return 0;
    for (int64_t i = 0; i < ptq_store_count(from); i++)
        fuzz_require(!ptq_store_copy(to, from, ptq_store_name(from, i)), "tensors can be copied");
    return 1;
}

static void compare_tensor(const ptq_store *a, const ptq_store *b, int64_t i)
{
    const int64_t bytes = ptq_store_bytes(a, i);
    int same = !strcmp(ptq_store_name(a, i), ptq_store_name(b, i)) &&
               !strcmp(ptq_store_dtype(a, i), ptq_store_dtype(b, i)) &&
               ptq_store_rank(a, i) == ptq_store_rank(b, i) && bytes == ptq_store_bytes(b, i);
    for (int32_t axis = 0; axis < ptq_store_rank(a, i); axis++)
        same &= ptq_store_size(a, i, axis) == ptq_store_size(b, i, axis);
    fuzz_require(same && !memcmp(ptq_store_data(a, i), ptq_store_data(b, i), (size_t)bytes),
                 "a copy has the same tensors");
}

static void compare(const ptq_store *a, const ptq_store *b)
{
    const char *key;
    fuzz_require(ptq_store_count(a) == ptq_store_count(b), "a copy has as many tensors");
    for (int64_t i = 0; i < ptq_store_count(a); i++)
        compare_tensor(a, b, i);
    for (int64_t i = 0; (key = ptq_store_metadata_key(a, i)); i++) {
        const char *value = ptq_store_metadata(b, key), *type = ptq_store_metadata_type(b, key);
        fuzz_require(value && !strcmp(value, ptq_store_metadata(a, key)) &&
                         !strcmp(type, ptq_store_metadata_type(a, key)),
                     "a copy has the same metadata");
    }
}

static void copy_store(const ptq_store *store, const char *name)
{
    ptq_store *copy, *again;
    const char *path = fuzz_path(name);
    fuzz_require(!ptq_store_create(fuzz_context(), path, &copy), "a file can be begun");
    if (copy_contents(store, copy) && fuzz_succeeded(ptq_store_commit(copy))) {
        fuzz_require(!ptq_store_open(fuzz_context(), path, &again), "a copy can be opened");
        compare(store, again);
        ptq_store_free(again);
    }
    ptq_store_free(copy);
}

void fuzz_use_store(const uint8_t *bytes, size_t size, const char *name)
{
    ptq_store *store;
    if (!fuzz_succeeded(ptq_store_open_memory(fuzz_context(), bytes, (int64_t)size, &store)))
        return;
    fuzz_read_store(store);
    copy_store(store, name);
    ptq_store_free(store);
}
