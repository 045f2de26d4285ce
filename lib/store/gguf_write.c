/*
 * Writes a GGUF file, version 3: the header, then the data of all tensors, in the order in which
 * they were added.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "gguf.h"

enum { MOST_AXES = 4, MOST_NAME = 63 }; /* of a tensor in ggml */

/* The header while it grows. The first error is kept. */
struct header {
    ptq_store *store;
    uint8_t *bytes;
    int64_t length, capacity;
    ptq_status status;
};

static void append(struct header *h, const void *data, int64_t bytes)
{
    if (!h->status)
        h->status = ptqi_grow(h->store->context, (void **)&h->bytes, h->length, &h->capacity,
                              h->length + bytes + 1, 1);
    if (h->status || !bytes)
        return;
    memcpy(h->bytes + h->length, data, (size_t)bytes);
    h->length += bytes;
}

/* A little-endian integer of so many bytes. */
static void append_integer(struct header *h, uint64_t value, int32_t bytes)
{
    uint8_t text[8];
    for (int i = 0; i < bytes; i++)
        text[i] = (uint8_t)(value >> 8 * i);
    append(h, text, bytes);
}

static void append_string(struct header *h, const char *text, int64_t length)
{
    append_integer(h, (uint64_t)length, 8);
    append(h, text, length);
}

static void fail(struct header *h, const char *name, const char *problem)
{
    if (!h->status)
        h->status = ptqi_fail(h->store->context, PTQ_ERROR_FORMAT, "%s: %.200s: %s", h->store->path,
                              name, problem);
}

/* The value of a number as an integer; returns 0 if it is none. The spelling has all digits, the
 * number only 53 bits. */
static int integer_value(const struct ptqi_json *value, int64_t *out)
{
    if (strspn(value->text, "-0123456789") >= (size_t)value->length) {
        errno = 0;
        *out = strtoll(value->text, NULL, 10);
        return !errno;
    }
    if (!(value->number >= -0x1p63 && value->number < 0x1p63))
        return 0;
    *out = (int64_t)value->number;
    return value->number == (double)*out;
}

/* Whether a type of integers has a value. */
static int is_in_range(uint32_t type, int64_t value)
{
    const int is_signed = type == PTQI_GGUF_I8 || type == PTQI_GGUF_I16 || type == PTQI_GGUF_I32 ||
                          type == PTQI_GGUF_I64;
    const int unused = 64 - 8 * ptqi_gguf_value_type(type)->bytes;
    const int64_t highest = INT64_MAX >> (unused && !is_signed ? unused - 1 : unused);
    return value <= highest && value >= (is_signed ? -highest - 1 : 0);
}

/* A number or a bool. */
static void append_number(struct header *h, const char *key, uint32_t type,
                          const struct ptqi_json *value)
{
    const enum ptqi_json_kind kind = type == PTQI_GGUF_BOOL ? PTQI_JSON_BOOL : PTQI_JSON_NUMBER;
    const int32_t bytes = ptqi_gguf_value_type(type)->bytes;
    const float single = (float)value->number;
    int64_t integer = value->number != 0; /* of a bool */
    uint64_t bits = 0;
    uint32_t low;
    if (value->kind != kind)
        fail(h, key, "its value is not of its type");
    else if (type == PTQI_GGUF_F64)
        memcpy(&bits, &value->number, sizeof bits);
    else if (type == PTQI_GGUF_F32) {
        memcpy(&low, &single, sizeof low);
        bits = low;
    } else if (type != PTQI_GGUF_BOOL &&
               !(integer_value(value, &integer) && is_in_range(type, integer)))
        fail(h, key, "its value is not an integer in the range of its type");
    else
        bits = (uint64_t)integer;
    append_integer(h, bits, bytes);
}

static void append_element(struct header *h, const char *key, uint32_t type,
                           const struct ptqi_json *value)
{
    if (type != PTQI_GGUF_STRING)
        append_number(h, key, type, value);
    else if (value->kind != PTQI_JSON_STRING)
        fail(h, key, "its value is not of its type");
    else
        append_string(h, value->text, value->length);
}

