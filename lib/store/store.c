/*
 * ptq_store: checkpoints of one file or of many, found by a path, read by name.
 */
#include "store.h"
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "tensor.h"

static ptq_status new_store(const char *function, ptq_context *context, const char *path,
                            ptq_store **store)
{
    PTQI_REQUIRE_FOR(context, function, store);
    *store = NULL;
    PTQI_REQUIRE_FOR(NULL, function, context);
    PTQI_REQUIRE_FOR(context, function, path);
    struct ptq_store *s = ptqi_alloc_zero(context, 1, (int64_t)sizeof *s);
    if (!s)
        return PTQ_ERROR_MEMORY;
    s->context = context;
    s->path = ptqi_copy_text(context, path, (int64_t)strlen(path));
    if (!s->path) {
        ptq_store_free(s);
        return PTQ_ERROR_MEMORY;
    }
    *store = s;
    return PTQ_OK;
}

void ptq_store_free(ptq_store *s)
{
    if (!s)
        return;
    for (int64_t i = 0; i < s->count; i++) {
        ptqi_free(s->context, s->entries[i].name);
        ptqi_free(s->context, s->entries[i].owned);
    }
    for (int64_t i = 0; i < s->metadata_count; i++) {
        ptqi_free(s->context, s->metadata[i].key);
        ptqi_free(s->context, s->metadata[i].value);
    }
    for (int64_t i = 0; i < s->map_count; i++)
        ptqi_unmap_file(&s->maps[i]);
    ptqi_free(s->context, s->entries);
    ptqi_free(s->context, s->by_name.table);
    ptqi_free(s->context, s->by_key.table);
    ptqi_free(s->context, s->metadata);
    ptqi_free(s->context, s->maps);
    ptqi_free(s->context, s->path);
    ptqi_free(s->context, s);
}

static const char *entry_name(const ptq_store *s, int64_t i)
{
    return s->entries[i].name;
}

static const char *pair_key(const ptq_store *s, int64_t i)
{
    return s->metadata[i].key;
}

/* The slot of a name: its item's, or the empty one where it would go. */
static int64_t *slot(const ptq_store *s, const struct ptqi_index *index,
                     const char *(*name_of)(const ptq_store *, int64_t), const char *name)
{
    for (uint64_t i = ptqi_hash(PTQI_HASH_START, name, (int64_t)strlen(name));; i++) {
        int64_t *at = &index->table[i & (uint64_t)(index->size - 1)];
        if (!*at || !strcmp(name_of(s, *at - 1), name))
            return at;
    }
}

/* Makes room for one more than count items. */
static ptq_status grow_index(const ptq_store *s, struct ptqi_index *index,
                             const char *(*name_of)(const ptq_store *, int64_t), int64_t count)
{
    struct ptqi_index larger = {NULL, index->size ? index->size * 2 : 64};
    if (2 * (count + 1) <= index->size)
        return PTQ_OK;
    larger.table = ptqi_alloc_zero(s->context, larger.size, (int64_t)sizeof *larger.table);
    if (!larger.table)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++)
        *slot(s, &larger, name_of, name_of(s, i)) = i + 1;
    ptqi_free(s->context, index->table);
    *index = larger;
    return PTQ_OK;
}

/* The item of a name, -1 where there is none. */
static int64_t find_item(const ptq_store *s, const struct ptqi_index *index,
                         const char *(*name_of)(const ptq_store *, int64_t), const char *name)
{
    return index->size ? *slot(s, index, name_of, name) - 1 : -1;
}

ptq_status ptqi_store_new_entry(ptq_store *s, const char *name, struct ptqi_entry **entry)
{
    PTQI_TRY(grow_index(s, &s->by_name, entry_name, s->count));
    if (find_item(s, &s->by_name, entry_name, name) >= 0)
        return ptqi_fail(s->context, PTQ_ERROR_FORMAT, "%s: two tensors have the name \"%.200s\"",
                         s->path, name);
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->entries, s->count, &s->capacity, s->count + 1,
                       (int64_t)sizeof *s->entries));
    struct ptqi_entry *e = &s->entries[s->count];
    memset(e, 0, sizeof *e);
    e->name = ptqi_copy_text(s->context, name, (int64_t)strlen(name));
    if (!e->name)
        return PTQ_ERROR_MEMORY;
    s->count++;
    *slot(s, &s->by_name, entry_name, name) = s->count;
    *entry = e;
    return PTQ_OK;
}

