#include "eval/longest_input.h"
#include "base/context.h"
#include "base/file.h"
#include "checkpoint/checkpoint.h"

enum { UNSAID = 2048 }; /* if no file gives a length */

/* transformers writes this number if a tokenizer has no limit. */
static const double endless = 1e30;

static ptq_status read_limit(const struct model *m, const char *path, const struct ptqi_json *root,
                             int64_t *tokens)
{
    const char *const name =
        ptqi_json_get(root, "model_max_length") ? "model_max_length" : "max_len";
    const struct ptqi_json *limit = ptqi_json_get(root, name);
    if (!limit || limit->kind == PTQI_JSON_NULL)
        return PTQ_OK;
    if (limit->kind != PTQI_JSON_NUMBER || !(limit->number >= 1))
        return ptqi_fail(m->context, PTQ_ERROR_FORMAT, "%s: \"%s\" is not a positive number", path,
                         name);
    if (limit->number < endless)
        *tokens = limit->number < INT32_MAX ? (int64_t)limit->number : INT32_MAX;
    return PTQ_OK;
}

static ptq_status read_tokenizer(const struct model *m, const char *path, int64_t *tokens)
{
    struct ptqi_map file;
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *root;
    if (!ptqi_file_exists(path))
        return PTQ_OK;
    PTQI_TRY(ptqi_map_file(m->context, path, &file));
    ptq_status status =
        ptqi_json_parse(m->context, (const char *)file.data, file.size, path, &document, &root);
    if (!status)
        status = read_limit(m, path, root, tokens);
    ptqi_json_free(document);
    ptqi_unmap_file(&file);
    return status;
}

ptq_status longest_input(const struct model *m, int64_t *tokens)
{
    *tokens = m->config.evaluated ? m->config.evaluated : UNSAID;
    if (m->config.evaluated)
        return PTQ_OK;
    char *path = checkpoint_file(m->checkpoint, "tokenizer_config.json");
    ptq_status status = path ? read_tokenizer(m, path, tokens) : PTQ_ERROR_MEMORY;
    ptqi_free(m->context, path);
    return status;
}
