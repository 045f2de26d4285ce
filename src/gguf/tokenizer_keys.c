#include "gguf/tokenizer_keys.h"
#include <string.h>
#include "base/context.h"
#include "gguf/byte_level.h"
#include "gguf/chat_templates.h"
#include "gguf/spaces_bpe.h"
#include "gguf/special_tokens.h"
#include "model/architecture.h"

/* As llama.cpp's converter: models of LLaMA's architecture with this vocabulary do not begin texts
 * with a token. */
static int never_begins(const struct model *m)
{
    return m->config.architecture->gguf_pairs && m->config.vocabulary == 49152;
}

static int is_list(const struct ptqi_json *value)
{
    return !value || value->kind == PTQI_JSON_NULL || value->kind == PTQI_JSON_ARRAY;
}

/* What is read from members of another kind would be a tokenizer without them. */
static ptq_status check_kinds(const struct model *m, const struct ptqi_json *root)
{
    const struct ptqi_json *model = ptqi_json_get(root, "model");
    const struct ptqi_json *vocabulary = ptqi_json_get(model, "vocab");
    const char *problem =
        !vocabulary || vocabulary->kind != PTQI_JSON_OBJECT ? "\"vocab\" is not an object"
        : !is_list(ptqi_json_get(model, "merges"))          ? "\"merges\" is not a list"
        : !is_list(ptqi_json_get(root, "added_tokens"))     ? "\"added_tokens\" is not a list"
                                                            : NULL;
    return problem ? ptqi_fail(m->context, PTQ_ERROR_FORMAT, "tokenizer.json: %s", problem)
                   : PTQ_OK;
}

static ptq_status put_all(const struct model *m, const struct tokenizer_files *files,
                          struct gguf_pairs *p)
{
    const struct ptqi_json *model = ptqi_json_get(files->roots[TOKENIZER_JSON], "model");
    const char *type = ptqi_json_string(ptqi_json_get(model, "type"));
    const int64_t vocabulary = m->config.vocabulary;
    if (!files->roots[TOKENIZER_JSON])
        return ptqi_fail(m->context, PTQ_ERROR_MISSING,
                         "no tokenizer.json; a GGUF file includes the tokenizer");
    if (!type || strcmp(type, "BPE"))
        return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED,
                         "only tokenizers of the type BPE can be written to GGUF, not %s",
                         type ? type : "this one");
    PTQI_TRY(check_kinds(m, files->roots[TOKENIZER_JSON]));
    PTQI_TRY(spaces_bpe_is(files) ? spaces_bpe_put(files, vocabulary, p)
                                  : byte_level_put(files, vocabulary, p));
    special_tokens_put(files, vocabulary, never_begins(m), p);
    return chat_templates_put(files, p);
}

ptq_status gguf_put_tokenizer(const struct model *m, struct gguf_pairs *p)
{
    struct tokenizer_files files;
    ptq_status status = tokenizer_files_open(m->checkpoint, &files);
    if (!status) {
        status = put_all(m, &files, p);
        if (status)
            status = ptqi_fail_at(m->context, status, m->checkpoint->path);
    }
    tokenizer_files_close(&files);
    return status ? status : p->status;
}
