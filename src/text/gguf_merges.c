#include "gguf_merges.h"
#include <stdlib.h>
#include <string.h>
#include "base/table.h"
#include "base/utf8.h"

struct merge {
    double score;
    int32_t token, left, right; /* ids */
    int32_t left_characters, right_characters;
};

struct merges {
    ptq_context *context;
    const struct ptqi_json **tokens; /* [count], by id */
    int64_t count;
    struct ptqi_table by_text;
    struct merge *list;
    int64_t used, capacity;
};

/* The larger score first; among equals the longer left part, then the longer right part, then the
 * smaller ids. */
static int in_order(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->left_characters != y->left_characters)
        return x->left_characters > y->left_characters ? -1 : 1;
    if (x->right_characters != y->right_characters)
        return x->right_characters > y->right_characters ? -1 : 1;
    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return x->right < y->right ? -1 : x->right > y->right;
}

static int32_t find(const struct merges *m, const char *text, int32_t length)
{
    const uint64_t hash = ptqi_table_hash(&m->by_text, text, length);
    const struct ptqi_slot *slot;
    for (int64_t at = -1; (slot = ptqi_table_next(&m->by_text, hash, &at));) {
        const struct ptqi_json *token = m->tokens[slot->item];
        if (token->length == length && !memcmp(token->text, text, (size_t)length))
            return (int32_t)slot->item;
    }
    return -1;
}

static ptq_status load_tokens(struct merges *m, const struct ptqi_json *tokens)
{
    m->tokens = ptqi_alloc(m->context, tokens->count, (int64_t)sizeof *m->tokens);
    if (!m->tokens)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptqi_table_reserve(&m->by_text, tokens->count));
    for (const struct ptqi_json *t = tokens->first; t; t = t->next) {
        m->tokens[m->count] = t;
        ptqi_table_add(&m->by_text, ptqi_table_hash(&m->by_text, t->text, t->length), m->count++);
    }
    return PTQ_OK;
}

static int32_t characters(const char *text, int32_t length)
{
    int32_t count = 0;
    for (const char *at = text; at < text + length; count++)
        (void)ptqi_utf8_next(&at);
    return count;
}

/* Adds the merges that make a token. */
static ptq_status add_token(struct merges *m, int32_t token, double score)
{
    const struct ptqi_json *t = m->tokens[token];
    const int32_t all = characters(t->text, t->length);
    int32_t before = 0;
    for (const char *at = t->text, *end = t->text + t->length; at < end;) {
        const int32_t left = (int32_t)(at - t->text);
        const int32_t l = left ? find(m, t->text, left) : -1;
        const int32_t r = l >= 0 ? find(m, at, t->length - left) : -1;
        if (r >= 0) {
            PTQI_TRY(ptqi_grow(m->context, (void **)&m->list, m->used, &m->capacity, m->used + 1,
                               (int64_t)sizeof *m->list));
            m->list[m->used++] = (struct merge){score, token, l, r, before, all - before};
        }
        (void)ptqi_utf8_next(&at);
        before++;
    }
    return PTQ_OK;
}

static ptq_status collect(struct merges *m, const struct ptqi_json *tokens,
                          const struct ptqi_json *scores, struct ptqi_json_writer *w)
{
    const struct ptqi_json *score = scores->first;
    PTQI_TRY(load_tokens(m, tokens));
    for (int64_t i = 0; i < m->count; i++, score = score->next)
        PTQI_TRY(add_token(m, (int32_t)i, score->number));
    if (m->used)
        qsort(m->list, (size_t)m->used, sizeof *m->list, in_order);
    ptqi_json_open(w, "merges", '[');
    for (int64_t i = 0; i < m->used; i++) {
        ptqi_json_open(w, NULL, '[');
        ptqi_json_add_text(w, NULL, m->tokens[m->list[i].left]->text);
        ptqi_json_add_text(w, NULL, m->tokens[m->list[i].right]->text);
        ptqi_json_close(w, ']');
    }
    ptqi_json_close(w, ']');
    return w->status;
}

ptq_status gguf_write_merges(ptq_context *context, const struct ptqi_json *tokens,
                             const struct ptqi_json *scores, struct ptqi_json_writer *w)
{
    struct merges m;
    memset(&m, 0, sizeof m);
    m.context = context;
    ptqi_table_begin(&m.by_text, context);
    const ptq_status status = collect(&m, tokens, scores, w);
    ptqi_table_end(&m.by_text);
    ptqi_free(context, m.tokens);
    ptqi_free(context, m.list);
    return status;
}
