#include "checkpoint/output.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "base/half.h"
#include "checkpoint/gguf_source.h"
#include "checkpoint/shards.h"
#include "store/store.h"
#include "text/gguf_tokenizer.h"

static const char config_name[] = "config.json", old_config_name[] = "quantize_config.json";

static const char safetensors[] = ".safetensors", gguf[] = ".gguf";

/* A block's file; with an ending, the one that takes its place in the result. */
static void part_name(int64_t block, const char *ending, char *name, size_t capacity)
{
    snprintf(name, capacity, "%s-%05lld%s", ending ? "converted" : "block", (long long)block,
             ending ? ending : safetensors);
}

static char *part_path(const struct output *o, int64_t block, int converted)
{
    char name[64];
    part_name(block, converted ? o->ending : NULL, name, sizeof name);
    return workdir_file(o->workdir, name);
}

static int is_part(const char *name)
{
    const char *const endings[] = {NULL, safetensors, gguf};
    long long block;
    if (sscanf(name, *name == 'c' ? "converted-%lld." : "block-%lld.", &block) != 1 || block < 0)
        return 0;
    for (int i = 0; i < 3; i++) {
        char again[64];
        part_name(block, endings[i], again, sizeof again);
        if (!strcmp(name, again))
            return 1;
    }
    return 0;
}

/* Whether this program could have given a file in the partial directory this name. */
static int is_ours(const char *name)
{
    char whole[256];
    if (!strcmp(name, "run.json"))
        return 1;
    snprintf(whole, sizeof whole, "%s", name);
    ptqi_cut_partial(whole);
    for (int i = 0; checkpoint_companion(i); i++)
        if (!strcmp(whole, checkpoint_companion(i)))
            return 1;
    return is_part(whole) || shards_owns(whole) || !strcmp(whole, config_name) ||
           !strcmp(whole, old_config_name) || !strcmp(whole, OUTPUT_FILE);
}

void output_remove(ptq_context *context, const char *path)
{
    workdir_remove(context, path, is_ours);
}

/* A tokenizer.json from the metadata of a GGUF file, which is opened again since the checkpoint has
 * only a view of its tensors. The caller frees it with ptqi_json_end, on failure too. */
static ptq_status make_tokenizer(const struct checkpoint *c, struct ptqi_json_writer *json)
{
    ptq_store *file;
    ptqi_json_begin(json, c->context);
    PTQI_TRY(ptq_store_open(c->context, c->path, &file));
    const ptq_status status = ptq_store_metadata(file, "tokenizer.ggml.model")
                                  ? gguf_write_tokenizer(c->context, file, json)
                                  : PTQ_OK;
    ptq_store_free(file);
    return status ? ptqi_fail_at(c->context, status, c->path) : PTQ_OK;
}

/* Writes it to a file, if there is one; NULL: only checks that it can be made. */
static ptq_status write_tokenizer(const struct checkpoint *c, const char *path)
{
    struct ptqi_json_writer json;
    ptq_status status = make_tokenizer(c, &json);
    if (!status && path && json.length)
        status = ptqi_write_file(c->context, path, json.text, json.length);
    ptqi_json_end(&json);
    return status;
}

/* Checks that the files to copy at the end can be read. */
static ptq_status check_companions(const struct checkpoint *c)
{
    if (c->gguf)
        return write_tokenizer(c, NULL);
    for (int i = 0; checkpoint_companion(i); i++) {
        struct ptqi_map file;
        char *from = checkpoint_file(c, checkpoint_companion(i));
        ptq_status status = from ? PTQ_OK : PTQ_ERROR_MEMORY;
        if (from && ptqi_file_exists(from) && !(status = ptqi_map_file(c->context, from, &file)))
            ptqi_unmap_file(&file);
        ptqi_free(c->context, from);
        if (status)
            return status;
    }
    return PTQ_OK;
}

ptq_status output_check(const struct checkpoint *source, const char *const *inputs, int count,
                        const char *path, int resume)
{
    PTQI_TRY(workdir_check(source->context, path, inputs, count, resume));
    return check_companions(source);
}

/* Counts the blocks with files, starting with the first block. */
static ptq_status count_finished(struct output *o)
{
    for (int there = 1; there && o->finished < o->blocks; o->finished += there) {
        char *path = part_path(o, o->finished, 0);
        if (!path)
            return PTQ_ERROR_MEMORY;
        there = ptqi_file_exists(path);
        ptqi_free(o->context, path);
    }
    return PTQ_OK;
}

