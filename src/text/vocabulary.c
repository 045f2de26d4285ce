#include "vocabulary.h"
#include <string.h>

struct token *vocabulary_find(const struct vocabulary *v, const char *text, int64_t length)
{
    const uint64_t hash = ptqi_table_hash(&v->by_text, text, length);
    const struct ptqi_slot *slot;
    for (int64_t at = -1; (slot = ptqi_table_next(&v->by_text, hash, &at));) {
        struct token *token = v->tokens + slot->item;
        if (token->length == length && !memcmp(token->text, text, (size_t)length))
            return token;
    }
    return NULL;
}

const struct token *vocabulary_token(const struct vocabulary *v, int32_t id)
{
    int64_t at = -1;
    const struct ptqi_slot *slot =
        ptqi_table_next(&v->by_id, ptqi_table_hash_number(&v->by_id, (uint32_t)id), &at);
    return slot ? v->tokens + slot->item : NULL;
}

int32_t vocabulary_id(const struct vocabulary *v, const char *text, int64_t length)
{
    const struct token *token = vocabulary_find(v, text, length);
    return token && token->in_model ? token->id : -1;
}

/* The caller has reserved space, and knows that no other token has this text. */
static ptq_status append(struct vocabulary *v, const char *text, int32_t length, int32_t id,
                         struct token **out)
{
    struct token *token = *out = v->tokens + v->count;
    if (vocabulary_token(v, id))
        return ptqi_fail(v->context, PTQ_ERROR_FORMAT, "two tokens have the id %d", (int)id);
    memcpy(v->texts + v->texts_used, text, (size_t)length);
    memset(token, 0, sizeof *token);
    token->text = v->texts + v->texts_used;
    token->shown = token->text;
    token->length = token->shown_length = length;
    token->id = id;
    ptqi_table_add(&v->by_text, ptqi_table_hash(&v->by_text, text, length), v->count);
    ptqi_table_add(&v->by_id, ptqi_table_hash_number(&v->by_id, (uint32_t)id), v->count);
    v->texts_used += length;
    v->count++;
    if (id > v->largest)
        v->largest = id;
    return PTQ_OK;
}

ptq_status vocabulary_add(struct vocabulary *v, const struct ptqi_json *content, int32_t id,
                          struct token **out)
{
    return append(v, content->text, content->length, id, out);
}

static ptq_status create(struct vocabulary *v, int64_t tokens, int64_t bytes)
{
    if (tokens > INT32_MAX)
        return ptqi_fail(v->context, PTQ_ERROR_FORMAT, "too many tokens");
    v->tokens = ptqi_alloc(v->context, tokens, (int64_t)sizeof *v->tokens);
    v->texts = ptqi_alloc(v->context, bytes, 1);
    if (!v->tokens || !v->texts)
        return PTQ_ERROR_MEMORY;
    ptqi_table_begin(&v->by_text, v->context);
    ptqi_table_begin(&v->by_id, v->context);
    PTQI_TRY(ptqi_table_reserve(&v->by_text, tokens));
    return ptqi_table_reserve(&v->by_id, tokens);
}

/* The text of [text, score]; NULL for anything else. */
static const struct ptqi_json *scored_text(const struct ptqi_json *item)
{
    const struct ptqi_json *text = item->kind == PTQI_JSON_ARRAY ? item->first : NULL;
    return item->count == 2 && ptqi_json_string(text) && text->next->kind == PTQI_JSON_NUMBER
               ? text
               : NULL;
}

static int64_t text_bytes(const struct ptqi_json *vocab)
{
    int64_t bytes = 0;
    for (const struct ptqi_json *item = vocab->first; item; item = item->next) {
        const struct ptqi_json *text = vocab->kind == PTQI_JSON_ARRAY ? scored_text(item) : NULL;
        bytes += text ? text->length : item->name_length;
    }
    return bytes;
}

/* Tokens with ids, {text: id}. */
static ptq_status load_ids(struct vocabulary *v, const struct ptqi_json *vocab)
{
    struct token *token;
    int64_t id;
    for (const struct ptqi_json *item = vocab->first; item; item = item->next) {
        if (!ptqi_json_integer(item, &id) || id < 0 || id >= INT32_MAX)
            return ptqi_fail(v->context, PTQ_ERROR_FORMAT,
                             "token %lld of the vocabulary has no valid id", (long long)v->count);
        PTQI_TRY(append(v, item->name, item->name_length, (int32_t)id, &token));
        token->in_model = 1;
    }
    return PTQ_OK;
}

/* Tokens with scores, [[text, score], ..]; their ids are their places. */
static ptq_status load_scores(struct vocabulary *v, const struct ptqi_json *vocab)
{
    struct token *token;
    for (const struct ptqi_json *item = vocab->first; item; item = item->next) {
        const struct ptqi_json *text = scored_text(item);
        if (!text || vocabulary_find(v, text->text, text->length))
            return ptqi_fail(v->context, PTQ_ERROR_FORMAT,
                             "token %lld of the vocabulary has no score, or occurs twice",
                             (long long)v->count);
        PTQI_TRY(append(v, text->text, text->length, (int32_t)v->count, &token));
        token->in_model = 1;
        token->score = text->next->number;
    }
    return PTQ_OK;
}

static ptq_status load(struct vocabulary *v, const struct ptqi_json *vocab,
                       const struct ptqi_json *added)
{
    int64_t tokens = vocab->count, bytes = text_bytes(vocab);
    for (const struct ptqi_json *item = added ? added->first : NULL; item; item = item->next) {
        const struct ptqi_json *content = ptqi_json_get(item, "content");
        bytes += ptqi_json_string(content) ? content->length : 0;
        tokens++;
    }
    PTQI_TRY(create(v, tokens, bytes));
    PTQI_TRY(vocab->kind == PTQI_JSON_ARRAY ? load_scores(v, vocab) : load_ids(v, vocab));
    v->model_count = v->count;
    return PTQ_OK;
}

ptq_status vocabulary_load(ptq_context *context, const struct ptqi_json *vocab,
                           const struct ptqi_json *added, struct vocabulary *v)
{
    memset(v, 0, sizeof *v);
    v->context = context;
    v->largest = -1;
    ptq_status status = load(v, vocab, added);
    if (status)
        vocabulary_free(v);
    return status;
}

void vocabulary_free(struct vocabulary *v)
{
    if (!v->context)
        return;
    ptqi_free(v->context, v->tokens);
    ptqi_free(v->context, v->texts);
    ptqi_table_end(&v->by_text);
    ptqi_table_end(&v->by_id);
    memset(v, 0, sizeof *v);
}
