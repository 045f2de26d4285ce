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

static ptq_status write_none(ptq_store *s)
{
    return ptqi_fail(s->context, PTQ_ERROR_UNSUPPORTED, "%s: GGUF files are only read", s->path);
}

const struct ptqi_container ptqi_gguf = {
    .name = "gguf",
    .begins = begins,
    .recognise = recognise,
    .open = open_path,
    .read_bytes = ptqi_gguf_read_bytes,
    .write = write_none,
};
