#include "model/output.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "base/half.h"

static const char description_name[] = "run.json", model_name[] = "model.safetensors";

/* Beside the model, copied where they are there. */
static const char *const companions[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "tokenizer.model",
};

static ptq_status fail_io(ptq_context *context, const char *path, const char *what)
{
    return ptqi_fail(context, PTQ_ERROR_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

static char *part_path(const struct output *o, int64_t block)
{
    char name[40];
    snprintf(name, sizeof name, "block-%05lld.safetensors", (long long)block);
    return ptqi_join_path(o->context, o->partial, name);
}

/* Whether a file of the partial directory is one that this program makes there. */
static int is_ours(const char *name)
{
    char whole[256];
    size_t length = strlen(name), ending = strlen(".partial");
    if (length >= sizeof whole)
        return 0;
    memcpy(whole, name, length + 1);
    if (length > ending && !strcmp(whole + length - ending, ".partial"))
        whole[length - ending] = 0;
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++)
        if (!strcmp(whole, companions[i]))
            return 1;
    return !strcmp(whole, description_name) || !strcmp(whole, model_name) ||
           !strcmp(whole, "config.json") || !strncmp(whole, "block-", 6);
}

void output_remove(ptq_context *context, const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char *file = is_ours(entry->d_name) ? ptqi_join_path(context, path, entry->d_name) : NULL;
        if (file && ptqi_file_exists(file))
            unlink(file);
        ptqi_free(context, file);
    }
    if (directory)
        closedir(directory);
    rmdir(path);
}

/* Whether the partial directory belongs to the run that description tells of. */
static ptq_status check_description(const struct output *o, const char *description)
{
    struct ptqi_map file;
    char *path = ptqi_join_path(o->context, o->partial, description_name);
    ptq_status status = path ? ptqi_map_file(o->context, path, &file) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    if (status)
        return status;
    int same = file.size == (int64_t)strlen(description) &&
               !memcmp(file.data, description, (size_t)file.size);
    ptqi_unmap_file(&file);
    return same
               ? PTQ_OK
               : ptqi_fail(o->context, PTQ_ERROR_CONFLICT,
                           "%s: was begun with another model, calibration or settings; run without "
                           "--resume to begin anew",
                           o->partial);
}

static ptq_status begin(struct output *o, const char *description, int resume, int64_t blocks)
{
    char *path;
    struct stat info;
    if (lstat(o->path, &info) == 0)
        return ptqi_fail(o->context, PTQ_ERROR_IO,
                         "%s: exists already; remove it or choose another", o->path);
    if (resume && ptqi_is_directory(o->partial)) {
        PTQI_TRY(check_description(o, description));
        for (int there = 1; there && o->finished < blocks; o->finished += there) {
            if (!(path = part_path(o, o->finished)))
                return PTQ_ERROR_MEMORY;
            there = ptqi_file_exists(path);
            ptqi_free(o->context, path);
        }
        return PTQ_OK;
    }
    if (ptqi_is_directory(o->partial))
        output_remove(o->context, o->partial);
    if (mkdir(o->partial, 0777)) /* also where something else than our files was in it */
        return fail_io(o->context, o->partial, "make the directory");
    if (!(path = ptqi_join_path(o->context, o->partial, description_name)))
        return PTQ_ERROR_MEMORY;
    ptq_status status =
        ptqi_write_file(o->context, path, description, (int64_t)strlen(description));
    ptqi_free(o->context, path);
    return status;
}

ptq_status output_begin(ptq_context *context, const char *path, const char *description, int resume,
                        int64_t blocks, struct output **output)
{
    int64_t length = (int64_t)strlen(path);
    struct output *o = ptqi_alloc_zero(context, 1, (int64_t)sizeof *o);
    *output = NULL;
    if (!o)
        return PTQ_ERROR_MEMORY;
    while (length > 1 && path[length - 1] == '/')
        length--;
    o->context = context;
    o->path = ptqi_copy_text(context, path, length);
    o->partial = ptqi_alloc_zero(context, length + 9, 1);
    ptq_status status = PTQ_ERROR_MEMORY;
    if (o->path && o->partial) {
        snprintf(o->partial, (size_t)length + 9, "%s.partial", o->path);
        status = begin(o, description, resume, blocks);
    }
    if (status) {
        if (o->path && o->partial && !resume)
            rmdir(o->partial); /* only where nothing is in it */
        ptqi_free(context, o->path);
        ptqi_free(context, o->partial);
        ptqi_free(context, o);
        return status;
    }
    *output = o;
    return PTQ_OK;
}

