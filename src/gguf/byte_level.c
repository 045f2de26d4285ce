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

/* Writes spaces within the parts of a merge as the bytes' alphabet has them. */
static char *put_part(const struct ptqi_json *part, char *out)
{
    for (const char *at = part->text; *at; at++)
        if (*at == ' ') {
            *out++ = '\xc4';
            *out++ = '\xa0';
        } else {
            *out++ = *at;
        }
    return out;
}

/* A merge as one text with a space between its parts, allocated. */
static char *merge_text(ptq_context *context, const struct ptqi_json *merge)
{
    const struct ptqi_json *left = merge->first;
    if (merge->kind == PTQI_JSON_STRING)
        return ptqi_copy_text(context, merge->text, (int64_t)strlen(merge->text));
    char *text =
        ptqi_alloc(context, 2 * ((int64_t)left->length + (int64_t)left->next->length) + 2, 1);
    if (!text)
        return NULL;
    char *out = put_part(left, text);
    *out++ = ' ';
    *put_part(left->next, out) = 0;
    return text;
}

/* Readers look up the parts of a merge, and the token that it makes. */
static ptq_status add_merge(const struct token_lookup *l, const struct ptqi_json *merge,
                            struct ptqi_json_writer *w)
{
    ptq_context *context = l->v->context;
    if (!token_merge_is_pair(merge))
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "a merge of tokenizer.json is not a pair");
    char *text = merge_text(context, merge);
    if (!text)
        return PTQ_ERROR_MEMORY;
    char *space = strchr(text, ' ');
    int known = token_lookup_find(l, text, space - text) >= 0 &&
                token_lookup_find(l, space + 1, (int64_t)strlen(space + 1)) >= 0;
    ptqi_json_add_text(w, NULL, text);
    memmove(space, space + 1, strlen(space));
    known &= token_lookup_find(l, text, (int64_t)strlen(text)) >= 0;
    const ptq_status status =
        known ? PTQ_OK
              : ptqi_fail(context, PTQ_ERROR_FORMAT,
                          "a merge of tokenizer.json has or makes \"%.40s\", which is no token",
                          text);
    ptqi_free(context, text);
    return status;
}

static ptq_status add_merges(struct token_lookup *l, const struct ptqi_json *merges,
                             struct ptqi_json_writer *w)
{
    PTQI_TRY(token_lookup_fill(l));
    for (const struct ptqi_json *m = merges ? merges->first : NULL; m; m = m->next)
        PTQI_TRY(add_merge(l, m, w));
    return PTQ_OK;
}

static ptq_status put_merges(const struct gguf_vocabulary *v, const struct ptqi_json *model,
                             struct gguf_pairs *p)
{
    struct ptqi_json_writer w;
    struct token_lookup l;
    const struct ptqi_json *merges = ptqi_json_get(model, "merges");
    ptqi_json_begin(&w, v->context);
    ptqi_json_open(&w, NULL, '[');
    token_lookup_begin(v, &l);
    const ptq_status status = add_merges(&l, merges, &w);
    token_lookup_end(&l);
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
    if (!status)
        status = put_merges(&v, ptqi_json_get(root, "model"), p);
    vocabulary_end(&v);
    return status ? status : p->status;
}