/* A value other than a string, from its text. */
static void append_parsed(struct header *h, const struct ptqi_pair *pair, uint32_t type,
                          int is_array)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    if (!h->status)
        h->status = ptqi_json_parse(h->store->context, pair->value, (int64_t)strlen(pair->value),
                                    pair->key, &document, &root);
    if (h->status)
        return;
    if (!is_array) {
        append_number(h, pair->key, type, root);
    } else if (root->kind == PTQI_JSON_ARRAY) {
        append_integer(h, PTQI_GGUF_ARRAY, 4);
        append_integer(h, type, 4);
        append_integer(h, (uint64_t)root->count, 8);
        for (const struct ptqi_json *item = root->first; item; item = item->next)
            append_element(h, pair->key, type, item);
    } else {
        fail(h, pair->key, "its value is not an array");
    }
    ptqi_json_free(document);
}

static void append_pair(struct header *h, const struct ptqi_pair *pair)
{
    uint32_t type = 0;
    int is_array = 0;
    if (!ptqi_gguf_value_named(pair->type, &type, &is_array)) {
        fail(h, pair->key, "its value has an unknown type");
        return;
    }
    append_string(h, pair->key, (int64_t)strlen(pair->key));
    if (!is_array)
        append_integer(h, type, 4);
    if (type == PTQI_GGUF_STRING && !is_array)
        append_string(h, pair->value, (int64_t)strlen(pair->value));
    else
        append_parsed(h, pair, type, is_array);
}

static uint64_t padded(uint64_t bytes, uint64_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

/* Returns the offset behind the tensor's data. */
static uint64_t append_tensor(struct header *h, const struct ptqi_entry *e, uint64_t offset,
                              uint64_t alignment)
{
    const struct ptqi_gguf_tensor_type *type = ptqi_gguf_tensor_named(e->dtype_name);
    if (!type) {
        fail(h, e->name, "GGUF has no such element type");
        return offset;
    }
    if (e->rank > MOST_AXES || strlen(e->name) > MOST_NAME)
        fail(h, e->name, "ggml has no more than 4 axes, and names of at most 63 bytes");
    if (e->bytes > INT64_MAX / 4 - (int64_t)offset)
        fail(h, e->name, "more data than a file can hold");
    append_string(h, e->name, (int64_t)strlen(e->name));
    append_integer(h, (uint64_t)e->rank, 4);
    for (int32_t axis = e->rank; axis-- > 0;)
        append_integer(h, (uint64_t)e->shape[axis], 8);
    append_integer(h, type->id, 4);
    append_integer(h, offset, 8);
    return padded(offset + (uint64_t)e->bytes, alignment);
}

/* The whole header, up to where the data begin. */
static void make_header(struct header *h, uint64_t alignment)
{
    const ptq_store *s = h->store;
    uint64_t offset = 0;
    append(h, "GGUF", 4);
    append_integer(h, 3, 4);
    append_integer(h, (uint64_t)s->count, 8);
    append_integer(h, (uint64_t)s->metadata_count, 8);
    for (int64_t i = 0; i < s->metadata_count; i++)
        append_pair(h, &s->metadata[i]);
    for (int64_t i = 0; i < s->count; i++)
        offset = append_tensor(h, &s->entries[i], offset, alignment);
    while (!h->status && (uint64_t)h->length % alignment)
        append(h, "", 1);
}

/* Data, then zeros up to a multiple of the alignment. */
static ptq_status write_data(struct ptqi_output *output, const struct ptqi_entry *e,
                             uint64_t alignment)
{
    static const uint8_t zeros[64];
    uint64_t left = padded((uint64_t)e->bytes, alignment) - (uint64_t)e->bytes;
    PTQI_TRY(ptqi_output_write(output, e->data, e->bytes));
    for (uint64_t part; left; left -= part) {
        part = left < sizeof zeros ? left : sizeof zeros;
        PTQI_TRY(ptqi_output_write(output, zeros, (int64_t)part));
    }
    return PTQ_OK;
}

ptq_status ptqi_gguf_write(ptq_store *s)
{
    struct header h = {.store = s};
    struct ptqi_output output;
    uint64_t alignment;
    PTQI_TRY(ptqi_gguf_alignment(s, s->path, &alignment));
    make_header(&h, alignment);
    ptq_status status = h.status;
    if (!status)
        status = ptqi_output_begin(s->context, s->path, &output);
    if (status) {
        ptqi_free(s->context, h.bytes);
        return status;
    }
    status = ptqi_output_write(&output, h.bytes, h.length);
    for (int64_t i = 0; i < s->count && !status; i++)
        status = write_data(&output, &s->entries[i], alignment);
    ptqi_free(s->context, h.bytes);
    if (!status)
        return ptqi_output_commit(&output);
    ptqi_output_drop(&output);
    return status;
}
