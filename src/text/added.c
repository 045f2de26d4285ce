#include "added.h"
#include <stdlib.h>
#include <string.h>
#include "field.h"
#include "unicode.h"

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

/* The leftmost token at or after `at`, the longest of those that start there. */
static const struct added_token *find(const struct added_set *set, const char *at, const char *end,
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

static const char *skip_space(const char *at, const char *end)
{
    while (at < end) {
        const char *next = at;
        if (!unicode_is_space(ptqi_utf8_next(&next)))
            break;
        at = next;
    }
    return at;
}

/* The start of the character before `at`, which is not the start of the text. */
static const char *character_before(const char *at)
{
    do
        at--;
    while (((uint8_t)*at & 0xc0) == 0x80);
    return at;
}

/* The same, backwards. */
static const char *skip_space_before(const char *at, const char *begin)
{
    while (at > begin) {
        const char *previous = character_before(at), *next = previous;
        if (!unicode_is_space(ptqi_utf8_next(&next)))
            break;
        at = previous;
    }
    return at;
}

/* Whether the text from start to stop has no word character on either side. */
static int is_apart(const struct added_walk *w, const char *start, const char *stop)
{
    const char *before = start > w->begin ? character_before(start) : NULL;
    return !(before && unicode_is_word(ptqi_utf8_next(&before))) &&
           !(stop < w->end && unicode_is_word(ptqi_utf8_next(&stop)));
}

/*
 * The search continues after the text of a token, not after the white space that it includes, even
 * if the next token starts in there, because the tokenizers library does so.
 */
const struct added_token *added_next(struct added_walk *w, const char **before, const char **start,
                                     const char **stop)
{
    const struct added_token *token;
    const char *where;
    do {
        if (!(token = find(w->set, w->at, w->end, &where)))
            return NULL;
        w->at = where + token->length;
    } while (token->single_word && !is_apart(w, where, w->at));
    *before = w->from;
    *start = where;
    *stop = w->at;
    if (token->lstrip)
        *start = where > w->from ? skip_space_before(where, w->from) : w->from;
    if (token->rstrip) {
        if (w->at >= w->space_end) /* otherwise known from the last token */
            w->space_end = skip_space(w->at, w->end);
        *stop = w->space_end;
    }
    w->from = *stop;
    return token;
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

/* Tokens are searched for as the normalizer changes them, and decoded to that, as in the tokenizers
 * library. */
static ptq_status normalize_token(ptq_context *context, const struct normalizer *normalizer,
                                  struct added_token *added, struct token *token)
{
    struct buffer text = {0}, other = {0};
    if (!normalizer->count)
        return PTQ_OK;
    ptq_status status = buffer_append(context, &text, added->text, added->length);
    if (!status)
        status = normalize(normalizer, &text, &other);
    if (!status && (!text.length || text.length > MAX_LENGTH))
        status = ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                           "the added token with the id %d has %lld bytes when it is normalized, "
                           "which is not supported",
                           (int)added->id, (long long)text.length);
    buffer_free(context, &other);
    added->own = text.bytes;
    if (status)
        return status;
    added->text = token->shown = text.bytes;
    added->length = token->shown_length = (int32_t)text.length;
    return PTQ_OK;
}

static ptq_status read_token(struct vocabulary *v, const struct ptqi_json *json,
                             const struct normalizer *normalizer, int32_t *next_id,
                             struct added_token *added)
{
    ptq_context *context = v->context;
    const struct ptqi_json *content = ptqi_json_get(json, "content");
    struct token *token;
    int special;
    if (!ptqi_json_string(content) || content->length > MAX_LENGTH)
        return ptqi_fail(context, PTQ_ERROR_FORMAT,
                         "an added token should have a \"content\" of up to %d bytes", MAX_LENGTH);
    PTQI_TRY(field_flag(context, json, "single_word", 0, &added->single_word));
    PTQI_TRY(field_flag(context, json, "special", 0, &special));
    PTQI_TRY(field_flag(context, json, "lstrip", 0, &added->lstrip));
    PTQI_TRY(field_flag(context, json, "rstrip", 0, &added->rstrip));
    PTQI_TRY(field_flag(context, json, "normalized", 1, &added->normalized));
    PTQI_TRY(choose_id(v, json, content, next_id, &token));
    added->text = token->text;
    added->length = token->length;
    added->id = token->id;
    return added->normalized ? normalize_token(context, normalizer, added, token) : PTQ_OK;
}

ptq_status added_load(ptq_context *context, const struct ptqi_json *json,
                      const struct normalizer *normalizer, struct vocabulary *vocabulary,
                      struct added *added)
{
    int64_t raw = 0;
    int32_t next_id = (int32_t)vocabulary->model_count;
    memset(added, 0, sizeof *added);
    added->tokens = ptqi_alloc(context, json ? json->count : 0, (int64_t)sizeof *added->tokens);
    if (!added->tokens)
        return PTQ_ERROR_MEMORY;
    for (const struct ptqi_json *item = json ? json->first : NULL; item; item = item->next) {
        if (field_is(ptqi_json_get(item, "content"), ""))
            continue; /* like the tokenizers library */
        struct added_token *token = added->tokens + added->count++;
        memset(token, 0, sizeof *token);
        PTQI_TRY(read_token(vocabulary, item, normalizer, &next_id, token));
        raw += !token->normalized;
    }
    qsort(added->tokens, (size_t)added->count, sizeof *added->tokens, compare);
    index_set(&added->sets[0], added->tokens, raw);
    index_set(&added->sets[1], added->tokens + raw, added->count - raw);
    return PTQ_OK;
}

void added_free(ptq_context *context, struct added *added)
{
    for (int64_t i = 0; i < added->count; i++)
        ptqi_free(context, added->tokens[i].own);
    ptqi_free(context, added->tokens);
    added->tokens = NULL;
    added->count = 0;
}