ptq_status output_begin(const struct checkpoint *source, const char *path, const char *description,
                        int resume, int64_t blocks, struct output **output)
{
    struct output *o = ptqi_alloc_zero(source->context, 1, (int64_t)sizeof *o);
    *output = NULL;
    if (!o)
        return PTQ_ERROR_MEMORY;
    o->context = source->context;
    o->source = source;
    o->blocks = blocks;
    o->ending = safetensors;
    ptq_status status = workdir_open(o->context, path, description, resume, is_ours, &o->workdir);
    if (!status && o->workdir->resumed)
        status = count_finished(o);
    if (status) {
        output_free(o, 1);
        return status;
    }
    *output = o;
    return PTQ_OK;
}

/* Adds, unchanged, the tensors of the source that belong to a block (-1: to none) and are not
 * rewritten. */
static ptq_status copy_kept(const struct checkpoint *source, int64_t block, ptq_store *store)
{
    for (int64_t i = 0; i < ptq_store_count(source->store); i++)
        if (source->places[i].block == block && !source->places[i].rewritten)
            PTQI_TRY(ptq_store_copy(store, source->store, ptq_store_name(source->store, i)));
    return PTQ_OK;
}

static ptq_status begin_part(const struct output *o, int64_t block, int converted,
                             struct part *part)
{
    char *path = part_path(o, block, converted);
    memset(part, 0, sizeof *part);
    ptq_status status = path ? ptq_store_create(o->context, path, &part->store) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    return status;
}

ptq_status part_create(const struct output *o, int64_t block, struct part *part)
{
    PTQI_TRY(begin_part(o, block, 0, part));
    return copy_kept(o->source, block, part->store);
}

ptq_status part_replace(const struct output *o, int64_t block, struct part *part)
{
    return begin_part(o, block, 1, part);
}

ptq_status part_add(const struct output *o, struct part *part, const char *name, int32_t dtype,
                    const float *values, int64_t rows, int64_t columns)
{
    const int64_t shape[2] = {rows, columns};
    PTQI_TRY(ptqi_grow(o->context, (void **)&part->tensors, part->count, &part->capacity,
                       part->count + 1, (int64_t)sizeof *part->tensors));
    PTQI_TRY(
        ptq_tensor_create(o->context, dtype, columns ? 2 : 1, shape, &part->tensors[part->count]));
    ptq_tensor *t = part->tensors[part->count++];
    ptqi_from_f32(ptq_tensor_data(t), dtype, values, ptq_tensor_elements(t));
    return ptq_store_add(part->store, name, t);
}

void part_free(const struct output *o, struct part *part)
{
    ptq_store_free(part->store);
    for (int64_t i = 0; i < part->count; i++)
        ptq_tensor_free(part->tensors[i]);
    ptqi_free(o->context, part->tensors);
}

static ptq_status open_part(const struct output *o, int64_t block, int converted, ptq_store **part)
{
    char *path = part_path(o, block, converted);
    ptq_status status = path ? ptq_store_open(o->context, path, part) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    return status;
}

ptq_status output_open_part(const struct output *o, int64_t block, ptq_store **part)
{
    return open_part(o, block, 0, part);
}

/* The converted file of a block, if there is one, else its own. */
ptq_status output_open_result(const struct output *o, int64_t block, ptq_store **part)
{
    char *path = part_path(o, block, 1);
    const int converted = path && ptqi_file_exists(path);
    ptqi_free(o->context, path);
    *part = NULL;
    if (!path)
        return PTQ_ERROR_MEMORY;
    return converted || block < o->blocks ? open_part(o, block, converted, part) : PTQ_OK;
}

/* Adds all tensors of a block's file, and the metadata of its matrices. */
static ptq_status add_part(const ptq_store *part, struct shards *shards)
{
    const char *key;
    for (int64_t i = 0; i < ptq_store_count(part); i++)
        PTQI_TRY(shards_add(shards, part, ptq_store_name(part, i)));
    for (int64_t i = 0; (key = ptq_store_metadata_key(part, i)); i++)
        if (strcmp(key, OUTPUT_RUN_KEY))
            PTQI_TRY(shards_describe(shards, key, ptq_store_metadata(part, key)));
    return PTQ_OK;
}

