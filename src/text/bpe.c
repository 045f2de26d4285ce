/*
 * The symbols of a piece form a linked list; possible merges wait in a heap. A merge creates at
 * most two new candidates, so a piece of n bytes costs O(n log n). A candidate becomes stale when
 * one of its two symbols is merged with another; this is detected when it reaches the top.
 */
#include "bpe.h"
#include <string.h>
#include "field.h"
#include "unicode.h"

#define NONE (-1)

struct symbol {
    int32_t id;             /* NONE: merged into the previous symbol */
    int64_t previous, next; /* NONE at the ends */
};

struct candidate {
    int64_t position; /* of the left symbol */
    int32_t rank, id; /* position in the list of merges; id of the result */
};

ptq_status id_list_append(ptq_context *context, struct id_list *list, int32_t id)
{
    PTQI_TRY(ptqi_grow(context, (void **)&list->ids, list->count, &list->capacity, list->count + 1,
                       (int64_t)sizeof *list->ids));
    list->ids[list->count++] = id;
    return PTQ_OK;
}

static int before(const struct candidate *a, const struct candidate *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->position < b->position);
}

static ptq_status push(ptq_context *context, struct bpe_work *w, struct candidate c)
{
    PTQI_TRY(ptqi_grow(context, (void **)&w->heap, w->heap_count, &w->heap_capacity,
                       w->heap_count + 1, (int64_t)sizeof *w->heap));
    int64_t at = w->heap_count++;
    for (; at > 0 && before(&c, &w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        w->heap[at] = w->heap[(at - 1) / 2];
    w->heap[at] = c;
    return PTQ_OK;
}

static struct candidate pop(struct bpe_work *w)
{
    struct candidate top = w->heap[0], last = w->heap[--w->heap_count];
    int64_t at = 0, child;
    while ((child = 2 * at + 1) < w->heap_count) {
        if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

uint64_t bpe_pair_hash(const struct bpe *b, int32_t left, int32_t right)
{
    return ptqi_table_hash_number(&b->merges, (uint64_t)(uint32_t)left << 32 | (uint32_t)right);
}

int bpe_find_merge(const struct bpe *b, int32_t left, int32_t right, int32_t *rank, int32_t *result)
{
    int64_t at = -1;
    const struct ptqi_slot *slot = ptqi_table_next(&b->merges, bpe_pair_hash(b, left, right), &at);
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
    struct candidate c = {.position = left};
    if (!bpe_find_merge(b, w->symbols[left].id, w->symbols[right].id, &c.rank, &c.id))
        return PTQ_OK;
    return push(b->context, w, c);
}

/* Converts the bytes of a piece to symbols; returns their number. */
static int64_t put_symbols(const struct bpe *b, struct symbol *symbols, const char *piece,
                           int64_t length)
{
    int64_t count = 0;
    int after_unknown = 0;
    for (int64_t i = 0; i < length; i++) {
        int32_t id = b->byte_ids[(uint8_t)piece[i]];
        int unknown = id == NONE;
        if (unknown)
            id = after_unknown && b->fuse_unknown ? NONE : b->unknown_id;
        after_unknown = unknown;
        if (id == NONE)
            continue;
        symbols[count].id = id;
        symbols[count].previous = count - 1;
        symbols[count].next = count + 1;
        count++;
    }
    if (count)
        symbols[count - 1].next = NONE;
    return count;
}

static ptq_status merge_all(const struct bpe *b, struct bpe_work *w, int64_t count)
{
    struct symbol *symbols = w->symbols;
    w->heap_count = 0;
    for (int64_t i = 0; i + 1 < count; i++)
        PTQI_TRY(propose(b, w, i, i + 1));
    while (w->heap_count) {
        struct candidate c = pop(w);
        struct symbol *left = symbols + c.position;
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
            symbols[left->next].previous = c.position;
        PTQI_TRY(propose(b, w, left->previous, c.position));
        PTQI_TRY(propose(b, w, c.position, left->next));
    }
    return PTQ_OK;
}

/* The id of the token that is spelled like the whole piece in the byte-level alphabet; NONE if
 * there is none. */
static ptq_status find_whole(const struct bpe *b, struct bpe_work *w, const char *piece,
                             int64_t length, int32_t *id)
{
    int64_t used = 0;
    PTQI_TRY(ptqi_grow(b->context, (void **)&w->spelling, 0, &w->spelling_capacity, 2 * length, 1));
    for (int64_t i = 0; i < length; i++)
        used += ptqi_utf8_put(w->spelling + used, unicode_from_byte((uint8_t)piece[i]));
    *id = vocabulary_id(b->vocabulary, w->spelling, used);
    return PTQ_OK;
}

ptq_status bpe_encode(const struct bpe *b, struct bpe_work *w, const char *piece, int64_t length,
                      struct id_list *out)
{
    int32_t whole = NONE;
    if (b->ignore_merges)
        PTQI_TRY(find_whole(b, w, piece, length, &whole));
    if (whole != NONE)
        return id_list_append(b->context, out, whole);
    PTQI_TRY(ptqi_grow(b->context, (void **)&w->symbols, 0, &w->symbol_capacity, length,
                       (int64_t)sizeof *w->symbols));
    int64_t count = put_symbols(b, w->symbols, piece, length);
    PTQI_TRY(merge_all(b, w, count));
    for (int64_t i = 0; i < count; i++)
        if (w->symbols[i].id != NONE)
            PTQI_TRY(id_list_append(b->context, out, w->symbols[i].id));
    return PTQ_OK;
}

void bpe_work_free(ptq_context *context, struct bpe_work *w)
{
    ptqi_free(context, w->symbols);
    ptqi_free(context, w->heap);
    ptqi_free(context, w->spelling);
    memset(w, 0, sizeof *w);
}
