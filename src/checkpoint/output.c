#include "checkpoint/output.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "base/half.h"

static const char model_name[] = "model.safetensors", config_name[] = "config.json";

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
enum { COMPANIONS = sizeof companions / sizeof *companions };

static void part_name(int64_t block, char *name, size_t capacity)
{
    snprintf(name, capacity, "block-%05lld.safetensors", (long long)block);
}

static char *part_path(const struct output *o, int64_t block)
{
    char name[40];
    part_name(block, name, sizeof name);
    return workdir_file(o->workdir, name);
}

static int is_part(const char *name)
{
    char again[40];
    long long block;
    if (sscanf(name, "block-%lld.", &block) != 1 || block < 0)
        return 0;
    part_name(block, again, sizeof again);
    return !strcmp(name, again);
}

/* Cuts ".partial", or ".7.partial", off a name, which files have until they are whole. */
static void cut_partial(char *name)
{
    static const char ending[] = ".partial";
    size_t length = strlen(name), tail = sizeof ending - 1;
    if (length <= tail || strcmp(name + length - tail, ending))
        return;
    name[length -= tail] = 0;
    char *dot = strrchr(name, '.');
    if (dot && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1))
        *dot = 0;
}

/* Whether a file of the partial directory has a name that this program gives to one there. */
static int is_ours(const char *name)
{
    char whole[256];
    if (!strcmp(name, "run.json"))
        return 1;
    snprintf(whole, sizeof whole, "%s", name);
    cut_partial(whole);
    for (int i = 0; i < COMPANIONS; i++)
        if (!strcmp(whole, companions[i]))
            return 1;
    return is_part(whole) || !strcmp(whole, model_name) || !strcmp(whole, config_name);
}

void output_remove(ptq_context *context, const char *path)
{
    workdir_remove(context, path, is_ours);
}

/* The files that are copied at the end can be read. */
static ptq_status check_companions(const struct model *m)
{
    for (int i = 0; i < COMPANIONS; i++) {
        struct ptqi_map file;
        char *from = ptqi_join_path(m->context, m->path, companions[i]);
        ptq_status status = from ? PTQ_OK : PTQ_ERROR_MEMORY;
        if (from && ptqi_file_exists(from) &&
            !(status = ptqi_map_file(m->context, from, &file)))
            ptqi_unmap_file(&file);
        ptqi_free(m->context, from);
        if (status)
            return status;
    }
    return PTQ_OK;
}

ptq_status output_check(const struct model *m, const char *path, int resume)
{
    PTQI_TRY(workdir_check(m->context, path, m->path, resume));
    return check_companions(m);
}

/* Counts the blocks whose files are there, from the first on. */
static ptq_status count_finished(struct output *o, int64_t blocks)
{
    for (int there = 1; there && o->finished < blocks; o->finished += there) {
        char *path = part_path(o, o->finished);
        if (!path)
            return PTQ_ERROR_MEMORY;
        there = ptqi_file_exists(path);
        ptqi_free(o->context, path);
    }
    return PTQ_OK;
}

