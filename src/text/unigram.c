/*
 * Goes through the piece once and keeps the best way to each position. Everything, the order in
 * which ways are compared too, is as in the tokenizers library.
 */
#include "unigram.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"
#include "field.h"

#define NONE (-1)
#define UNKNOWN_PENALTY 10.0 /* below the lowest score */
#define MAX_LENGTH 4096      /* of a token; bounds the work at every position of a text */

/* The last token of the best way to a position. */
struct unigram_end {
    double score;
    int64_t start; /* NONE: no way yet */
    int32_t id;
};

static const struct token *sorted_token(const struct unigram *u, int64_t i)
{
    return u->vocabulary->tokens + u->sorted[i];
}

/* The first place in [low, high) whose byte at depth is not below byte; all have such a byte. */
static int64_t lower_bound(const struct unigram *u, int64_t low, int64_t high, int32_t depth,
                           int byte)
{
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if ((uint8_t)sorted_token(u, middle)->text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void consider(struct unigram_end *end, double score, int64_t start, int32_t id)
{
    if (end->start != NONE && !(score > end->score))
        return;
    end->score = score;
    end->start = start;
    end->id = id;
}

/* Goes on from a position with every token that the rest starts with, the shortest first. The
 * tokens that match so far form a range. */
static void extend(const struct unigram *u, struct unigram_end *ends, const char *text,
                   int64_t start, int64_t length)
{
    int64_t low = u->first[(uint8_t)text[start]], high = u->first[(uint8_t)text[start] + 1];
    const double score = ends[start].score;
    const char *next = text + start;
    ptqi_utf8_next(&next);
    const int64_t character = next - text;
    int known = 0;
    for (int32_t depth = 1; low < high; depth++) {
        if (sorted_token(u, low)->length == depth) {
            const struct token *token = sorted_token(u, low++);
            consider(ends + start + depth, token->score + score, start, token->id);
            known |= start + depth == character;
        }
        if (start + depth == length)
            break;
        const int byte = (uint8_t)text[start + depth];
        low = lower_bound(u, low, high, depth, byte);
        high = lower_bound(u, low, high, depth, byte + 1);
    }
    if (!known)
        consider(ends + character, u->unknown_score + score, start, u->unknown_id);
}

/* Appends the token that is this text; if there is none, its bytes or the unknown token. */
static ptq_status put_text(const struct unigram *u, const char *text, int64_t length,
                           struct id_list *out)
{
    const int32_t id = vocabulary_id(u->vocabulary, text, length);
    int missing = !u->byte_fallback;
    for (int64_t i = 0; i < length && !missing; i++)
        missing = u->byte_ids[(uint8_t)text[i]] == NONE;
    if (id != NONE || missing)
        return id_list_append(u->context, out, id != NONE ? id : u->unknown_id);
    for (int64_t i = 0; i < length; i++)
        PTQI_TRY(id_list_append(u->context, out, u->byte_ids[(uint8_t)text[i]]));
    return PTQ_OK;
}

/* Turns the best way around: afterwards the start of a position is where its token ends. */
static void turn_around(struct unigram_end *ends, int64_t length)
{
    for (int64_t end = length, behind = NONE, id = NONE; end >= 0;) {
        const int64_t start = ends[end].start, own = ends[end].id;
        ends[end].start = behind;
        ends[end].id = (int32_t)id;
        behind = end;
        id = own;
        end = end ? start : NONE;
    }
}

ptq_status unigram_encode(const struct unigram *u, struct unigram_work *w, const char *piece,
                          int64_t length, struct id_list *out)
{
    PTQI_TRY(ptqi_grow(u->context, (void **)&w->ends, 0, &w->capacity, length + 1,
                       (int64_t)sizeof *w->ends));
    struct unigram_end *ends = w->ends;
    for (int64_t i = 0; i <= length; i++)
        ends[i] = (struct unigram_end){0, NONE, NONE};
    for (const char *at = piece; at < piece + length; ptqi_utf8_next(&at))
        extend(u, ends, piece, at - piece, length);
    turn_around(ends, length);
    for (int64_t start = 0, end; start < length; start = end) {
        end = ends[start].start;
        while (ends[start].id == u->unknown_id && end < length && ends[end].id == u->unknown_id)
            end = ends[end].start; /* unknown characters in a row are one text */
        PTQI_TRY(put_text(u, piece + start, end - start, out));
    }
    return PTQ_OK;
}

static int compare(const void *a, const void *b, const struct vocabulary *v)
{
    const struct token *x = v->tokens + *(const int32_t *)a, *y = v->tokens + *(const int32_t *)b;
    const int32_t shorter = x->length < y->length ? x->length : y->length;
    const int order = memcmp(x->text, y->text, (size_t)shorter);
    return order ? order : x->length - y->length;
}

/* Merges two sorted runs of places. */
static void merge(const struct vocabulary *v, const int32_t *from, int64_t middle, int64_t count,
                  int32_t *to)
{
    int64_t a = 0, b = middle;
    while (a < middle || b < count)
        *to++ = b == count || (a < middle && compare(from + a, from + b, v) <= 0) ? from[a++]
                                                                                  : from[b++];
}

/* Merge sort, because qsort cannot be told the vocabulary. */
static ptq_status sort(const struct unigram *u, int64_t count)
{
    int32_t *other = ptqi_alloc(u->context, count, (int64_t)sizeof *other);
    if (!other)
        return PTQ_ERROR_MEMORY;
    for (int64_t width = 1; width < count; width *= 2) {
        for (int64_t i = 0; i < count; i += 2 * width) {
            const int64_t here = count - i < 2 * width ? count - i : 2 * width;
            merge(u->vocabulary, u->sorted + i, here < width ? here : width, here, other + i);
        }
        memcpy(u->sorted, other, (size_t)count * sizeof *other);
    }
    ptqi_free(u->context, other);
    return PTQ_OK;
}

static ptq_status load_tokens(struct unigram *u)
{
    const struct vocabulary *v = u->vocabulary;
    double lowest = (double)INFINITY;
    int64_t count = 0;
    u->sorted = ptqi_alloc(u->context, v->model_count, (int64_t)sizeof *u->sorted);
    if (!u->sorted)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < v->model_count; i++) {
        if (v->tokens[i].length > MAX_LENGTH)
            return ptqi_fail(u->context, PTQ_ERROR_UNSUPPORTED,
                             "a token of %d bytes is not supported", (int)v->tokens[i].length);
        lowest = v->tokens[i].score < lowest ? v->tokens[i].score : lowest;
        if (v->tokens[i].length)
            u->sorted[count++] = (int32_t)i;
    }
    u->unknown_score = lowest - UNKNOWN_PENALTY;
    PTQI_TRY(sort(u, count));
    for (int byte = 0; byte <= 256; byte++)
        u->first[byte] = lower_bound(u, 0, count, 0, byte);
    return PTQ_OK;
}

ptq_status unigram_load(ptq_context *context, const struct ptqi_json *model,
                        const struct vocabulary *vocabulary, struct unigram *u)
{
    int64_t id;
    memset(u, 0, sizeof *u);
    u->context = context;
    u->vocabulary = vocabulary;
    PTQI_TRY(field_flag(context, model, "byte_fallback", 0, &u->byte_fallback));
    if (!ptqi_json_integer(ptqi_json_get(model, "unk_id"), &id) || id < 0 ||
        id >= vocabulary->model_count)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "a Unigram model without \"unk_id\" is not supported");
    u->unknown_id = (int32_t)id;
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", byte);
        u->byte_ids[byte] = vocabulary_id(vocabulary, text, 6);
    }
    return load_tokens(u);
}

void unigram_free(struct unigram *u)
{
    if (u->context)
        ptqi_free(u->context, u->sorted);
    memset(u, 0, sizeof *u);
}

void unigram_work_free(ptq_context *context, struct unigram_work *w)
{
    ptqi_free(context, w->ends);
    memset(w, 0, sizeof *w);
}
