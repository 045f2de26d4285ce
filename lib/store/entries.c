/*
 * The contents of a store: tensors by name and metadata by key, independent of the container.
 */
#include "store.h"
#include <string.h>

int ptqi_shape_elements(const int64_t *shape, int32_t rank, int64_t *elements)
{
    int64_t product = 1, is_empty = 0;
    for (int32_t axis = 0; axis < rank; axis++) {
        is_empty |= shape[axis] == 0;
        if (shape[axis] && !ptqi_multiply(product, shape[axis], &product))
            return 0;
        if (product > (int64_t)1 << 53)
            return 0;
    }
    *elements = is_empty ? 0 : product;
    return 1;
}

/* Items of a table are indices of entries or pairs; name_of returns their names. */
static int64_t find_item(const ptq_store *s, const struct ptqi_table *table,
                         const char *(*name_of)(const ptq_store *, int64_t), const char *name)
{
    const uint64_t hash = ptqi_table_hash(table, name, (int64_t)strlen(name));
    const struct ptqi_slot *slot;
    for (int64_t at = -1; (slot = ptqi_table_next(table, hash, &at));)
        if (!strcmp(name_of(s, slot->item), name))
            return slot->item;
    return -1;
}

static const char *entry_name(const ptq_store *s, int64_t i)
{
    return s->entries[i].name;
}

static const char *pair_key(const ptq_store *s, int64_t i)
{
    return s->metadata[i].key;
}

const struct ptqi_entry *ptqi_store_find(const ptq_store *s, const char *name)
{
    const int64_t i = find_item(s, &s->by_name, entry_name, name);
    return i >= 0 ? &s->entries[i] : NULL;
}

const struct ptqi_pair *ptqi_store_pair(const ptq_store *s, const char *key)
{
    const int64_t i = find_item(s, &s->by_key, pair_key, key);
    return i >= 0 ? &s->metadata[i] : NULL;
}

const char *ptqi_store_value(const ptq_store *s, const char *key)
{
    const struct ptqi_pair *pair = ptqi_store_pair(s, key);
    return pair ? pair->value : NULL;
}

ptq_status ptqi_store_new_entry(ptq_store *s, const char *name, struct ptqi_entry **entry)
{
    PTQI_TRY(ptqi_table_reserve(&s->by_name, s->count + 1));
    if (ptqi_store_find(s, name))
        return ptqi_fail(s->context, PTQ_ERROR_FORMAT, "%s: two tensors are named \"%.200s\"",
                         s->path, name);
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->entries, s->count, &s->capacity, s->count + 1,
                       (int64_t)sizeof *s->entries));
    struct ptqi_entry *e = &s->entries[s->count];
    memset(e, 0, sizeof *e);
    e->name = ptqi_copy_text(s->context, name, (int64_t)strlen(name));
    if (!e->name)
        return PTQ_ERROR_MEMORY;
    ptqi_table_add(&s->by_name, ptqi_table_hash(&s->by_name, name, (int64_t)strlen(name)),
                   s->count++);
    *entry = e;
    return PTQ_OK;
}

/* Appends a metadata pair with a new key; takes ownership of value. */
static ptq_status add_pair(ptq_store *s, const char *key, const char *type, char *value)
{
    PTQI_TRY(ptqi_table_reserve(&s->by_key, s->metadata_count + 1));
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->metadata, s->metadata_count, &s->metadata_capacity,
                       s->metadata_count + 1, (int64_t)sizeof *s->metadata));
    char *name = ptqi_copy_text(s->context, key, (int64_t)strlen(key));
    if (!name)
        return PTQ_ERROR_MEMORY;
    s->metadata[s->metadata_count] = (struct ptqi_pair){name, value, type};
    ptqi_table_add(&s->by_key, ptqi_table_hash(&s->by_key, key, (int64_t)strlen(key)),
                   s->metadata_count++);
    return PTQ_OK;
}

ptq_status ptqi_store_set_typed(ptq_store *s, const char *key, const char *type, const char *value,
                                int replace)
{
    const int64_t at = find_item(s, &s->by_key, pair_key, key);
    if (at >= 0 && !replace)
        return PTQ_OK;
    char *copy = ptqi_copy_text(s->context, value, (int64_t)strlen(value));
    if (!copy)
        return PTQ_ERROR_MEMORY;
    if (at < 0) {
        ptq_status status = add_pair(s, key, type, copy);
        if (status)
            ptqi_free(s->context, copy);
        return status;
    }
    ptqi_free(s->context, s->metadata[at].value);
    s->metadata[at].value = copy;
    s->metadata[at].type = type;
    return PTQ_OK;
}

