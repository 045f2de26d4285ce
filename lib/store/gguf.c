/*
 * GGUF as a container: one file.
 */
#include "gguf.h"
#include <string.h>

static int begins(const uint8_t *bytes, int64_t size)
{
    return size >= 4 && !memcmp(bytes, "GGUF", 4);
}

static int recognise(ptq_context *context, const char *path)
{
    struct ptqi_map map;
    if (!ptqi_file_exists(path) || ptqi_map_file(context, path, &map))
        return 0;
    const int found = begins(map.data, map.size);
    ptqi_unmap_file(&map);
    return found;
}

static ptq_status open_path(ptq_store *s, const char *path)
{
    const struct ptqi_map *map;
    PTQI_TRY(ptqi_store_map(s, path, &map));
    return ptqi_gguf_read_bytes(s, path, map->data, map->size);
}

static ptq_status set_typed(ptq_store *s, const char *key, const char *type, const char *value)
{
    uint32_t id;
    int is_array;
    if (!ptqi_gguf_value_named(type, &id, &is_array))
        return ptqi_fail(s->context, PTQ_ERROR_UNKNOWN, "%s: %.200s: no type \"%.20s\"", s->path,
                         key, type);
    const struct ptqi_gguf_value_type *known = ptqi_gguf_value_type(id);
    return ptqi_store_set_typed(s, key, is_array ? known->array_name : known->name, value, 1);
}

const struct ptqi_container ptqi_gguf = {
    .name = "gguf",
    .begins = begins,
    .recognise = recognise,
    .open = open_path,
    .read_bytes = ptqi_gguf_read_bytes,
    .ending = ".gguf",
    .set_typed = set_typed,
    .write = ptqi_gguf_write,
};