/* Appends a metadata pair of a new key; takes value over. */
static ptq_status add_pair(ptq_store *s, const char *key, char *value)
{
    PTQI_TRY(grow_index(s, &s->by_key, pair_key, s->metadata_count));
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->metadata, s->metadata_count, &s->metadata_capacity,
                       s->metadata_count + 1, (int64_t)sizeof *s->metadata));
    char *name = ptqi_copy_text(s->context, key, (int64_t)strlen(key));
    if (!name)
        return PTQ_ERROR_MEMORY;
    s->metadata[s->metadata_count].key = name;
    s->metadata[s->metadata_count++].value = value;
    *slot(s, &s->by_key, pair_key, name) = s->metadata_count;
    return PTQ_OK;
}

ptq_status ptqi_store_set_pair(ptq_store *s, const char *key, const char *value, int replace)
{
    int64_t at = find_item(s, &s->by_key, pair_key, key);
    if (at >= 0 && !replace)
        return PTQ_OK;
    char *copy = ptqi_copy_text(s->context, value, (int64_t)strlen(value));
    if (!copy)
        return PTQ_ERROR_MEMORY;
    if (at < 0) {
        ptq_status status = add_pair(s, key, copy);
        if (status)
            ptqi_free(s->context, copy);
        return status;
    }
    ptqi_free(s->context, s->metadata[at].value);
    s->metadata[at].value = copy;
    return PTQ_OK;
}

/* A shard's file name may not lead out of the directory of its index. */
static int is_plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, "..") && strcmp(name, ".");
}

/* Opens a shard unless it is among the files that were opened already. */
static ptq_status read_shard(ptq_store *s, const char *directory, const char *file,
                             const char ***opened, int64_t *capacity)
{
    int64_t count = s->map_count;
    for (int64_t i = 0; i < count; i++)
        if (!strcmp((*opened)[i], file))
            return PTQ_OK;
    PTQI_TRY(ptqi_grow(s->context, (void **)opened, count, capacity, count + 1,
                       (int64_t)sizeof **opened));
    (*opened)[count] = file;
    char *path = ptqi_join_path(s->context, directory, file);
    ptq_status status = path ? ptqi_safetensors_read(s, path) : PTQ_ERROR_MEMORY;
    ptqi_free(s->context, path);
    return status;
}

/* Every file that the weight map names, once; then every name of the map must be there. */
static ptq_status read_shards(ptq_store *s, const char *directory, const struct ptqi_json *map)
{
    const char **opened = NULL;
    int64_t capacity = 0;
    ptq_status status = PTQ_OK;
    for (const struct ptqi_json *m = map->first; m && !status; m = m->next) {
        const char *file = ptqi_json_string(m);
        if (file && is_plain_name(file))
            status = read_shard(s, directory, file, &opened, &capacity);
        else
            status =
                ptqi_fail(s->context, PTQ_ERROR_FORMAT,
                          "%s: the file of \"%.200s\" is no plain file name", s->path, m->name);
    }
    ptqi_free(s->context, opened);
    if (status)
        return status;
    for (const struct ptqi_json *m = map->first; m; m = m->next)
        if (!ptq_store_has(s, m->name))
            return ptqi_fail(s->context, PTQ_ERROR_FORMAT,
                             "%s: \"%.200s\" is in the index and in no shard", s->path, m->name);
    return PTQ_OK;
}

static ptq_status read_index(ptq_store *s, const char *directory, const char *index)
{
    struct ptqi_map file;
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *root;
    PTQI_TRY(ptqi_map_file(s->context, index, &file));
    ptq_status status =
        ptqi_json_parse(s->context, (const char *)file.data, file.size, index, &document, &root);
    if (!status) {
        const struct ptqi_json *map = ptqi_json_get(root, "weight_map");
        if (!map || map->kind != PTQI_JSON_OBJECT)
            status = ptqi_fail(s->context, PTQ_ERROR_FORMAT, "%s: no \"weight_map\"", index);
        else
            status = read_shards(s, directory, map);
    }
    ptqi_json_free(document);
    ptqi_unmap_file(&file);
    return status;
}