/* Whether a tensor is one that quantizing a block writes itself: a weight, a bias, a norm. */
static int is_written(const struct model *m, int64_t block, const char *name)
{
    struct matrix matrix;
    char norm[MAX_LAYER_NAME];
    for (int i = 0; model_describe_matrix(m, block, i, &matrix); i++) {
        size_t length = strlen(matrix.name);
        if (!strncmp(name, matrix.name, length) &&
            (!strcmp(name + length, ".weight") || !strcmp(name + length, ".bias")))
            return 1;
    }
    for (int i = 0; i < 4; i++) {
        model_norm_name(m, block, i / 2, i % 2, norm);
        if (!strcmp(name, norm))
            return 1;
    }
    return 0;
}

/* Adds to store those tensors of from that wanted tells to; they are appended to *tensors. */
static ptq_status copy_tensors(const struct output *o, const struct model *m, const ptq_store *from,
                               int (*wanted)(const struct model *, int64_t, const char *),
                               int64_t block, ptq_store *store, ptq_tensor ***tensors,
                               int64_t *count)
{
    int64_t capacity = *count;
    for (int64_t i = 0; i < ptq_store_count(from); i++) {
        const char *name = ptq_store_name(from, i);
        if (!wanted(m, block, name))
            continue;
        PTQI_TRY(ptqi_grow(o->context, (void **)tensors, *count, &capacity, *count + 1,
                           (int64_t)sizeof **tensors));
        PTQI_TRY(ptq_store_tensor(from, name, &(*tensors)[*count]));
        ++*count;
        PTQI_TRY(ptq_store_add(store, name, (*tensors)[*count - 1]));
    }
    return PTQ_OK;
}

static int in_block(const struct model *m, int64_t block, const char *name)
{
    char prefix[MAX_LAYER_NAME];
    model_block_prefix(m, block, prefix);
    return !strncmp(name, prefix, strlen(prefix));
}

static int kept_in_block(const struct model *m, int64_t block, const char *name)
{
    return in_block(m, block, name) && !is_written(m, block, name);
}

static int outside_blocks(const struct model *m, int64_t block, const char *name)
{
    (void)block;
    for (int64_t i = 0; i < m->config.layers; i++)
        if (in_block(m, i, name))
            return 0;
    return 1;
}

static int any(const struct model *m, int64_t block, const char *name)
{
    (void)m, (void)block, (void)name;
    return 1;
}

ptq_status output_create_part(const struct output *o, const struct model *m, int64_t block,
                              ptq_tensor ***tensors, int64_t *count, ptq_store **part)
{
    char *path = part_path(o, block);
    ptq_status status = path ? ptq_store_create(o->context, path, part) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    *tensors = NULL;
    *count = 0;
    return status ? status
                  : copy_tensors(o, m, m->store, kept_in_block, block, *part, tensors, count);
}

/* Appends a vector to the tensors of a file, in a dtype that holds it exactly. */
static ptq_status add_vector(const struct output *o, const char *name, int32_t dtype,
                             const float *values, int64_t length, ptq_tensor ***tensors,
                             int64_t *count, ptq_store *part)
{
    int64_t capacity = *count;
    PTQI_TRY(ptqi_grow(o->context, (void **)tensors, *count, &capacity, *count + 1,
                       (int64_t)sizeof **tensors));
    PTQI_TRY(ptq_tensor_create(o->context, dtype, 1, &length, &(*tensors)[*count]));
    ptq_tensor *t = (*tensors)[(*count)++];
    ptqi_from_f32(ptq_tensor_data(t), dtype, values, length);
    return ptq_store_add(part, name, t);
}

ptq_status output_add_vectors(const struct output *o, const struct model *model,
                              const struct block *b, ptq_tensor ***tensors, int64_t *count,
                              ptq_store *part)
{
    char name[MAX_LAYER_NAME + 8];
    for (int i = 0; i < 4; i++) {
        const struct norm *norm = &b->norms[i / 2];
        const float *values = i % 2 ? norm->bias : norm->weight;
        model_norm_name(model, b->index, i / 2, i % 2, name);
        if (values)
            PTQI_TRY(add_vector(o, name, b->norm_dtype, values, model->config.hidden, tensors,
                                count, part));
    }
    for (int i = 0; i < b->count; i++) {
        const struct matrix *m = &b->matrices[i];
        snprintf(name, sizeof name, "%s.bias", m->name);
        if (m->bias)
            PTQI_TRY(add_vector(o, name, b->norm_dtype, m->bias, m->n, tensors, count, part));
    }
    return PTQ_OK;
}

