/*
 * The symbols of a piece form a linked list; possible merges wait in a heap. A merge creates at
 * most two new candidates, so a piece of n bytes costs O(n log n). A candidate becomes stale when
 * one of its two symbols is merged with another; this is detected when it reaches the top.
 */
#include "bpe.h"
#include <string.h>
#include "base/utf8.h"

#define NONE (-1)

struct symbol {
    int32_t id;             /* NONE: merged into the previous symbol */
    int64_t previous, next; /* NONE at the ends */
};

struct candidate {
    uint64_t order; /* position in the list of merges << 32 | position of the left symbol */
    int32_t id;     /* of the result */
};

static ptq_status push(ptq_context *context, struct bpe_work *w, struct candidate c)
{
    PTQI_TRY(ptqi_grow(context, (void **)&w->heap, w->heap_count, &w->heap_capacity,
                       w->heap_count + 1, (int64_t)sizeof *w->heap));
    int64_t at = w->heap_count++;
    for (; at > 0 && c.order < w->heap[(at - 1) / 2].order; at = (at - 1) / 2)
        w->heap[at] = w->heap[(at - 1) / 2];
    w->heap[at] = c;
    return PTQ_OK;
}

/* Removes the first candidate. The last one takes a place near the bottom again, so the path down
 * is followed first, without comparing with it; which child comes first is not predictable, so it
 * is not a branch. */
