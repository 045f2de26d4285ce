/*
 * Loads "model" of a tokenizer.json for bpe.c.
 */
#include "bpe.h"
#include <stdio.h>
#include <string.h>
#include "base/utf8.h"
#include "field.h"

static ptq_status bad_merge(ptq_context *context, int32_t rank, const char *problem)
{
    return ptqi_fail(context, PTQ_ERROR_FORMAT, "merge %d %s", (int)rank, problem);
}

/* The two parts of a merge, written as "a b" or as ["a", "b"]. */
static int split_merge(const struct ptqi_json *merge, const char *part[2], int64_t length[2])
{
    if (merge->kind == PTQI_JSON_ARRAY && merge->count == 2) {
        const struct ptqi_json *left = merge->first, *right = left->next;
        part[0] = ptqi_json_string(left);
        part[1] = ptqi_json_string(right);
        length[0] = left->length;
        length[1] = right->length;
        return part[0] && part[1];
    }
    const char *text = ptqi_json_string(merge);
    const char *space = text ? memchr(text, ' ', (size_t)merge->length) : NULL;
    if (!space)
        return 0;
    part[0] = text;
    part[1] = space + 1;
    length[0] = space - text;
    length[1] = merge->length - length[0] - 1;
    return !memchr(part[1], ' ', (size_t)length[1]);
}

/* The id of the token that is the concatenation of two others. */
static ptq_status find_result(const struct bpe *b, const char *const part[2],
                              const int64_t length[2], int32_t *id)
{
    char *both = ptqi_alloc(b->context, length[0] + length[1], 1);
    if (!both)
        return PTQ_ERROR_MEMORY;
    memcpy(both, part[0], (size_t)length[0]);
    memcpy(both + length[0], part[1], (size_t)length[1]);
    *id = vocabulary_id(b->vocabulary, both, length[0] + length[1]);
    ptqi_free(b->context, both);
    return PTQ_OK;
}

/* Whether the token may stand for characters that its text does not show. */
static int is_substitute(const struct bpe *b, int32_t id, const char *text, int64_t length)
{
    return id == b->unknown_id || (length == 6 && !memcmp(text, "<0x", 3));
}

/*
 * Remembers the characters on both sides of a merge. A merge that joins substitutes for characters
 * says nothing about what may be joined, so then no text is cut.
 */
static void add_joint(struct bpe *b, const char *const part[2], const int64_t length[2],
                      int32_t left, int32_t right)
{
    int64_t at = -1;
    int last = 1, valid;
    if (!length[0] || !length[1] || is_substitute(b, left, part[0], length[0]) ||
        is_substitute(b, right, part[1], length[1])) {
        b->cannot_cut = 1;
        return;
    }
    while (last < length[0] && ((uint8_t)part[0][length[0] - last] & 0xc0) == 0x80)
        last++;
    const int32_t before = bpe_character(b, part[0] + length[0] - last, last);
    const int32_t behind =
        bpe_character(b, part[1], ptqi_utf8_sequence(part[1], length[1], &valid));
    const uint64_t hash = bpe_pair_hash(&b->joints, before, behind);
    if (before >= 0 && behind >= 0 && !ptqi_table_next(&b->joints, hash, &at))
        ptqi_table_add(&b->joints, hash, 0);
}

static ptq_status add_merge(struct bpe *b, const struct ptqi_json *merge, int32_t rank)
{
    const char *part[2];
    int64_t length[2];
    int32_t result;
    if (!split_merge(merge, part, length))
        return bad_merge(b->context, rank, "is not a pair of tokens");
    int32_t left = vocabulary_id(b->vocabulary, part[0], length[0]);
    int32_t right = vocabulary_id(b->vocabulary, part[1], length[1]);
    PTQI_TRY(find_result(b, part, length, &result));
    if (left < 0 || right < 0 || result < 0)
        return bad_merge(b->context, rank, "has a part or a result that is not in the vocabulary");
    add_joint(b, part, length, left, right);
    const uint64_t hash = bpe_pair_hash(&b->merges, left, right);
    const int64_t item = (int64_t)rank << 32 | result;
    int64_t at = -1;
    struct ptqi_slot *slot = ptqi_table_next(&b->merges, hash, &at);
    if (slot)
        slot->item = item; /* duplicate pair: the last one counts */
    else
        ptqi_table_add(&b->merges, hash, item);
    return PTQ_OK;
}