ptq_status output_open_part(const struct output *o, int64_t block, ptq_store **part)
{
    char *path = part_path(o, block);
    ptq_status status = path ? ptq_store_open(o->context, path, part) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    return status;
}

/* Everything that model.safetensors is made of, open at once (mapped, not read). */
struct assembly {
    ptq_store *store, **parts;
    ptq_tensor **tensors;
    int64_t part_count, tensor_count;
};

static ptq_status collect(const struct output *o, const struct model *m, struct assembly *a)
{
    struct matrix matrix;
    PTQI_TRY(
        copy_tensors(o, m, m->store, outside_blocks, 0, a->store, &a->tensors, &a->tensor_count));
    for (int64_t b = 0; b < m->config.layers; b++) {
        PTQI_TRY(output_open_part(o, b, &a->parts[b]));
        a->part_count++;
        PTQI_TRY(copy_tensors(o, m, a->parts[b], any, b, a->store, &a->tensors, &a->tensor_count));
        for (int i = 0; model_describe_matrix(m, b, i, &matrix); i++) {
            const char *settings = ptq_store_metadata(a->parts[b], matrix.name);
            if (!settings)
                return ptqi_fail(o->context, PTQ_ERROR_FORMAT, "%s: %s is missing in its block",
                                 o->partial, matrix.name);
            PTQI_TRY(ptq_store_set_metadata(a->store, matrix.name, settings));
        }
    }
    PTQI_TRY(ptq_store_set_metadata(a->store, "format", "ptq"));
    return ptq_store_commit(a->store);
}

static ptq_status assemble(const struct output *o, const struct model *m, const char *path)
{
    struct assembly a = {0};
    a.parts = ptqi_alloc_zero(o->context, m->config.layers, (int64_t)sizeof *a.parts);
    ptq_status status = a.parts ? ptq_store_create(o->context, path, &a.store) : PTQ_ERROR_MEMORY;
    if (!status)
        status = collect(o, m, &a);
    ptq_store_free(a.store);
    for (int64_t i = 0; i < a.tensor_count; i++)
        ptq_tensor_free(a.tensors[i]);
    for (int64_t i = 0; i < a.part_count; i++)
        ptq_store_free(a.parts[i]);
    ptqi_free(o->context, a.tensors);
    ptqi_free(o->context, a.parts);
    return status;
}

static ptq_status copy_companions(const struct output *o, const struct model *m)
{
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
        char *from = ptqi_join_path(o->context, m->path, companions[i]);
        char *to = ptqi_join_path(o->context, o->partial, companions[i]);
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
        if (status)
            return status;
    }
    return PTQ_OK;
}

/* The files of the blocks and the description are not part of the result. */
static ptq_status remove_parts(const struct output *o, int64_t blocks)
{
    for (int64_t b = 0; b < blocks; b++) {
        char *path = part_path(o, b);
        if (!path)
            return PTQ_ERROR_MEMORY;
        unlink(path);
        ptqi_free(o->context, path);
    }
    char *path = ptqi_join_path(o->context, o->partial, description_name);
    if (!path)
        return PTQ_ERROR_MEMORY;
    unlink(path);
    ptqi_free(o->context, path);
    return PTQ_OK;
}

ptq_status output_finish(struct output *o, const struct model *m, const char *config,
                         int64_t *bytes)
{
    struct stat info;
    char *model = ptqi_join_path(o->context, o->partial, model_name);
    char *config_path = ptqi_join_path(o->context, o->partial, "config.json");
    ptq_status status = model && config_path ? assemble(o, m, model) : PTQ_ERROR_MEMORY;
    if (!status)
        status = copy_companions(o, m);
    if (!status)
        status = ptqi_write_file(o->context, config_path, config, (int64_t)strlen(config));
    if (!status && stat(model, &info) == 0)
        *bytes = info.st_size;
    if (!status)
        status = remove_parts(o, m->config.layers);
    if (!status && rename(o->partial, o->path))
        status = fail_io(o->context, o->path, "rename to");
    ptqi_free(o->context, model);
    ptqi_free(o->context, config_path);
    return status;
}

int output_free(struct output *o, int keep)
{
    if (!o)
        return 0;
    int left = keep && o->finished > 0;
    if (!left)
        output_remove(o->context, o->partial);
    ptqi_free(o->context, o->path);
    ptqi_free(o->context, o->partial);
    ptqi_free(o->context, o);
    return left;
}