static struct candidate pop(struct bpe_work *w)
{
    struct candidate *heap = w->heap, top = heap[0];
    const int64_t count = --w->heap_count;
    int64_t at = 0, child;
    while ((child = 2 * at + 1) + 1 < count) {
        child += heap[child + 1].order < heap[child].order;
        heap[at] = heap[child];
        at = child;
    }
    if (child < count) {
        heap[at] = heap[child];
        at = child;
    }
    for (; at > 0 && heap[count].order < heap[(at - 1) / 2].order; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = heap[count];
    return top;
}

uint64_t bpe_pair_hash(const struct ptqi_table *t, int32_t left, int32_t right)
{
    return ptqi_table_hash_number(t, (uint64_t)(uint32_t)left << 32 | (uint32_t)right);
}

int bpe_find_merge(const struct bpe *b, int32_t left, int32_t right, int32_t *rank, int32_t *result)
{
    int64_t at = -1;
    const struct ptqi_slot *slot =
        ptqi_table_next(&b->merges, bpe_pair_hash(&b->merges, left, right), &at);
    if (!slot)
        return 0;
    *rank = (int32_t)(slot->item >> 32);
    *result = (int32_t)slot->item;
    return 1;
}

/* Adds the pair of symbols at left and right to the heap, if they may be merged. */
static ptq_status propose(const struct bpe *b, struct bpe_work *w, int64_t left, int64_t right)
{
    if (left == NONE || right == NONE)
        return PTQ_OK;
    struct candidate c;
    int32_t rank;
    if (!bpe_find_merge(b, w->symbols[left].id, w->symbols[right].id, &rank, &c.id))
        return PTQ_OK;
    c.order = (uint64_t)rank << 32 | (uint64_t)left;
    return push(b->context, w, c);
}

int32_t bpe_character(const struct bpe *b, const char *text, int length)
{
    const char *at = text;
    const uint32_t c = ptqi_utf8_next(&at);
    return c < BPE_SMALL ? b->small_ids[c] : vocabulary_id(b->vocabulary, text, length);
}

/* The symbols of a piece so far, and a symbol for unknown characters that comes next. */
struct spelling {
    const struct bpe *b;
    struct symbol *symbols;
    int64_t count;
    int unknown;
};

static void put_symbol(struct spelling *s, int32_t id)
{
    s->symbols[s->count].id = id;
    s->symbols[s->count].previous = s->count - 1;
    s->symbols[s->count].next = s->count + 1;
    s->count++;
}

static void put_unknown(struct spelling *s)
{
    if (s->unknown)
        put_symbol(s, s->b->unknown_id);
    s->unknown = 0;
}

/* The bytes of a character, if all of them have tokens. */
static int put_bytes(struct spelling *s, const char *text, int length)
{
    for (int i = 0; i < length; i++)
        if (!s->b->byte_fallback || s->b->byte_ids[(uint8_t)text[i]] == NONE)
            return 0;
    for (int i = 0; i < length; i++)
        put_symbol(s, s->b->byte_ids[(uint8_t)text[i]]);
    return 1;
}

/*
 * Converts the characters of a piece to symbols; count is their number. Bytes do not end a row of
 * unknown characters, and come before its token, because they do so in the tokenizers library.
 */
static ptq_status put_symbols(struct spelling *s, const char *piece, const char *end)
{
    for (const char *at = piece; at < end; piece = at) {
        ptqi_utf8_next(&at);
        const int length = (int)(at - piece);
        const int32_t id = bpe_character(s->b, piece, length);
        if (id != NONE) {
            put_unknown(s);
            put_symbol(s, id);
        } else if (!put_bytes(s, piece, length)) {
            if (s->b->unknown_is_missing)
                return ptqi_fail(
                    s->b->context, PTQ_ERROR_FORMAT,
                    "the text needs the \"unk_token\", which is not in the vocabulary");
            if (!s->b->fuse_unknown)
                put_unknown(s);
            s->unknown = s->b->unknown_id != NONE;
        }
    }
    put_unknown(s);
    return PTQ_OK;
}

/* Merges the symbols from first to before end, of which only the ends are cut off from others. */
static ptq_status merge_all(const struct bpe *b, struct bpe_work *w, int64_t first, int64_t end)
{
    struct symbol *symbols = w->symbols;
    symbols[first].previous = symbols[end - 1].next = NONE;
    w->heap_count = 0;
    for (int64_t i = first; i + 1 < end; i++)
        PTQI_TRY(propose(b, w, i, i + 1));
    while (w->heap_count) {
        const struct candidate c = pop(w);
        const int64_t position = (int64_t)(c.order & UINT32_MAX);
        struct symbol *left = symbols + position;
        if (left->id == NONE || left->next == NONE)
            continue;
        struct symbol *right = symbols + left->next;
        int32_t rank, result;
        if (!bpe_find_merge(b, left->id, right->id, &rank, &result) || result != c.id)
            continue;
        left->id = c.id;
        left->next = right->next;
        right->id = NONE;
        if (left->next != NONE)
            symbols[left->next].previous = position;
        PTQI_TRY(propose(b, w, left->previous, position));
        PTQI_TRY(propose(b, w, position, left->next));
    }
    return PTQ_OK;
}

/* Whether a merge can happen between two symbols of a piece. */
static int may_join(const struct bpe *b, int32_t left, int32_t right)
{
    int64_t at = -1;
    return b->cannot_cut ||
           ptqi_table_next(&b->joints, bpe_pair_hash(&b->joints, left, right), &at);
}

/* Merges the parts of a piece that do not touch each other, which takes less time than merging it
 * as a whole if it is long. */
static ptq_status merge_parts(const struct bpe *b, struct bpe_work *w, int64_t count)
{
    for (int64_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count; end++)
            if (!may_join(b, w->symbols[end - 1].id, w->symbols[end].id))
                break;
        if (end > first + 1)
            PTQI_TRY(merge_all(b, w, first, end));
    }
    return PTQ_OK;
}

ptq_status bpe_encode(const struct bpe *b, struct bpe_work *w, const char *piece, int64_t length,
                      struct id_list *out)
{
    const int32_t whole = b->ignore_merges ? vocabulary_id(b->vocabulary, piece, length) : NONE;
    if (whole != NONE)
        return id_list_append(b->context, out, whole);
    if (length > UINT32_MAX)
        return ptqi_fail(b->context, PTQ_ERROR_BOUNDS, "more than 4 GB of text that is not cut");
    PTQI_TRY(ptqi_grow(b->context, (void **)&w->symbols, 0, &w->symbol_capacity, length,
                       (int64_t)sizeof *w->symbols));
    struct spelling spelling = {b, w->symbols, 0, 0};
    PTQI_TRY(put_symbols(&spelling, piece, piece + length));
    PTQI_TRY(merge_parts(b, w, spelling.count));
    for (int64_t i = 0; i < spelling.count; i++)
        if (w->symbols[i].id != NONE)
            PTQI_TRY(id_list_append(b->context, out, w->symbols[i].id));
    return PTQ_OK;
}

void bpe_work_free(ptq_context *context, struct bpe_work *w)
{
    ptqi_free(context, w->symbols);
    ptqi_free(context, w->heap);
    memset(w, 0, sizeof *w);
}