static ptq_status read_directory(ptq_store *s, const char *directory)
{
    char *index = ptqi_join_path(s->context, directory, "model.safetensors.index.json");
    char *single = ptqi_join_path(s->context, directory, "model.safetensors");
    ptq_status status = PTQ_ERROR_MEMORY;
    if (index && single)
        status = ptqi_file_exists(index) ? read_index(s, directory, index)
                                         : ptqi_safetensors_read(s, single);
    ptqi_free(s->context, index);
    ptqi_free(s->context, single);
    return status;
}

static ptq_status read_path(ptq_store *s, const char *path)
{
    static const char ending[] = ".index.json";
    size_t length = strlen(path), tail = sizeof ending - 1;
    if (ptqi_is_directory(path))
        return read_directory(s, path);
    if (length <= tail || strcmp(path + length - tail, ending))
        return ptqi_safetensors_read(s, path);
    char *directory = ptqi_copy_text(s->context, path, (int64_t)length);
    if (!directory)
        return PTQ_ERROR_MEMORY;
    char *slash = strrchr(directory, '/');
    strcpy(slash ? slash : directory, slash ? "" : ".");
    ptq_status status = read_index(s, directory, path);
    ptqi_free(s->context, directory);
    return status;
}

ptq_status ptq_store_open(ptq_context *context, const char *path, ptq_store **store)
{
    PTQI_TRY(new_store(__func__, context, path, store));
    ptq_status status = read_path(*store, path);
    if (status) {
        ptq_store_free(*store);
        *store = NULL;
    }
    return status;
}

/* Entry number index, NULL where there is none. */
static const struct ptqi_entry *entry_at(const ptq_store *store, int64_t index)
{
    return store && index >= 0 && index < store->count ? &store->entries[index] : NULL;
}

int64_t ptq_store_count(const ptq_store *store)
{
    return store ? store->count : 0;
}

const char *ptq_store_name(const ptq_store *store, int64_t index)
{
    const struct ptqi_entry *e = entry_at(store, index);
    return e ? e->name : NULL;
}

const char *ptq_store_dtype(const ptq_store *store, int64_t index)
{
    const struct ptqi_entry *e = entry_at(store, index);
    return e ? e->dtype_name : NULL;
}

int64_t ptq_store_bytes(const ptq_store *store, int64_t index)
{
    const struct ptqi_entry *e = entry_at(store, index);
    return e ? e->bytes : 0;
}

const void *ptq_store_data(const ptq_store *store, int64_t index)
{
    return store && index >= 0 && index < store->count ? store->entries[index].data : NULL;
}

static const struct ptqi_entry *find(const ptq_store *store, const char *name)
{
    int64_t i = find_item(store, &store->by_name, entry_name, name);
    return i >= 0 ? &store->entries[i] : NULL;
}

int32_t ptq_store_has(const ptq_store *store, const char *name)
{
    return store && name && find(store, name);
}

ptq_status ptq_store_tensor(const ptq_store *store, const char *name, ptq_tensor **tensor)
{
    PTQI_REQUIRE(store ? store->context : NULL, tensor);
    *tensor = NULL;
    PTQI_REQUIRE(NULL, store);
    PTQI_REQUIRE(store->context, name);
    const struct ptqi_entry *e = find(store, name);
    if (!e)
        return ptqi_fail(store->context, PTQ_ERROR_UNKNOWN, "%s: there is no tensor \"%.200s\"",
                         store->path, name);
    if (!e->dtype)
        return ptqi_fail(store->context, PTQ_ERROR_DTYPE, "%s: %.200s: dtype %s is not supported",
                         store->path, name, e->dtype_name);
    ptq_status status;
    if ((uintptr_t)e->data % (uintptr_t)ptq_dtype_size(e->dtype) == 0) {
        void *data = (void *)(uintptr_t)e->data;
        status = ptq_tensor_borrow(store->context, e->dtype, e->rank, e->shape, data, tensor);
    } else {
        status = ptq_tensor_create(store->context, e->dtype, e->rank, e->shape, tensor);
        if (!status)
            memcpy(ptq_tensor_data(*tensor), e->data, (size_t)e->bytes);
    }
    if (!status)
        status = ptq_tensor_set_name(*tensor, name);
    if (status) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
    }
    return status;
}

