#include "checkpoint/shards.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/context.h"
#include "base/file.h"

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

/* The name of file i of count; count 0: it is not known yet. */
static void file_name(int i, int count, char *name, size_t capacity)
{
    if (!count)
        snprintf(name, capacity, "shard-%05d.safetensors", i);
    else if (count == 1)
        snprintf(name, capacity, "%s", single_name);
    else
        snprintf(name, capacity, "model-%05d-of-%05d.safetensors", i, count);
}

int shards_is_intermediate(const char *name)
{
    char again[64];
    int i;
    if (sscanf(name, "shard-%d.", &i) != 1 || i < 1)
        return 0;
    file_name(i, 0, again, sizeof again);
    return !strcmp(name, again);
}

int shards_owns(const char *name)
{
    char again[64];
    int i, count;
    if (!strcmp(name, single_name) || !strcmp(name, index_name) || shards_is_intermediate(name))
        return 1;
    if (sscanf(name, "model-%d-of-%d.", &i, &count) != 2 || i < 1 || count < 2)
        return 0;
    file_name(i, count, again, sizeof again);
    return !strcmp(name, again);
}

void shards_begin(struct shards *s, const struct workdir *workdir, int64_t limit, const char *tag)
{
    memset(s, 0, sizeof *s);
    s->context = workdir->context;
    s->workdir = workdir;
    s->limit = limit;
    s->tag = tag;
}

static ptq_status commit(struct shards *s)
{
    ptq_status status = s->store ? ptq_store_commit(s->store) : PTQ_OK;
    ptq_store_free(s->store);
    s->store = NULL;
    s->bytes = 0;
    return status;
}

static ptq_status open_next(struct shards *s)
{
    char name[64];
    file_name(++s->count, 0, name, sizeof name);
    char *path = workdir_file(s->workdir, name);
    ptq_status status = path ? ptq_store_create(s->context, path, &s->store) : PTQ_ERROR_MEMORY;
    ptqi_free(s->context, path);
    return status || !s->tag ? status : ptq_store_set_metadata(s->store, "format", s->tag);
}

static ptq_status note(struct shards *s, const char *name)
{
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->names, s->tensors, &s->capacity, s->tensors + 1,
                       (int64_t)sizeof *s->names));
    PTQI_TRY(ptqi_grow(s->context, (void **)&s->files, s->tensors, &s->file_capacity,
                       s->tensors + 1, (int64_t)sizeof *s->files));
    s->names[s->tensors] = ptqi_copy_text(s->context, name, (int64_t)strlen(name));
    if (!s->names[s->tensors])
        return PTQ_ERROR_MEMORY;
    s->files[s->tensors++] = s->count;
    return PTQ_OK;
}

ptq_status shards_add(struct shards *s, const ptq_store *from, const char *name)
{
    const int64_t bytes = ptq_store_bytes(from, ptq_store_find(from, name));
    if (s->store && s->bytes && s->bytes + bytes > s->limit)
        PTQI_TRY(commit(s));
    if (!s->store)
        PTQI_TRY(open_next(s));
    s->bytes += bytes;
    s->total += bytes;
    PTQI_TRY(note(s, name));
    return ptq_store_copy(s->store, from, name);
}

ptq_status shards_describe(struct shards *s, const char *key, const char *value)
{
    if (!s->store)
        PTQI_TRY(open_next(s));
    return ptq_store_set_metadata(s->store, key, value);
}

/* model.safetensors.index.json, as transformers writes it. */
static ptq_status write_index(const struct shards *s)
{
    struct ptqi_json_writer w;
    char file[64];
    ptqi_json_begin(&w, s->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_open(&w, "metadata", '{');
    ptqi_json_add_integer(&w, "total_size", s->total);
    ptqi_json_close(&w, '}');
    ptqi_json_open(&w, "weight_map", '{');
    for (int64_t i = 0; i < s->tensors; i++) {
        file_name(s->files[i], s->count, file, sizeof file);
        ptqi_json_add_text(&w, s->names[i], file);
    }
    ptqi_json_close(&w, '}');
    ptqi_json_close(&w, '}');
    ptq_status status = ptqi_json_finish(&w);
    char *path = workdir_file(s->workdir, index_name);
    if (!status)
        status = path ? ptqi_write_file(s->context, path, w.text, w.length) : PTQ_ERROR_MEMORY;
    ptqi_free(s->context, path);
    ptqi_json_end(&w);
    return status;
}

/* Gives a file its final name, and adds its size. */
static ptq_status rename_file(struct shards *s, int i)
{
    struct stat info;
    char before[64], after[64];
    file_name(i, 0, before, sizeof before);
    file_name(i, s->count, after, sizeof after);
    char *from = workdir_file(s->workdir, before), *to = workdir_file(s->workdir, after);
    ptq_status status = from && to ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status && rename(from, to))
        status = ptqi_fail_io(s->context, to, "rename to");
    if (!status && !stat(to, &info))
        s->written += (int64_t)info.st_size;
    ptqi_free(s->context, from);
    ptqi_free(s->context, to);
    return status;
}

ptq_status shards_finish(struct shards *s)
{
    if (!s->count)
        PTQI_TRY(open_next(s));
    PTQI_TRY(commit(s));
    for (int i = 1; i <= s->count; i++)
        PTQI_TRY(rename_file(s, i));
    return s->count > 1 ? write_index(s) : PTQ_OK;
}

void shards_free(struct shards *s)
{
    ptq_store_free(s->store);
    for (int64_t i = 0; i < s->tensors; i++)
        ptqi_free(s->context, s->names[i]);
    ptqi_free(s->context, s->names);
    ptqi_free(s->context, s->files);
}
