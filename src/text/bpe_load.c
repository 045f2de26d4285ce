/*
 * Loads "model" of a tokenizer.json for bpe.c.
 */
#include "bpe.h"
#include <string.h>
#include "field.h"
#include "unicode.h"

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
    const uint64_t hash = bpe_pair_hash(b, left, right);
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
    for (const struct ptqi_json *merge = merges->first; merge; merge = merge->next) {
        const char *text = ptqi_json_string(merge);
        if (text && !strncmp(text, "#version", 8))
            continue; /* the first line of the merges.txt that the list was made from */
        PTQI_TRY(add_merge(b, merge, rank++));
    }
    return PTQ_OK;
}

/* Bytes that never occur in UTF-8 need no token. */
static int occurs(int byte)
{
    return byte < 0xf5 && byte != 0xc0 && byte != 0xc1;
}

static ptq_status load_bytes(struct bpe *b, const struct ptqi_json *unknown)
{
    int missing = 0;
    for (int byte = 0; byte < 256; byte++) {
        char text[4];
        int length = ptqi_utf8_put(text, unicode_from_byte((uint8_t)byte));
        b->byte_ids[byte] = vocabulary_id(b->vocabulary, text, length);
        missing += b->byte_ids[byte] < 0 && occurs(byte);
    }
    b->unknown_id = -1;
    if (field_absent(unknown))
        return PTQ_OK;
    if (!ptqi_json_string(unknown))
        return ptqi_fail(b->context, PTQ_ERROR_FORMAT, "\"unk_token\" should be a string");
    b->unknown_id = vocabulary_id(b->vocabulary, unknown->text, unknown->length);
    if (missing && b->unknown_id < 0)
        return ptqi_fail(b->context, PTQ_ERROR_FORMAT,
                         "the vocabulary lacks %d bytes and has no \"unk_token\" for them",
                         missing);
    return PTQ_OK;
}

static int absent_or_empty(const struct ptqi_json *value)
{
    return field_absent(value) || field_is(value, "");
}

/* Rejects options that would give other tokens than plain byte-level BPE. */
static ptq_status check_model(ptq_context *context, const struct ptqi_json *model)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *type = ptqi_json_get(model, "type");
    const struct ptqi_json *dropout = ptqi_json_get(model, "dropout");
    int byte_fallback;
    if (type && !field_is(type, "BPE")) /* old files have no type */
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "the model \"%s\" is not supported, only BPE", field_quote(type, quote));
    PTQI_TRY(field_flag(context, model, "byte_fallback", 0, &byte_fallback));
    if (byte_fallback)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "\"byte_fallback\" is not supported");
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
    PTQI_TRY(load_bytes(b, ptqi_json_get(model, "unk_token")));
    return load_merges(b, ptqi_json_get(model, "merges"));
}

void bpe_free(struct bpe *b)
{
    if (b->context)
        ptqi_table_end(&b->merges);
    memset(b, 0, sizeof *b);
}