/* Collects all tensors from the source and the files of its blocks. */
static ptq_status collect(const struct output *o, struct shards *shards)
{
    const struct checkpoint *c = o->source;
    char version[16];
    for (int64_t i = 0; i < ptq_store_count(c->store); i++)
        if (c->places[i].block < 0 && !c->places[i].rewritten)
            PTQI_TRY(shards_add(shards, c->store, ptq_store_name(c->store, i)));
    for (int64_t b = 0; b <= o->blocks; b++) {
        ptq_store *part;
        PTQI_TRY(output_open_result(o, b, &part));
        const ptq_status status = part ? add_part(part, shards) : PTQ_OK;
        ptq_store_free(part);
        PTQI_TRY(status);
    }
    if (!o->foreign) {
        snprintf(version, sizeof version, "%d", ptq_algorithm_version());
        PTQI_TRY(shards_describe(shards, "format", "ptq"));
        PTQI_TRY(shards_describe(shards, OUTPUT_ALGORITHM_KEY, version));
    }
    return shards_finish(shards);
}

static ptq_status assemble(const struct output *o, int64_t *bytes)
{
    struct shards shards;
    shards_begin(&shards, o->workdir, o->shard_size ? o->shard_size : INT64_MAX,
                 o->foreign ? "pt" : NULL);
    const ptq_status status = collect(o, &shards);
    *bytes = shards.written;
    shards_free(&shards);
    return status;
}

static ptq_status write_metadata(const struct output *o, const char *path)
{
    ptq_store *source, *to = NULL;
    PTQI_TRY(gguf_source_open(o->source, &source));
    ptq_status status = ptq_store_create(o->context, path, &to);
    if (!status)
        status = gguf_source_copy(source, to, NULL);
    if (!status)
        status = ptq_store_commit(to);
    ptq_store_free(to);
    ptq_store_free(source);
    return status;
}

/* What stands beside the tensors of a GGUF file is in it. */
static ptq_status write_companions(const struct output *o)
{
    char *tokenizer = workdir_file(o->workdir, "tokenizer.json");
    char *metadata = workdir_file(o->workdir, GGUF_SOURCE_NAME);
    ptq_status status = tokenizer && metadata ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = write_tokenizer(o->source, tokenizer);
    if (!status)
        status = write_metadata(o, metadata);
    ptqi_free(o->context, tokenizer);
    ptqi_free(o->context, metadata);
    return status;
}

static ptq_status copy_companion(const struct output *o, const char *name)
{
    char *from = checkpoint_file(o->source, name), *to = workdir_file(o->workdir, name);
    struct ptqi_map file;
    ptq_status status = from && to ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status && ptqi_file_exists(from)) {
        status = ptqi_map_file(o->context, from, &file);
        if (!status) {
            status = ptqi_write_file(o->context, to, file.data, file.size);
            ptqi_unmap_file(&file);
        }
    }
    ptqi_free(o->context, from);
    ptqi_free(o->context, to);
    return status;
}

/* Files of blocks, and partial files left by a killed run, are not part of the result. */
static int is_intermediate(const char *name)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s", name);
    ptqi_cut_partial(whole);
    return is_ours(name) &&
           (is_part(whole) || shards_is_intermediate(whole) || strcmp(whole, name));
}

int64_t output_bytes(const struct checkpoint *made)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < made->store->map_count; i++)
        bytes += made->store->maps[i].size;
    return bytes;
}

ptq_status output_write(const struct output *o, const char *name, const char *text)
{
    char *path = workdir_file(o->workdir, name);
    const ptq_status status =
        path ? ptqi_write_file(o->context, path, text, (int64_t)strlen(text)) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    return status;
}

ptq_status output_finish(struct output *o, const char *config, int keep_run, int64_t *bytes)
{
    ptq_status status = assemble(o, bytes);
    if (!status && o->source->gguf)
        status = write_companions(o);
    for (int i = 0; checkpoint_companion(i) && !status && !o->source->gguf; i++)
        status = copy_companion(o, checkpoint_companion(i));
    if (!status)
        status = output_write(o, config_name, config);
    return status ? status : workdir_finish(o->workdir, keep_run, is_intermediate);
}

char *output_file(const struct output *o, const char *name)
{
    return workdir_file(o->workdir, name);
}

ptq_status output_finish_file(struct output *o)
{
    return workdir_finish_file(o->workdir, OUTPUT_FILE, is_ours);
}

int64_t output_free(struct output *o, int keep)
{
    if (!o)
        return 0;
    o->finished = 0;
    if (keep && o->workdir)
        count_finished(o);
    const int64_t kept = o->finished;
    workdir_close(o->workdir, kept > 0, is_ours);
    ptqi_free(o->context, o);
    return kept;
}
