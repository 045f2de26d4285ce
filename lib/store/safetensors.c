/*
 * safetensors as a container: one file, or several with an index, or a directory with either.
 */
#include <string.h>
#include "base/json.h"
#include "store.h"

static const char index_ending[] = ".index.json";

/* A shard's file name must not lead out of the directory of its index. */
static int is_plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, "..") && strcmp(name, ".");
}

/* Opens a shard unless it is already open. */
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

/* Reads each file named in the weight map once; every tensor in the map must then exist. */
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
                          "%s: the file of \"%.200s\" is not a plain file name", s->path, m->name);
    }
    ptqi_free(s->context, opened);
    if (status)
        return status;
    for (const struct ptqi_json *m = map->first; m; m = m->next)
        if (!ptqi_store_find(s, m->name))
            return ptqi_fail(s->context, PTQ_ERROR_FORMAT,
                             "%s: \"%.200s\" is in the index but in no shard", s->path, m->name);
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

static int ends_in(const char *path, const char *ending)
{
    const size_t length = strlen(path), tail = strlen(ending);
    return length > tail && !strcmp(path + length - tail, ending);
}

/* The length of the header, then an opening brace. */
static int begins(const uint8_t *bytes, int64_t size)
{
    int likely = size > 8 && bytes[8] == '{';
    for (int i = 4; i < 8 && likely; i++)
        likely = bytes[i] == 0;
    return likely;
}

/* Whether a file without the usual extension begins like a safetensors file. */
static int begins_like_one(ptq_context *context, const char *path)
{
    struct ptqi_map map;
    if (!ptqi_file_exists(path) || ptqi_map_file(context, path, &map))
        return 0;
    const int likely = begins(map.data, map.size);
    ptqi_unmap_file(&map);
    return likely;
}

static int recognise(ptq_context *context, const char *path)
{
    return ptqi_is_directory(path) || ends_in(path, ".safetensors") ||
           ends_in(path, index_ending) || begins_like_one(context, path);
}

static ptq_status open_path(ptq_store *s, const char *path)
{
    if (ptqi_is_directory(path))
        return read_directory(s, path);
    if (!ends_in(path, index_ending))
        return ptqi_safetensors_read(s, path);
    char *directory = ptqi_copy_text(s->context, path, (int64_t)strlen(path));
    if (!directory)
        return PTQ_ERROR_MEMORY;
    char *slash = strrchr(directory, '/');
    strcpy(slash ? slash : directory, slash ? "" : ".");
    ptq_status status = read_index(s, directory, path);
    ptqi_free(s->context, directory);
    return status;
}

/* Values are strings. */
static ptq_status set_typed(ptq_store *s, const char *key, const char *type, const char *value)
{
    if (strcmp(type, "str"))
        return ptqi_fail(s->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: %.200s: safetensors has no metadata of type \"%.20s\"", s->path, key,
                         type);
    return ptqi_store_set_pair(s, key, value, 1);
}

const struct ptqi_container ptqi_safetensors = {
    .name = "safetensors",
    .begins = begins,
    .read_bytes = ptqi_safetensors_read_bytes,
    .recognise = recognise,
    .open = open_path,
    .ending = ".safetensors",
    .set_typed = set_typed,
    .write = ptqi_safetensors_write,
};