const char *ptq_store_metadata_key(const ptq_store *store, int64_t index)
{
    return store && index >= 0 && index < store->metadata_count ? store->metadata[index].key : NULL;
}

const char *ptq_store_metadata(const ptq_store *store, const char *key)
{
    int64_t i = store && key ? find_item(store, &store->by_key, pair_key, key) : -1;
    return i >= 0 ? store->metadata[i].value : NULL;
}

ptq_status ptq_store_create(ptq_context *context, const char *path, ptq_store **store)
{
    PTQI_TRY(new_store(__func__, context, path, store));
    (*store)->writing = 1;
    return PTQ_OK;
}

ptq_status ptqi_store_check_writing(const char *function, const ptq_store *store)
{
    PTQI_REQUIRE_FOR(NULL, function, store);
    if (!store->writing)
        return ptqi_fail(store->context, PTQ_ERROR_ARGUMENT, "%s: store is open for reading",
                         function);
    return PTQ_OK;
}

/* An entry of a store being written. */
static ptq_status add(ptq_store *s, const char *name, int32_t dtype, int32_t rank,
                      const int64_t *shape, struct ptqi_entry **out)
{
    static const char *const names[] = {
        [PTQ_F32] = "F32", [PTQ_F16] = "F16", [PTQ_BF16] = "BF16",
        [PTQ_I8] = "I8",   [PTQ_U8] = "U8",   [PTQ_I32] = "I32",
    };
    int64_t bytes = ptq_dtype_size(dtype);
    for (int32_t i = 0; i < rank; i++)
        if (!ptqi_multiply(bytes, shape[i], &bytes))
            return ptqi_fail(s->context, PTQ_ERROR_SHAPE, "%s is too large", name);
    PTQI_TRY(ptqi_store_new_entry(s, name, out));
    strcpy((*out)->dtype_name, names[dtype]);
    (*out)->dtype = dtype;
    (*out)->rank = rank;
    (*out)->bytes = bytes;
    memcpy((*out)->shape, shape, (size_t)rank * sizeof *shape);
    return PTQ_OK;
}

ptq_status ptq_store_add(ptq_store *store, const char *name, const ptq_tensor *tensor)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(store->context, name);
    PTQI_REQUIRE(store->context, tensor);
    PTQI_TRY(add(store, name, tensor->dtype, tensor->rank, tensor->shape, &e));
    e->data = tensor->data;
    return PTQ_OK;
}

ptq_status ptq_store_copy(ptq_store *store, const ptq_store *from, const char *name)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(store->context, from);
    PTQI_REQUIRE(store->context, name);
    const struct ptqi_entry *source = find(from, name);
    if (!source)
        return ptqi_fail(store->context, PTQ_ERROR_UNKNOWN, "%s: there is no tensor \"%.200s\"",
                         from->path, name);
    PTQI_TRY(ptqi_store_new_entry(store, name, &e));
    const struct ptqi_entry own = *e;
    *e = *source;
    e->name = own.name;
    e->owned = NULL;
    return PTQ_OK;
}

ptq_status ptqi_store_put(ptq_store *store, const char *name, int32_t dtype, int32_t rank,
                          const int64_t *shape, const void *data)
{
    struct ptqi_entry *e;
    PTQI_TRY(add(store, name, dtype, rank, shape, &e));
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
    const struct ptqi_entry *e = find(store, name);
    if (!e)
        return ptqi_fail(store->context, PTQ_ERROR_MISSING, "%s: there is no tensor \"%.200s\"",
                         store->path, name);
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
    memcpy(out, data, (size_t)find(store, name)->bytes);
    return PTQ_OK;
}

ptq_status ptq_store_set_metadata(ptq_store *store, const char *key, const char *value)
{
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(store->context, key);
    PTQI_REQUIRE(store->context, value);
    return ptqi_store_set_pair(store, key, value, 1);
}

ptq_status ptq_store_commit(ptq_store *store)
{
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    return ptqi_safetensors_write(store);
}
