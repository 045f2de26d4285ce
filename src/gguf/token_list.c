#include "gguf/token_list.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"

static const char underline[] = "\xe2\x96\x81"; /* U+2581, which stands for a space */

ptq_status vocabulary_begin(ptq_context *context, int64_t count, double pad_score,
                            struct gguf_vocabulary *v)
{
    char text[32];
    v->context = context;
    v->count = 0;
    v->tokens = ptqi_alloc_zero(context, count, (int64_t)sizeof *v->tokens);
    if (!v->tokens)
        return PTQ_ERROR_MEMORY;
    for (v->count = count; count-- > 0;) {
        snprintf(text, sizeof text, "[PAD%lld]", (long long)count);
        PTQI_TRY(vocabulary_set(v, count, text, pad_score, TOKEN_UNUSED));
    }
    return PTQ_OK;
}

void vocabulary_end(struct gguf_vocabulary *v)
{
    for (int64_t i = 0; i < v->count; i++)
        ptqi_free(v->context, v->tokens[i].text);
    ptqi_free(v->context, v->tokens);
}

ptq_status vocabulary_set(struct gguf_vocabulary *v, int64_t id, const char *text, double score,
                          enum token_type type)
{
    if (id < 0 || id >= v->count)
        return PTQ_OK;
    struct vocabulary_token *t = &v->tokens[id];
    ptqi_free(v->context, t->text);
    t->text = ptqi_copy_text(v->context, text, (int64_t)strlen(text));
    t->score = score;
    t->type = type;
    return t->text ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* Texts from JSON may have zero bytes, at which they would end here. */
static ptq_status check_whole(const struct gguf_vocabulary *v, const char *text, int32_t length)
{
    if ((size_t)length == strlen(text))
        return PTQ_OK;
    return ptqi_fail(v->context, PTQ_ERROR_UNSUPPORTED, "the token \"%.60s...\" has a zero byte",
                     text);
}

ptq_status vocabulary_set_member(struct gguf_vocabulary *v, int64_t id,
                                 const struct ptqi_json *member, double score, enum token_type type)
{
    PTQI_TRY(check_whole(v, member->name, member->name_length));
    return vocabulary_set(v, id, member->name, score, type);
}

static int is_whole(const struct ptqi_json *text)
{
    return ptqi_json_string(text) && strlen(text->text) == (size_t)text->length;
}

void token_lookup_begin(const struct gguf_vocabulary *v, struct token_lookup *l)
{
    l->v = v;
    ptqi_table_begin(&l->table, v->context);
}

void token_lookup_end(struct token_lookup *l)
{
    ptqi_table_end(&l->table);
}

ptq_status token_lookup_fill(struct token_lookup *l)
{
    PTQI_TRY(ptqi_table_reserve(&l->table, l->v->count));
    for (int64_t i = 0; i < l->v->count; i++) {
        const char *token = l->v->tokens[i].text;
        ptqi_table_add(&l->table, ptqi_table_hash(&l->table, token, (int64_t)strlen(token)), i);
    }
    return PTQ_OK;
}

int64_t token_lookup_find(const struct token_lookup *l, const char *text, int64_t length)
{
    const uint64_t hash = ptqi_table_hash(&l->table, text, length);
    const struct ptqi_slot *slot;
    for (int64_t at = -1; (slot = ptqi_table_next(&l->table, hash, &at));) {
        const char *token = l->v->tokens[slot->item].text;
        if (!strncmp(token, text, (size_t)length) && !token[length])
            return slot->item;
    }
    return -1;
}

int token_merge_is_pair(const struct ptqi_json *merge)
{
    const char *space = is_whole(merge) ? strchr(merge->text, ' ') : NULL;
    if (merge->kind != PTQI_JSON_ARRAY)
        return space && !strchr(space + 1, ' ');
    return merge->count == 2 && is_whole(merge->first) && is_whole(merge->first->next);
}

static int is_between(const char *text, const char *begin, const char *end)
{
    const size_t length = strlen(text), first = strlen(begin), last = strlen(end);
    return length >= first + last && !strncmp(text, begin, first) &&
           !strcmp(text + length - last, end);
}

/* Tokens that tokenizers of some models do not mark as special; as llama.cpp's converter has it. */
static int looks_special(const char *text)
{
    static const char *const whole[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(text, whole[i]))
            return 1;
    return is_between(text, "<|", "|>") || is_between(text, "<\xef\xbd\x9c", "\xef\xbd\x9c>") ||
           is_between(text, "<unused", ">");
}

/* Text as llama.cpp searches for it: with spaces. */
static void restore_spaces(char *text)
{
    const size_t length = strlen(underline);
    for (char *found; (found = strstr(text, underline));) {
        *found = ' ';
        memmove(found + 1, found + length, strlen(found + length) + 1);
    }
}

ptq_status vocabulary_set_added(struct gguf_vocabulary *v, int64_t id,
                                const struct ptqi_json *token, double score)
{
    const struct ptqi_json *content = ptqi_json_get(token, "content");
    const char *text = ptqi_json_string(content);
    if (!text)
        return ptqi_fail(v->context, PTQ_ERROR_FORMAT, "an added token has no \"content\"");
    PTQI_TRY(check_whole(v, text, content->length));
    const int control = ptqi_json_flag(token, "special", 0) || looks_special(text);
    PTQI_TRY(vocabulary_set(v, id, text, score, control ? TOKEN_CONTROL : TOKEN_USER_DEFINED));
    if (!control && id >= 0 && id < v->count)
        restore_spaces(v->tokens[id].text);
    return PTQ_OK;
}

void vocabulary_put(const struct gguf_vocabulary *v, int scores, struct gguf_pairs *p)
{
    struct ptqi_json_writer texts, types, numbers;
    ptqi_json_begin(&texts, v->context);
    ptqi_json_begin(&types, v->context);
    ptqi_json_begin(&numbers, v->context);
    ptqi_json_open(&texts, NULL, '[');
    ptqi_json_open(&types, NULL, '[');
    ptqi_json_open(&numbers, NULL, '[');
    for (int64_t i = 0; i < v->count; i++) {
        ptqi_json_add_text(&texts, NULL, v->tokens[i].text);
        ptqi_json_add_integer(&types, NULL, v->tokens[i].type);
        ptqi_json_add_number(&numbers, NULL, v->tokens[i].score, 9);
    }
    ptqi_json_close(&texts, ']');
    ptqi_json_close(&types, ']');
    ptqi_json_close(&numbers, ']');
    gguf_put_array(p, "tokenizer.ggml.tokens", "arr[str]", &texts);
    gguf_put_array(p, "tokenizer.ggml.token_type", "arr[i32]", &types);
    if (scores)
        gguf_put_array(p, "tokenizer.ggml.scores", "arr[f32]", &numbers);
    else
        ptqi_json_end(&numbers);
}