static ptq_status load_merges(struct bpe *b, const struct ptqi_json *merges)
{
    int32_t rank = 0;
    if (!merges || merges->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(b->context, PTQ_ERROR_FORMAT, "the model has no list of merges");
    ptqi_table_begin(&b->merges, b->context);
    PTQI_TRY(ptqi_table_reserve(&b->merges, merges->count));
    ptqi_table_begin(&b->joints, b->context);
    PTQI_TRY(ptqi_table_reserve(&b->joints, merges->count));
    for (const struct ptqi_json *merge = merges->first; merge; merge = merge->next) {
        const char *text = ptqi_json_string(merge);
        if (text && !strncmp(text, "#version", 8))
            continue; /* the first line of the merges.txt that the list was made from */
        PTQI_TRY(add_merge(b, merge, rank++));
    }
    return PTQ_OK;
}

static void load_characters(struct bpe *b)
{
    for (int i = 0; i < BPE_SMALL; i++) {
        char text[4];
        b->small_ids[i] = vocabulary_id(b->vocabulary, text, ptqi_utf8_put(text, (uint32_t)i));
    }
    for (int i = 0; i < 256; i++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", i);
        b->byte_ids[i] = vocabulary_id(b->vocabulary, text, 6);
    }
}

static ptq_status load_unknown(struct bpe *b, const struct ptqi_json *unknown)
{
    b->unknown_id = -1;
    if (field_absent(unknown))
        return PTQ_OK;
    if (!ptqi_json_string(unknown))
        return ptqi_fail(b->context, PTQ_ERROR_FORMAT, "\"unk_token\" should be a string");
    b->unknown_id = vocabulary_id(b->vocabulary, unknown->text, unknown->length);
    b->unknown_is_missing = b->unknown_id < 0;
    return PTQ_OK;
}

static int absent_or_empty(const struct ptqi_json *value)
{
    return field_absent(value) || field_is(value, "");
}

/* Rejects options that would give other tokens than plain BPE. */
static ptq_status check_model(ptq_context *context, const struct ptqi_json *model)
{
    const struct ptqi_json *dropout = ptqi_json_get(model, "dropout");
    if (!field_absent(dropout) && (dropout->kind != PTQI_JSON_NUMBER || dropout->number != 0))
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "\"dropout\" is not supported");
    if (!absent_or_empty(ptqi_json_get(model, "continuing_subword_prefix")) ||
        !absent_or_empty(ptqi_json_get(model, "end_of_word_suffix")))
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "prefixes and suffixes of subwords are not supported");
    return PTQ_OK;
}

ptq_status bpe_load(ptq_context *context, const struct ptqi_json *model,
                    const struct vocabulary *vocabulary, struct bpe *b)
{
    memset(b, 0, sizeof *b);
    b->context = context;
    b->vocabulary = vocabulary;
    PTQI_TRY(check_model(context, model));
    PTQI_TRY(field_flag(context, model, "fuse_unk", 0, &b->fuse_unknown));
    PTQI_TRY(field_flag(context, model, "ignore_merges", 0, &b->ignore_merges));
    PTQI_TRY(field_flag(context, model, "byte_fallback", 0, &b->byte_fallback));
    load_characters(b);
    PTQI_TRY(load_unknown(b, ptqi_json_get(model, "unk_token")));
    return load_merges(b, ptqi_json_get(model, "merges"));
}

void bpe_free(struct bpe *b)
{
    if (b->context) {
        ptqi_table_end(&b->merges);
        ptqi_table_end(&b->joints);
    }
    memset(b, 0, sizeof *b);
}
