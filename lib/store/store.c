/*
 * ptq_store: a checkpoint open for reading or writing. The table defines the containers.
 */
#include "store.h"
#include <stdio.h>
#include <string.h>

static const struct ptqi_container *const containers[] = {&ptqi_safetensors, &ptqi_gguf};
enum { CONTAINERS = sizeof containers / sizeof *containers };

ptq_status ptqi_store_new(const char *function, ptq_context *context, const char *path,
                          ptq_store **store)
{
    PTQI_REQUIRE_FOR(context, function, store);
    *store = NULL;
    PTQI_REQUIRE_FOR(NULL, function, context);
    PTQI_REQUIRE_FOR(context, function, path);
    struct ptq_store *s = ptqi_new_handle(context, (int64_t)sizeof *s);
    if (!s)
        return PTQ_ERROR_MEMORY;
    s->context = context;
    atomic_init(&s->references, 1);
    ptqi_table_begin(&s->by_name, context);
    ptqi_table_begin(&s->by_key, context);
    s->path = ptqi_copy_text(context, path, (int64_t)strlen(path));
    if (!s->path) {
        ptq_store_free(s);
        return PTQ_ERROR_MEMORY;
    }
    *store = s;
    return PTQ_OK;
}

static void free_entry(ptq_context *context, struct ptqi_entry *e)
{
    ptqi_free(context, e->name);
    ptqi_free(context, e->owned);
    ptqi_free(context, e->rows);
    if (e->held)
        e->drop(e->held);
}

static void free_store(ptq_store *s)
{
    for (int64_t i = 0; i < s->count; i++)
        free_entry(s->context, &s->entries[i]);
    for (int64_t i = 0; i < s->metadata_count; i++) {
        ptqi_free(s->context, s->metadata[i].key);
        ptqi_free(s->context, s->metadata[i].value);
    }
    for (int64_t i = 0; i < s->map_count; i++)
        ptqi_unmap_file(&s->maps[i]);
    ptqi_free(s->context, s->entries);
    ptqi_table_end(&s->by_name);
    ptqi_table_end(&s->by_key);
    ptqi_json_free(s->settings_document);
    ptqi_free(s->context, s->metadata);
    ptqi_free(s->context, s->maps);
    ptqi_free(s->context, s->path);
    ptqi_free_handle(s->context, s);
}

void ptqi_store_hold(const ptq_store *store)
{
    ptq_store *s = (ptq_store *)(uintptr_t)store;
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

void ptqi_store_release(ptq_store *s)
{
    if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1)
        free_store(s);
}

void ptq_store_free(ptq_store *s)
{
    if (s)
        ptqi_store_release(s);
}

static void drop_store(void *store)
{
    ptqi_store_release(store);
}

void ptqi_entry_hold(struct ptqi_entry *e, const ptq_store *from)
{
    ptqi_store_hold(from);
    e->held = (void *)(uintptr_t)from;
    e->drop = drop_store;
}

/* Reports a file that no container recognizes, or that cannot even be opened. */
static ptq_status fail_container(ptq_store *s, const char *path)
{
    char list[100] = "";
    struct ptqi_map map;
    PTQI_TRY(ptqi_map_file(s->context, path, &map));
    ptqi_unmap_file(&map);
    for (int i = 0; i < CONTAINERS; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                 containers[i]->name);
    return ptqi_fail(s->context, PTQ_ERROR_FORMAT, "%s: not a file of a known format (%s)", path,
                     list);
}

static ptq_status open_path(ptq_store *s, const char *path)
{
    for (int i = 0; i < CONTAINERS; i++)
        if (containers[i]->recognise(s->context, path)) {
            s->container = containers[i];
            return s->container->open(s, path);
        }
    return fail_container(s, path);
}

ptq_status ptq_store_open(ptq_context *context, const char *path, ptq_store **store)
{
    PTQI_TRY(ptqi_store_new(__func__, context, path, store));
    ptq_status status = open_path(*store, path);
    if (status) {
        ptq_store_free(*store);
        *store = NULL;
    }
    return status;
}

/* Bytes that begin like nothing known are taken for the first container, which says what it lacks.
 */
static ptq_status read_memory(ptq_store *s, const uint8_t *bytes, int64_t size)
{
    int i = CONTAINERS - 1;
    while (i > 0 && !containers[i]->begins(bytes, size))
        i--;
    s->container = containers[i];
    return s->container->read_bytes(s, s->path, bytes, size);
}