ptq_status output_begin(ptq_context *context, const char *path, const char *description, int resume,
                        int64_t blocks, struct output **output)
{
    struct output *o = ptqi_alloc_zero(context, 1, (int64_t)sizeof *o);
    *output = NULL;
    if (!o)
        return PTQ_ERROR_MEMORY;
    o->context = context;
    ptq_status status = workdir_open(context, path, description, resume, is_ours, &o->workdir);
    if (!status && o->workdir->resumed)
        status = count_finished(o, blocks);
    if (status) {
        output_free(o, 1);
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

/* Adds to store, as they are, those tensors of from that wanted tells to. */
static ptq_status copy_tensors(const struct model *m, const ptq_store *from,
                               int (*wanted)(const struct model *, int64_t, const char *),
                               int64_t block, ptq_store *store)
{
    for (int64_t i = 0; i < ptq_store_count(from); i++) {
        const char *name = ptq_store_name(from, i);
        if (wanted(m, block, name))
            PTQI_TRY(ptq_store_copy(store, from, name));
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

ptq_status part_create(const struct output *o, const struct model *m, int64_t block,
                       struct part *part)
{
    char *path = part_path(o, block);
    memset(part, 0, sizeof *part);
    ptq_status status = path ? ptq_store_create(o->context, path, &part->store) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    return status ? status : copy_tensors(m, m->store, kept_in_block, block, part->store);
}

static ptq_status add_vector(const struct output *o, const char *name, const struct vector *v,
                             struct part *part)
{
    if (!v->values)
        return PTQ_OK;
    PTQI_TRY(ptqi_grow(o->context, (void **)&part->vectors, part->count, &part->capacity,
                       part->count + 1, (int64_t)sizeof *part->vectors));
    PTQI_TRY(ptq_tensor_create(o->context, v->dtype, 1, &v->length, &part->vectors[part->count]));
    ptq_tensor *t = part->vectors[part->count++];
    ptqi_from_f32(ptq_tensor_data(t), v->dtype, v->values, v->length);
    return ptq_store_add(part->store, name, t);
}

ptq_status part_add_vectors(const struct output *o, const struct model *model,
                            const struct block *b, struct part *part)
{
    char name[MAX_LAYER_NAME + 8];
    for (int i = 0; i < 4; i++) {
        const struct norm *norm = &b->norms[i / 2];
        model_norm_name(model, b->index, i / 2, i % 2, name);
        PTQI_TRY(add_vector(o, name, i % 2 ? &norm->bias : &norm->weight, part));
    }
    for (int i = 0; i < b->count; i++) {
        snprintf(name, sizeof name, "%s.bias", b->matrices[i].name);
        PTQI_TRY(add_vector(o, name, &b->matrices[i].bias, part));
    }
    return PTQ_OK;
}

void part_free(const struct output *o, struct part *part)
{
    ptq_store_free(part->store);
    for (int64_t i = 0; i < part->count; i++)
        ptq_tensor_free(part->vectors[i]);
    ptqi_free(o->context, part->vectors);
}

ptq_status output_open_part(const struct output *o, int64_t block, ptq_store **part)
{
    char *path = part_path(o, block);
    ptq_status status = path ? ptq_store_open(o->context, path, part) : PTQ_ERROR_MEMORY;
    ptqi_free(o->context, path);
    return status;
}

/* What is known of the matrices of a block, from its file to the whole model's. */
static ptq_status copy_settings(const struct output *o, const struct model *m, int64_t block,
                                const ptq_store *part, ptq_store *store)
{
    struct matrix matrix;
    for (int i = 0; model_describe_matrix(m, block, i, &matrix); i++) {
        const char *settings = ptq_store_metadata(part, matrix.name);
        if (!settings)
            return ptqi_fail(o->context, PTQ_ERROR_FORMAT, "%s: %s is missing in its block",
                             o->workdir->partial, matrix.name);
        PTQI_TRY(ptq_store_set_metadata(store, matrix.name, settings));
    }
    return PTQ_OK;
}

/* All goes into one file from the model and the files of its blocks, open at once (mapped, not
 * read). */
static ptq_status collect(const struct output *o, const struct model *m, ptq_store **parts,
                          ptq_store *store)
{
    PTQI_TRY(copy_tensors(m, m->store, outside_blocks, 0, store));
    for (int64_t b = 0; b < m->config.layers; b++) {
        PTQI_TRY(output_open_part(o, b, &parts[b]));
        PTQI_TRY(copy_tensors(m, parts[b], any, b, store));
        PTQI_TRY(copy_settings(o, m, b, parts[b], store));
    }
    PTQI_TRY(ptq_store_set_metadata(store, "format", "ptq"));
    return ptq_store_commit(store);
}

static ptq_status assemble(const struct output *o, const struct model *m, const char *path)
{
    ptq_store *store = NULL;
    ptq_store **parts = ptqi_alloc_zero(o->context, m->config.layers, (int64_t)sizeof *parts);
    ptq_status status = parts ? ptq_store_create(o->context, path, &store) : PTQ_ERROR_MEMORY;
    if (!status)
        status = collect(o, m, parts, store);
    ptq_store_free(store);
    for (int64_t i = 0; parts && i < m->config.layers; i++)
        ptq_store_free(parts[i]);
    ptqi_free(o->context, parts);
    return status;
}

static ptq_status copy_companions(const struct output *o, const struct model *m)
{
    for (int i = 0; i < COMPANIONS; i++) {
        char *from = ptqi_join_path(o->context, m->path, companions[i]);
        char *to = workdir_file(o->workdir, companions[i]);
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

/* The files of the blocks, and what a kill left half written, are not part of the result. */
static int is_intermediate(const char *name)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s", name);
    cut_partial(whole);
    return is_ours(name) && (is_part(whole) || strcmp(whole, name));
}

ptq_status output_finish(struct output *o, const struct model *m, const char *config,
                         int64_t *bytes)
{
    struct stat info;
    char *model = workdir_file(o->workdir, model_name);
    char *config_path = workdir_file(o->workdir, config_name);
    ptq_status status = model && config_path ? assemble(o, m, model) : PTQ_ERROR_MEMORY;
    if (!status)
        status = copy_companions(o, m);
    if (!status)
        status = ptqi_write_file(o->context, config_path, config, (int64_t)strlen(config));
    if (!status && stat(model, &info) == 0)
        *bytes = info.st_size;
    if (!status)
        status = workdir_finish(o->workdir, is_intermediate);
    ptqi_free(o->context, model);
    ptqi_free(o->context, config_path);
    return status;
}

int output_free(struct output *o, int keep)
{
    if (!o)
        return 0;
    int left = keep && o->finished > 0;
    workdir_close(o->workdir, left, is_ours);
    ptqi_free(o->context, o);
    return left;
}
