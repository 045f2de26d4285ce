#include "gguf/byte_level.h"
#include <string.h>
#include "base/context.h"
#include "gguf/token_list.h"
#include "text/gguf_schemes.h"

/* The pieces of a pre-tokenizer: itself, or those of a Sequence. */
static const struct ptqi_json *pieces(const struct ptqi_json *json, int *count)
{
    const char *type = ptqi_json_string(ptqi_json_get(json, "type"));
    const struct ptqi_json *list = ptqi_json_get(json, "pretokenizers");
    const int is_sequence = type && !strcmp(type, "Sequence") && list;
    *count = is_sequence ? list->count : json != NULL;
    return is_sequence ? list->first : json;
}

static int is_type(const struct ptqi_json *piece, const char *wanted)
{
    const char *type = ptqi_json_string(ptqi_json_get(piece, "type"));
    return type && !strcmp(type, wanted);
}

/* The expression of a piece that divides by one, isolating its matches; NULL if it does anything
 * else. */
static const char *expression_of(const struct ptqi_json *piece)
{
    const char *behavior = ptqi_json_string(ptqi_json_get(piece, "behavior"));
    if (is_type(piece, "Digits") && ptqi_json_flag(piece, "individual_digits", 0))
        return "\\p{N}";
    if (!is_type(piece, "Split") || !behavior || strcmp(behavior, "Isolated") ||
        ptqi_json_flag(piece, "invert", 0))
        return NULL;
    return ptqi_json_string(ptqi_json_get(ptqi_json_get(piece, "pattern"), "Regex"));
}

/* Whether both expressions are spelled alike, apart from line ends that are escaped or not. */
static int same_expression(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        const char *plain = *a == '\r' ? "\\r" : *a == '\n' ? "\\n" : NULL;
        if (plain && !strncmp(b, plain, 2))
            b++;
        else if (*a != *b)
            return 0;
    }
    return *a == *b;
}

static int has_nfc(const struct ptqi_json *root)
{
    return is_type(ptqi_json_get(root, "normalizer"), "NFC");
}

/* Whether a scheme divides text as the pre-tokenizer does. */
static int is_scheme(const struct ptqi_json *root, const struct gguf_scheme *scheme)
{
    int count;
    const struct ptqi_json *piece = pieces(ptqi_json_get(root, "pre_tokenizer"), &count);
    const char *const *split = scheme->splits;
    for (; count > 1; count--, piece = piece->next) {
        const char *expression = expression_of(piece);
        if (!expression || !*split || !same_expression(expression, *split++))
            return 0;
    }
    return count == 1 && !*split && is_type(piece, "ByteLevel") &&
           !ptqi_json_flag(piece, "add_prefix_space", 1) &&
           ptqi_json_flag(piece, "use_regex", 1) == scheme->gpt2;
}

/* Several names may stand for the same: the one with the same normalizer is preferred. */
static const char *find_scheme(const struct ptqi_json *root)
{
    const struct gguf_scheme *scheme;
    const char *name = NULL;
    for (int i = 0; (scheme = gguf_scheme_at(i)); i++)
        if (is_scheme(root, scheme) && (!name || scheme->nfc == has_nfc(root))) {
            name = scheme->name;
            if (scheme->nfc == has_nfc(root))
                break;
        }
    return name;
}

/* Parts of a merge, of which GGUF makes one text with a space between them. Spaces within them are
 * written as the bytes' alphabet has them. */
static ptq_status add_merge(ptq_context *context, const struct ptqi_json *merge,
                            struct ptqi_json_writer *w)
{
    const struct ptqi_json *left = merge->first, *right = left ? left->next : NULL;
    if (!token_merge_is_pair(merge))
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "a merge of tokenizer.json is not a pair");
    if (merge->kind == PTQI_JSON_STRING) {
        ptqi_json_add_text(w, NULL, merge->text);
        return PTQ_OK;
    }
    const int64_t most = 2 * ((int64_t)left->length + right->length) + 2;
    char *text = ptqi_alloc(context, most, 1), *out = text;
    if (!text)
        return PTQ_ERROR_MEMORY;
    for (const struct ptqi_json *part = left; part; part = part == left ? right : NULL) {
        for (const char *at = part->text; *at; at++)
            if (*at == ' ') {
                *out++ = '\xc4';
                *out++ = '\xa0';
            } else {
                *out++ = *at;
            }
        *out++ = part == left ? ' ' : 0;
    }
    ptqi_json_add_text(w, NULL, text);
    ptqi_free(context, text);
    return PTQ_OK;
}

static ptq_status put_merges(const struct tokenizer_files *files, const struct ptqi_json *model,
                             struct gguf_pairs *p)
{
    struct ptqi_json_writer w;
    const struct ptqi_json *merges = ptqi_json_get(model, "merges");
    ptq_status status = PTQ_OK;
    ptqi_json_begin(&w, files->context);
    ptqi_json_open(&w, NULL, '[');
    for (const struct ptqi_json *m = merges ? merges->first : NULL; m && !status; m = m->next)
        status = add_merge(files->context, m, &w);
    ptqi_json_close(&w, ']');
    if (!status && merges && merges->count)
        gguf_put_array(p, "tokenizer.ggml.merges", "arr[str]", &w);
    else
        ptqi_json_end(&w);
    return status;
}

static ptq_status fill(const struct ptqi_json *root, struct gguf_vocabulary *v)
{
    const struct ptqi_json *tokens = ptqi_json_get(ptqi_json_get(root, "model"), "vocab");
    const struct ptqi_json *added = ptqi_json_get(root, "added_tokens");
    int64_t id;
    for (const struct ptqi_json *t = tokens ? tokens->first : NULL; t; t = t->next)
        if (ptqi_json_integer(t, &id) && t->name)
            PTQI_TRY(vocabulary_set_member(v, id, t, 0, TOKEN_NORMAL));
    for (const struct ptqi_json *t = added ? added->first : NULL; t; t = t->next)
        if (ptqi_json_integer(ptqi_json_get(t, "id"), &id))
            PTQI_TRY(vocabulary_set_added(v, id, t, 0));
    return PTQ_OK;
}

ptq_status byte_level_put(const struct tokenizer_files *files, int64_t vocabulary,
                          struct gguf_pairs *p)
{
    const struct ptqi_json *root = files->roots[TOKENIZER_JSON];
    const char *name = find_scheme(root);
    struct gguf_vocabulary v;
    if (!name)
        return ptqi_fail(files->context, PTQ_ERROR_UNSUPPORTED,
                         "llama.cpp has no name for this pre_tokenizer of tokenizer.json");
    gguf_put_text(p, "tokenizer.ggml.model", "gpt2");
    gguf_put_text(p, "tokenizer.ggml.pre", name);
    ptq_status status = vocabulary_begin(files->context, vocabulary, 0, &v);
    if (!status)
        status = fill(root, &v);
    if (!status)
        vocabulary_put(&v, 0, p);
    vocabulary_end(&v);
    PTQI_TRY(status);
    PTQI_TRY(put_merges(files, ptqi_json_get(root, "model"), p));
    return p->status;
}