ptq_status ptq_store_open_memory(ptq_context *context, const void *data, int64_t bytes,
                                 ptq_store **store)
{
    PTQI_TRY(ptqi_store_new(__func__, context, "memory", store));
    ptq_status status = ptqi_check_between(context, __func__, "bytes", bytes, 1, PTRDIFF_MAX);
    if (!status && !data)
        status = ptqi_fail_null(context, __func__, "data");
    if (!status)
        status = read_memory(*store, data, bytes);
    if (status) {
        ptq_store_free(*store);
        *store = NULL;
    }
    return status;
}

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

int64_t ptq_store_find(const ptq_store *store, const char *name)
{
    const struct ptqi_entry *e = store && name ? ptqi_store_find(store, name) : NULL;
    return e ? e - store->entries : -1;
}

int32_t ptq_store_dtype_value(const ptq_store *store, int64_t index)
{
    const struct ptqi_entry *e = entry_at(store, index);
    return e ? e->dtype : 0;
}

int32_t ptq_store_rank(const ptq_store *store, int64_t index)
{
    const struct ptqi_entry *e = entry_at(store, index);
    return e ? e->rank : 0;
}

int64_t ptq_store_size(const ptq_store *store, int64_t index, int32_t axis)
{
    const struct ptqi_entry *e = entry_at(store, index);
    if (!e)
        return 0;
    return axis >= 0 && axis < e->rank ? e->shape[axis] : 1;
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
    const struct ptqi_entry *e = entry_at(store, index);
    return e ? e->data : NULL;
}

int32_t ptq_store_has(const ptq_store *store, const char *name)
{
    return store && name && ptqi_store_find(store, name);
}

const char *ptq_store_metadata_key(const ptq_store *store, int64_t index)
{
    return store && index >= 0 && index < store->metadata_count ? store->metadata[index].key : NULL;
}

const char *ptq_store_metadata(const ptq_store *store, const char *key)
{
    return store && key ? ptqi_store_value(store, key) : NULL;
}

const char *ptq_store_metadata_type(const ptq_store *store, const char *key)
{
    const struct ptqi_pair *pair = store && key ? ptqi_store_pair(store, key) : NULL;
    return pair ? pair->type : NULL;
}

/* The container that a name's ending asks for; the first one for any other name. */
static const struct ptqi_container *container_for(const char *path)
{
    const size_t length = strlen(path);
    int i = CONTAINERS - 1;
    for (; i > 0; i--) {
        const size_t tail = strlen(containers[i]->ending);
        if (length > tail && !strcmp(path + length - tail, containers[i]->ending))
            break;
    }
    return containers[i];
}

ptq_status ptq_store_create(ptq_context *context, const char *path, ptq_store **store)
{
    PTQI_TRY(ptqi_store_new(__func__, context, path, store));
    (*store)->container = container_for(path);
    (*store)->writing = 1;
    return PTQ_OK;
}

ptq_status ptq_store_set_metadata(ptq_store *store, const char *key, const char *value)
{
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(store->context, key);
    PTQI_REQUIRE(store->context, value);
    return ptqi_store_set_pair(store, key, value, 1);
}

ptq_status ptq_store_set_typed_metadata(ptq_store *store, const char *key, const char *type,
                                        const char *value)
{
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    PTQI_REQUIRE(store->context, key);
    PTQI_REQUIRE(store->context, type);
    PTQI_REQUIRE(store->context, value);
    return store->container->set_typed(store, key, type, value);
}

ptq_status ptq_store_set_quantization(ptq_store *store, const char *json)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    PTQI_REQUIRE(NULL, store);
    PTQI_REQUIRE(store->context, json);
    PTQI_TRY(ptqi_json_parse(store->context, json, (int64_t)strlen(json), "quantization_config",
                             &document, &root));
    if (root->kind != PTQI_JSON_OBJECT) {
        ptqi_json_free(document);
        return ptqi_fail(store->context, PTQ_ERROR_FORMAT, "quantization_config: not an object");
    }
    ptqi_json_free(store->settings_document);
    store->settings_document = document;
    store->settings = root;
    return PTQ_OK;
}

ptq_status ptq_store_commit(ptq_store *store)
{
    PTQI_TRY(ptqi_store_check_writing(__func__, store));
    return store->container->write(store);
}
