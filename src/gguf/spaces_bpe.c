/*
 * llama.cpp merges the pair whose token has the largest score. The scores are those of
 * tokenizer.model, or, without it, follow from the order of the merges in tokenizer.json: the first
 * merge gets 0, the next -1, and so on.
 */
#include "gguf/spaces_bpe.h"
#include <ctype.h>
#include <string.h>
#include "base/context.h"
#include "gguf/sentencepiece.h"
#include "gguf/token_list.h"

#define ADDED_SCORE (-1000.0) /* as llama.cpp's converter has them */
#define PAD_SCORE (-10000.0)

static const struct ptqi_json *model_of(const struct tokenizer_files *files)
{
    return ptqi_json_get(files->roots[TOKENIZER_JSON], "model");
}

int spaces_bpe_is(const struct tokenizer_files *files)
{
    const char *type = ptqi_json_string(ptqi_json_get(model_of(files), "type"));
    return type && !strcmp(type, "BPE") && ptqi_json_flag(model_of(files), "byte_fallback", 0);
}

static int is_byte(const char *text)
{
    return strlen(text) == 6 && !strncmp(text, "<0x", 3) && isxdigit((unsigned char)text[3]) &&
           isxdigit((unsigned char)text[4]) && text[5] == '>';
}

/* The text of the token that a merge makes, which is written to text [most]. Returns its length, -1
 * if the merge is not a pair or too long. */
static int32_t merged_text(const struct ptqi_json *merge, char *text, int32_t most)
{
    if (!token_merge_is_pair(merge))
        return -1;
    const int is_list = merge->kind == PTQI_JSON_ARRAY;
    const char *left = is_list ? merge->first->text : merge->text;
    const size_t first = is_list ? strlen(left) : strcspn(left, " ");
    const char *right = is_list ? merge->first->next->text : left + first + 1;
    if (first + strlen(right) >= (size_t)most)
        return -1;
    memcpy(text, left, first);
    strcpy(text + first, right);
    return (int32_t)(first + strlen(right));
}

static ptq_status score_by_merges(struct token_lookup *l, const struct ptqi_json *merges)
{
    char text[1024];
    int64_t rank = 0;
    PTQI_TRY(token_lookup_fill(l));
    for (int64_t i = 0; i < l->v->count; i++)
        l->v->tokens[i].score = -(double)(merges ? merges->count : 0) - (double)i;
    for (const struct ptqi_json *m = merges ? merges->first : NULL; m; m = m->next, rank++) {
        const int32_t length = merged_text(m, text, sizeof text);
        const int64_t id = length >= 0 ? token_lookup_find(l, text, length) : -1;
        if (length < 0)
            return ptqi_fail(l->v->context, PTQ_ERROR_FORMAT,
                             "a merge of tokenizer.json is not a pair of tokens");
        if (id >= 0 && l->v->tokens[id].score < -(double)rank)
            l->v->tokens[id].score = -(double)rank;
    }
    return PTQ_OK;
}

static ptq_status fill_from_json(const struct tokenizer_files *files, struct gguf_vocabulary *v)
{
    struct token_lookup l;
    const struct ptqi_json *tokens = ptqi_json_get(model_of(files), "vocab");
    const char *unknown = ptqi_json_string(ptqi_json_get(model_of(files), "unk_token"));
    int64_t id;
    for (const struct ptqi_json *t = tokens ? tokens->first : NULL; t; t = t->next)
        if (ptqi_json_integer(t, &id) && t->name)
            PTQI_TRY(vocabulary_set_member(v, id, t, 0,
                                           is_byte(t->name)                       ? TOKEN_BYTE
                                           : unknown && !strcmp(t->name, unknown) ? TOKEN_UNKNOWN
                                                                                  : TOKEN_NORMAL));
    token_lookup_begin(v, &l);
    const ptq_status status = score_by_merges(&l, ptqi_json_get(model_of(files), "merges"));
    token_lookup_end(&l);
    return status;
}

/* The id that is the name of a member: "32000". */
static int id_of_name(const struct ptqi_json *member, int64_t *id)
{
    struct ptqi_json value = {.kind = PTQI_JSON_NUMBER};
    return member->name && ptqi_parse_number(member->name, member->name_length, &value.number) &&
           ptqi_json_integer(&value, id);
}

/* The lists of added tokens, in the order in which later ones replace earlier ones. */
static ptq_status add_lists(const struct tokenizer_files *files, struct gguf_vocabulary *v)
{
    const struct ptqi_json *extra = files->roots[ADDED_TOKENS];
    const struct ptqi_json *decoder =
        ptqi_json_get(files->roots[TOKENIZER_CONFIG], "added_tokens_decoder");
    const struct ptqi_json *list = ptqi_json_get(files->roots[TOKENIZER_JSON], "added_tokens");
    int64_t id;
    for (const struct ptqi_json *t = extra ? extra->first : NULL; t; t = t->next)
        if (ptqi_json_integer(t, &id) && t->name)
            PTQI_TRY(vocabulary_set_member(v, id, t, ADDED_SCORE, TOKEN_USER_DEFINED));
    for (const struct ptqi_json *t = decoder ? decoder->first : NULL; t; t = t->next)
        if (id_of_name(t, &id))
            PTQI_TRY(vocabulary_set_added(v, id, t, ADDED_SCORE));
    for (const struct ptqi_json *t = list && !decoder ? list->first : NULL; t; t = t->next)
        if (ptqi_json_integer(ptqi_json_get(t, "id"), &id))
            PTQI_TRY(vocabulary_set_added(v, id, t, ADDED_SCORE));
    return PTQ_OK;
}

static ptq_status fill(const struct tokenizer_files *files, struct gguf_vocabulary *v)
{
    char *bytes;
    int64_t length;
    PTQI_TRY(tokenizer_files_text(files, "tokenizer.model", &bytes, &length));
    ptq_status status = bytes ? sentencepiece_read(v, bytes, length) : fill_from_json(files, v);
    ptqi_free(files->context, bytes);
    return status ? status : add_lists(files, v);
}

/* Whether the normalizer or pre-tokenizer puts a space before a text. */
static int has_prefix(const struct ptqi_json *json)
{
    const char *type = ptqi_json_string(ptqi_json_get(json, "type"));
    const char *scheme = ptqi_json_string(ptqi_json_get(json, "prepend_scheme"));
    const struct ptqi_json *list = ptqi_json_get(json, "normalizers");
    int found = type && !strcmp(type, "Prepend");
    found |= type && !strcmp(type, "Metaspace") && (!scheme || strcmp(scheme, "never"));
    for (const struct ptqi_json *n = list ? list->first : NULL; n; n = n->next)
        found |= has_prefix(n);
    return found;
}

ptq_status spaces_bpe_put(const struct tokenizer_files *files, int64_t vocabulary,
                          struct gguf_pairs *p)
{
    const struct ptqi_json *root = files->roots[TOKENIZER_JSON];
    struct gguf_vocabulary v;
    ptq_status status = vocabulary_begin(files->context, vocabulary, PAD_SCORE, &v);
    if (!status)
        status = fill(files, &v);
    gguf_put_text(p, "tokenizer.ggml.model", "llama");
    gguf_put_text(p, "tokenizer.ggml.pre", "default");
    if (!status)
        vocabulary_put(&v, 1, p);
    vocabulary_end(&v);
    if (!has_prefix(ptqi_json_get(root, "normalizer")) &&
        !has_prefix(ptqi_json_get(root, "pre_tokenizer")))
        gguf_put_bool(p, "tokenizer.ggml.add_space_prefix", 0);
    return status ? status : p->status;
}