ptq_status ptqi_store_set_pair(ptq_store *s, const char *key, const char *value, int replace)
{
    return ptqi_store_set_typed(s, key, "str", value, replace);
}

ptq_status ptqi_store_check_writing(const char *function, const ptq_store *store)
{
    PTQI_REQUIRE_FOR(NULL, function, store);
    if (!store->writing)
        return ptqi_fail(store->context, PTQ_ERROR_ARGUMENT, "%s: store is open for reading",
                         function);
    return PTQ_OK;
}

ptq_status ptqi_store_check_reading(const char *function, const ptq_store *store)
{
    PTQI_REQUIRE_FOR(NULL, function, store);
    if (store->writing)
        return ptqi_fail(store->context, PTQ_ERROR_ARGUMENT, "%s: %s is being written", function,
                         store->path);
    return PTQ_OK;
}

const char *ptqi_store_dtype_name(int32_t dtype)
{
    static const char *const names[] = {
        [PTQ_DTYPE_F32] = "F32", [PTQ_DTYPE_F16] = "F16", [PTQ_DTYPE_BF16] = "BF16",
        [PTQ_DTYPE_I8] = "I8",   [PTQ_DTYPE_U8] = "U8",   [PTQ_DTYPE_I32] = "I32",
    };
    return names[dtype];
}

/* Adds an entry to a store being written. */
ptq_status ptqi_store_describe(ptq_store *s, const char *name, int32_t dtype, int32_t rank,
                               const int64_t *shape, struct ptqi_entry **out)
{
    int64_t elements;
    if (!ptqi_shape_elements(shape, rank, &elements))
        return ptqi_fail(s->context, PTQ_ERROR_SHAPE, "%s is too large", name);
    PTQI_TRY(ptqi_store_new_entry(s, name, out));
    strcpy((*out)->dtype_name, ptqi_store_dtype_name(dtype));
    (*out)->dtype = dtype;
    (*out)->rank = rank;
    (*out)->bytes = elements * ptq_dtype_size(dtype);
    memcpy((*out)->shape, shape, (size_t)rank * sizeof *shape);
    return PTQ_OK;
}

ptq_status ptqi_store_put(ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                          const int64_t *shape, const void *data)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_describe(store, name, dtype, rank, shape, &e));
    e->data = e->owned = ptqi_alloc(store->context, e->bytes, 1);
    if (!e->owned)
        return PTQ_ERROR_MEMORY;
    if (e->bytes)
        memcpy(e->owned, data, (size_t)e->bytes);
    return PTQ_OK;
}

ptq_status ptqi_store_view(const ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                           const int64_t *shape, const void **data)
{
    const struct ptqi_entry *e = ptqi_store_find(store, name);
    if (!e)
        return ptqi_fail(store->context, PTQ_ERROR_MISSING, "%s: no tensor \"%.200s\"", store->path,
                         name);
    int same = e->dtype == dtype && e->rank == rank;
    for (int32_t i = 0; same && i < rank; i++)
        same = e->shape[i] == shape[i];
    if (!same)
        return ptqi_fail(store->context, PTQ_ERROR_SHAPE, "%s: %.200s has another dtype or shape",
                         store->path, name);
    *data = e->data;
    return PTQ_OK;
}

ptq_status ptqi_store_get(const ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                          const int64_t *shape, void *out)
{
    const void *data = NULL;
    PTQI_TRY(ptqi_store_view(store, name, dtype, rank, shape, &data));
    memcpy(out, data, (size_t)ptqi_store_find(store, name)->bytes);
    return PTQ_OK;
}

ptq_status ptqi_store_map(ptq_store *s, const char *path, const struct ptqi_map **map)
{
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->maps, s->map_count, &s->map_capacity,
                       s->map_count + 1, (int64_t)sizeof *s->maps));
    PTQI_TRY(ptqi_map_file(s->context, path, &s->maps[s->map_count]));
    *map = &s->maps[s->map_count++];
    return PTQ_OK;
}
