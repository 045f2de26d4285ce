#include "checkpoint/checkpoint.h"
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "store/store.h"

static const char *const companions[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.json",
    "generation_config.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "tokenizer.model",
    "recipe.yaml",
    "metadata.gguf",
};
enum { COMPANIONS = sizeof companions / sizeof *companions };

const char *checkpoint_companion(int i)
{
    return i >= 0 && i < COMPANIONS ? companions[i] : NULL;
}

char *checkpoint_file(const struct checkpoint *c, const char *name)
{
    return ptqi_join_path(c->context, c->path, name);
}

static ptq_status parse_file(const struct checkpoint *c, const char *path,
                             struct ptqi_json_document **document, const struct ptqi_json **root)
{
    struct ptqi_map file;
    PTQI_TRY(ptqi_map_file(c->context, path, &file));
    ptq_status status =
        ptqi_json_parse(c->context, (const char *)file.data, file.size, path, document, root);
    ptqi_unmap_file(&file);
    return status;
}

static ptq_status set_quantization(struct checkpoint *c, const struct ptqi_json *value)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, c->context);
    ptqi_json_add_value(&w, NULL, value);
    ptq_status status = ptqi_json_finish(&w);
    if (!status)
        status = ptq_store_set_quantization(c->store, w.text);
    ptqi_json_end(&w);
    return status;
}

/* Tells the store how quantized matrices are encoded: by config.json or, in older checkpoints, by a
 * file of its own. */
static ptq_status read_quantization(struct checkpoint *c)
{
    static const char *const files[] = {"quantize_config.json", "quant_config.json"};
    c->quantization = ptqi_json_get(c->config, "quantization_config");
    for (int i = 0; i < 2 && !c->quantization; i++) {
        char *path = checkpoint_file(c, files[i]);
        ptq_status status = path ? PTQ_OK : PTQ_ERROR_MEMORY;
        if (path && ptqi_file_exists(path))
            status = parse_file(c, path, &c->quantization_document, &c->quantization);
        ptqi_free(c->context, path);
        PTQI_TRY(status);
    }
    return c->quantization && c->quantization->kind == PTQI_JSON_OBJECT
               ? set_quantization(c, c->quantization)
               : PTQ_OK;
}

ptq_status checkpoint_set_store(struct checkpoint *c, ptq_store *store)
{
    c->store = store;
    ptqi_free(c->context, c->places);
    c->places = ptqi_alloc_zero(c->context, ptq_store_count(store), (int64_t)sizeof *c->places);
    return c->places ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static ptq_status open_directory(struct checkpoint *c)
{
    c->config_path = ptqi_join_path(c->context, c->path, "config.json");
    if (!c->config_path)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(parse_file(c, c->config_path, &c->document, &c->config));
    PTQI_TRY(ptq_store_open(c->context, c->path, &c->store));
    PTQI_TRY(read_quantization(c));
    return checkpoint_set_store(c, c->store);
}

static ptq_status open_file(struct checkpoint *c)
{
    if (!ptqi_file_exists(c->path))
        return ptqi_fail(c->context, PTQ_ERROR_IO,
                         "%s: no such directory (a Hugging Face model directory or a GGUF file is "
                         "needed)",
                         c->path);
    c->config_path = ptqi_copy_text(c->context, c->path, (int64_t)strlen(c->path));
    if (!c->config_path)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptq_store_open(c->context, c->path, &c->store));
    c->gguf = c->store->container == &ptqi_gguf;
    return c->gguf
               ? PTQ_OK
               : ptqi_fail(c->context, PTQ_ERROR_FORMAT,
                           "%s: neither a Hugging Face model directory nor a GGUF file", c->path);
}

static ptq_status open_path(struct checkpoint *c, const char *path)
{
    c->path = ptqi_copy_text(c->context, path, (int64_t)strlen(path));
    if (!c->path)
        return PTQ_ERROR_MEMORY;
    return ptqi_is_directory(path) ? open_directory(c) : open_file(c);
}

ptq_status checkpoint_open(ptq_context *context, const char *path, struct checkpoint **checkpoint)
{
    *checkpoint = NULL;
    struct checkpoint *c = ptqi_alloc_zero(context, 1, (int64_t)sizeof *c);
    if (!c)
        return PTQ_ERROR_MEMORY;
    c->context = context;
    ptq_status status = open_path(c, path);
    if (status) {
        checkpoint_free(c);
        return status;
    }
    *checkpoint = c;
    return PTQ_OK;
}

void checkpoint_free(struct checkpoint *c)
{
    if (!c)
        return;
    ptq_store_free(c->store);
    ptqi_json_free(c->document);
    ptqi_json_free(c->quantization_document);
    ptqi_free(c->context, c->places);
    ptqi_free(c->context, c->path);
    ptqi_free(c->context, c->config_path);
    ptqi_free(c->context, c);
}
