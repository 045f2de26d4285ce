#include "vocabulary.h"
#include <string.h>

static uint64_t hash_text(const char *text, int64_t length)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (int64_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

/* The slot that holds the token of this text, or the empty one where it belongs. */
static int32_t *find(const struct vocabulary *v, const char *text, int64_t length)
{
    uint64_t slot = hash_text(text, length) & v->mask;
    for (; v->by_text[slot] >= 0; slot = (slot + 1) & v->mask) {
        const struct token *token = v->tokens + v->by_text[slot];
        if (token->length == length && !memcmp(token->text, text, (size_t)length))
            break;
    }
    return v->by_text + slot;
}

struct token *vocabulary_find(const struct vocabulary *v, const char *text, int64_t length)
{
    int32_t index = *find(v, text, length);
    return index < 0 ? NULL : v->tokens + index;
}

const struct token *vocabulary_token(const struct vocabulary *v, int32_t id)
{
    const struct map_entry *entry = map_get(&v->by_id, (uint32_t)id);
    return entry ? v->tokens + entry->first : NULL;
}

int32_t vocabulary_id(const struct vocabulary *v, const char *text, int64_t length)
{
    const struct token *token = vocabulary_find(v, text, length);
    return token && token->in_model ? token->id : -1;
}

/* The caller has made room, and knows that no other token has this text. */
static ptq_status append(struct vocabulary *v, const char *text, int32_t length, int32_t id,
                         struct token **out)
{
    struct token *token = *out = v->tokens + v->count;
    if (vocabulary_token(v, id))
        return ptqi_fail(v->context, PTQ_ERROR_FORMAT, "two tokens have the id %d", (int)id);
    memcpy(v->texts + v->texts_used, text, (size_t)length);
    memset(token, 0, sizeof *token);
    token->text = v->texts + v->texts_used;
    token->length = length;
    token->id = id;
    *find(v, text, length) = (int32_t)v->count;
    map_set(&v->by_id, (uint32_t)id, (int32_t)v->count, 0);
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
    int64_t slots = map_slots(tokens);
    if (tokens > INT32_MAX)
        return ptqi_fail(v->context, PTQ_ERROR_FORMAT, "too many tokens");
    v->tokens = ptqi_alloc(v->context, tokens, (int64_t)sizeof *v->tokens);
    v->texts = ptqi_alloc(v->context, bytes, 1);
    v->by_text = ptqi_alloc(v->context, slots, (int64_t)sizeof *v->by_text);
    if (!v->tokens || !v->texts || !v->by_text)
        return PTQ_ERROR_MEMORY;
    v->mask = (uint64_t)slots - 1;
    for (int64_t i = 0; i < slots; i++)
        v->by_text[i] = -1;
    return map_create(v->context, &v->by_id, tokens);
}

static ptq_status load(struct vocabulary *v, const struct ptqi_json *vocab,
                       const struct ptqi_json *added)
{
    int64_t tokens = vocab->count, bytes = 0, id;
    struct token *token;
    for (const struct ptqi_json *item = vocab->first; item; item = item->next)
        bytes += item->name_length;
    for (const struct ptqi_json *item = added ? added->first : NULL; item; item = item->next) {
        const struct ptqi_json *content = ptqi_json_get(item, "content");
        bytes += ptqi_json_string(content) ? content->length : 0;
        tokens++;
    }
    PTQI_TRY(create(v, tokens, bytes));
    for (const struct ptqi_json *item = vocab->first; item; item = item->next) {
        if (!ptqi_json_integer(item, &id) || id < 0 || id >= INT32_MAX)
            return ptqi_fail(v->context, PTQ_ERROR_FORMAT,
                             "token %lld of the vocabulary has no valid id", (long long)v->count);
        PTQI_TRY(append(v, item->name, item->name_length, (int32_t)id, &token));
        token->in_model = 1;
    }
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
    ptqi_free(v->context, v->by_text);
    map_free(v->context, &v->by_id);
    memset(v, 0, sizeof *v);
}
