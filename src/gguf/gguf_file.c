#include "gguf/gguf_file.h"
#include <string.h>
#include <sys/stat.h>
#include "base/context.h"
#include "checkpoint/gguf_source.h"
#include "gguf/general.h"
#include "gguf/parameters.h"
#include "gguf/tensors.h"
#include "gguf/tokenizer_keys.h"
#include "model/gguf_metadata.h"
#include "model/gguf_names.h"

static const char file_type[] = "general.file_type";

static ptq_status put_made(const struct model *m, struct gguf_pairs *p)
{
    ptq_status status = gguf_put_general(m, p);
    if (!status)
        status = gguf_put_parameters(m, p);
    if (status)
        return ptqi_fail_at(m->context, status, m->checkpoint->path);
    return gguf_put_tokenizer(m, p);
}

/* The metadata: those of the GGUF file that the model comes from, if it does. */
static ptq_status put_metadata(const struct model *m, const ptq_store *source, ptq_store *to)
{
    struct gguf_pairs p = {m->context, to, gguf_architecture(&m->config), PTQ_OK};
    if (source)
        PTQI_TRY(gguf_source_copy(source, to, file_type));
    else
        PTQI_TRY(put_made(m, &p));
    gguf_put_file_type(source ? ptq_store_metadata(source, file_type) : NULL, &p);
    return p.status;
}

/* The metadata must be those of a model like this one. */
static ptq_status check_source(const struct model *m, const ptq_store *source)
{
    const char *architecture = ptq_store_metadata(source, "general.architecture");
    const char *own = gguf_architecture(&m->config);
    if (!architecture || !own || strcmp(architecture, own))
        return ptqi_fail(m->context, PTQ_ERROR_CONFLICT,
                         "%s: " GGUF_SOURCE_NAME " is of the architecture %.60s, not of this "
                         "model; remove it",
                         m->checkpoint->path, architecture ? architecture : "?");
    const struct gguf_metadata metadata = {m->context, source, m->checkpoint->path, own};
    const struct {
        const char *key;
        int64_t own;
    } sizes[] = {{"block_count", m->config.layers},
                 {"embedding_length", m->config.hidden},
                 {"attention.head_count", m->config.heads}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (gguf_number(&metadata, sizes[i].key, 0) != (double)sizes[i].own)
            return ptqi_fail(m->context, PTQ_ERROR_CONFLICT,
                             "%s: " GGUF_SOURCE_NAME " has another %s than this model; remove it",
                             m->checkpoint->path, sizes[i].key);
    return PTQ_OK;
}

ptq_status gguf_file_check(const struct model *m)
{
    ptq_store *source, *nowhere;
    PTQI_TRY(gguf_source_open(m->checkpoint, &source));
    if (source) {
        const ptq_status status = check_source(m, source);
        ptq_store_free(source);
        return status;
    }
    PTQI_TRY(gguf_check_model(m));
    PTQI_TRY(ptq_store_create(m->context, "check.gguf", &nowhere)); /* never committed */
    struct gguf_pairs p = {m->context, nowhere, gguf_architecture(&m->config), PTQ_OK};
    const ptq_status status = put_made(m, &p);
    ptq_store_free(nowhere);
    return status;
}

static ptq_status add_blocks(const struct output *o, ptq_store *to)
{
    for (int64_t b = 0; b < o->blocks; b++) {
        ptq_store *part;
        PTQI_TRY(output_open_result(o, b, &part));
        ptq_status status = PTQ_OK;
        for (int64_t i = 0; i < ptq_store_count(part) && !status; i++)
            status = ptq_store_copy(to, part, ptq_store_name(part, i));
        ptq_store_free(part);
        PTQI_TRY(status);
    }
    return PTQ_OK;
}

static ptq_status fill(const struct model *m, const struct output *o, struct gguf_token_types types,
                       const ptq_store *source, ptq_store *to)
{
    PTQI_TRY(gguf_add_outside(m, types, !source, to));
    PTQI_TRY(add_blocks(o, to));
    PTQI_TRY(put_metadata(m, source, to));
    return ptq_store_commit(to);
}

static int64_t size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) ? 0 : (int64_t)info.st_size;
}

ptq_status gguf_file_finish(const struct model *m, struct output *o, struct gguf_token_types types,
                            int64_t *bytes)
{
    ptq_store *source, *to = NULL;
    PTQI_TRY(gguf_source_open(m->checkpoint, &source));
    char *path = output_file(o, OUTPUT_FILE);
    ptq_status status = path ? ptq_store_create(m->context, path, &to) : PTQ_ERROR_MEMORY;
    if (!status)
        status = fill(m, o, types, source, to);
    ptq_store_free(to);
    ptq_store_free(source);
    *bytes = path && !status ? size_of(path) : 0;
    ptqi_free(m->context, path);
    return status ? status : output_finish_file(o);
}
