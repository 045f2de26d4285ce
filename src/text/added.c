#include "added.h"
#include <stdlib.h>
#include <string.h>
#include "field.h"

/* Bounds the work that a hostile file can cause at every byte of a text. */
#define MAX_LENGTH 4096

static int compare(const void *a, const void *b)
{
    const struct added_token *x = a, *y = b;
    int32_t shorter = x->length < y->length ? x->length : y->length;
    if (x->normalized != y->normalized)
        return x->normalized - y->normalized;
    int order = memcmp(x->text, y->text, (size_t)shorter);
    return order ? order : x->length - y->length;
}

/* The first token in [low, high) whose byte at depth is not below byte; all of them have such a
 * byte. */
static int64_t lower_bound(const struct added_token *tokens, int64_t low, int64_t high,
                           int32_t depth, int byte)
{
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if ((uint8_t)tokens[middle].text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void index_set(struct added_set *set, const struct added_token *tokens, int64_t count)
{
    set->tokens = tokens;
    for (int byte = 0; byte <= 256; byte++)
        set->first[byte] = lower_bound(tokens, 0, count, 0, byte);
}

/* The longest token that the text starts with. The tokens that match so far form a range. */
static const struct added_token *longest(const struct added_set *set, const char *at,
                                         const char *end)
{
    const struct added_token *tokens = set->tokens, *found = NULL;
    int64_t low = set->first[(uint8_t)*at], high = set->first[(uint8_t)*at + 1];
    for (int32_t depth = 1; low < high; depth++) {
        if (tokens[low].length == depth)
            found = tokens + low++;
        if (depth == end - at)
            break;
        int byte = (uint8_t)at[depth];
        low = lower_bound(tokens, low, high, depth, byte);
        high = lower_bound(tokens, low, high, depth, byte + 1);
    }
    return found;
}

const struct added_token *added_find(const struct added_set *set, const char *at, const char *end,
                                     const char **where)
{
    for (; at < end; at++) {
        const struct added_token *token = longest(set, at, end);
        if (token) {
            *where = at;
            return token;
        }
    }
    return NULL;
}

/*
 * Like the tokenizers library, whose ids these must equal, this ignores the id in the file: a token
 * gets the id that its text has in the model, or else the next id after the model's tokens.
 */
static ptq_status choose_id(struct vocabulary *v, const struct ptqi_json *json,
                            const struct ptqi_json *content, int32_t *next_id, struct token **token)
{
    int64_t id;
    *token = vocabulary_find(v, content->text, content->length);
    if (*token && (*token)->added)
        return ptqi_fail(v->context, PTQ_ERROR_FORMAT,
                         "the added token with the id %d occurs twice", (int)(*token)->id);
    if (!*token)
        PTQI_TRY(vocabulary_add(v, content, (*next_id)++, token));
    (*token)->added = 1;
    if (ptqi_json_integer(ptqi_json_get(json, "id"), &id) && id != (*token)->id)
        ptqi_log_line(v->context, PTQ_LOG_WARNING,
                      "tokenizer: an added token should have the id %lld, but gets %d",
                      (long long)id, (int)(*token)->id);
    return PTQ_OK;
}

static ptq_status read_token(struct vocabulary *v, const struct ptqi_json *json, int32_t *next_id,
                             struct added_token *added)
{
    ptq_context *context = v->context;
    const struct ptqi_json *content = ptqi_json_get(json, "content");
    struct token *token;
    int single_word;
    if (!ptqi_json_string(content) || content->length > MAX_LENGTH)
        return ptqi_fail(context, PTQ_ERROR_FORMAT,
                         "an added token should have a \"content\" of up to %d bytes", MAX_LENGTH);
    PTQI_TRY(field_flag(context, json, "single_word", 0, &single_word));
    PTQI_TRY(field_flag(context, json, "lstrip", 0, &added->lstrip));
    PTQI_TRY(field_flag(context, json, "rstrip", 0, &added->rstrip));
    PTQI_TRY(field_flag(context, json, "normalized", 1, &added->normalized));
    if (single_word)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "added tokens with \"single_word\" are not supported");
    PTQI_TRY(choose_id(v, json, content, next_id, &token));
    added->text = token->text;
    added->length = token->length;
    added->id = token->id;
    return PTQ_OK;
}

ptq_status added_load(ptq_context *context, const struct ptqi_json *json,
                      struct vocabulary *vocabulary, struct added *added)
{
    int64_t count = 0, raw = 0;
    int32_t next_id = (int32_t)vocabulary->model_count;
    memset(added, 0, sizeof *added);
    added->tokens = ptqi_alloc(context, json ? json->count : 0, (int64_t)sizeof *added->tokens);
    if (!added->tokens)
        return PTQ_ERROR_MEMORY;
    for (const struct ptqi_json *item = json ? json->first : NULL; item; item = item->next) {
        if (field_is(ptqi_json_get(item, "content"), ""))
            continue; /* like the tokenizers library */
        PTQI_TRY(read_token(vocabulary, item, &next_id, added->tokens + count));
        raw += !added->tokens[count++].normalized;
    }
    qsort(added->tokens, (size_t)count, sizeof *added->tokens, compare);
    index_set(&added->sets[0], added->tokens, raw);
    index_set(&added->sets[1], added->tokens + raw, count - raw);
    return PTQ_OK;
}

void added_free(ptq_context *context, struct added *added)
{
    ptqi_free(context, added->tokens);
    added->tokens = NULL;
}
