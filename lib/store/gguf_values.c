/*
 * Reads the metadata of a GGUF file: each value becomes text, an array or a number that of JSON.
 */
#include <stdio.h>
#include <string.h>
#include "base/utf8.h"
#include "gguf.h"

ptq_status ptqi_gguf_fail(const struct ptqi_gguf_cursor *c, const char *name, const char *problem)
{
    return ptqi_fail(c->store->context, PTQ_ERROR_FORMAT, "%s: %.200s%s%s", c->path, name,
                     *name ? ": " : "", problem);
}

/* The next bytes of the file. */
static ptq_status take(struct ptqi_gguf_cursor *c, uint64_t bytes, const uint8_t **data)
{
    *data = c->at;
    if (bytes > (uint64_t)(c->end - c->at))
        return ptqi_gguf_fail(c, "", "the header ends too early (truncated?)");
    c->at += bytes;
    return PTQ_OK;
}

/* A little-endian integer of up to 8 bytes. */
static uint64_t integer_at(const uint8_t *data, int32_t bytes)
{
    uint64_t value = 0;
    while (bytes-- > 0)
        value = value << 8 | data[bytes];
    return value;
}

ptq_status ptqi_gguf_u32(struct ptqi_gguf_cursor *c, uint32_t *value)
{
    const uint8_t *data;
    PTQI_TRY(take(c, 4, &data));
    *value = (uint32_t)integer_at(data, 4);
    return PTQ_OK;
}

ptq_status ptqi_gguf_u64(struct ptqi_gguf_cursor *c, uint64_t *value)
{
    const uint8_t *data;
    PTQI_TRY(take(c, 8, &data));
    *value = integer_at(data, 8);
    return PTQ_OK;
}

ptq_status ptqi_gguf_string(struct ptqi_gguf_cursor *c)
{
    uint64_t length;
    const uint8_t *data;
    PTQI_TRY(ptqi_gguf_u64(c, &length));
    PTQI_TRY(take(c, length, &data));
    if (!ptqi_utf8_is_text((const char *)data, (int64_t)length))
        return ptqi_gguf_fail(c, "", "a string has a zero byte, or is not UTF-8");
    PTQI_TRY(
        ptqi_grow(c->store->context, (void **)&c->text, 0, &c->capacity, (int64_t)length + 1, 1));
    memcpy(c->text, data, (size_t)length);
    c->text[length] = 0;
    return PTQ_OK;
}

/* A double or float, exactly or with as many digits as it takes to read it back. */
static ptq_status add_real(struct ptqi_gguf_cursor *c, double value, int digits,
                           struct ptqi_json_writer *w)
{
    if (value - value != 0)
        return ptqi_gguf_fail(c, "", "a number in the metadata is not finite");
    ptqi_json_add_number(w, NULL, value, digits);
    return PTQ_OK;
}

/* A signed integer whose highest bit is sign. */
static int64_t signed_value(uint64_t bits, uint64_t sign)
{
    return bits & sign ? -(int64_t)(~bits & (sign - 1)) - 1 : (int64_t)bits;
}

/* A number or bool. */
static ptq_status add_number(struct ptqi_gguf_cursor *c, uint32_t type, struct ptqi_json_writer *w)
{
    const int32_t bytes = ptqi_gguf_value_type(type)->bytes;
    const uint8_t *data;
    PTQI_TRY(take(c, (uint64_t)bytes, &data));
    const uint64_t bits = integer_at(data, bytes), sign = (uint64_t)1 << (8 * bytes - 1);
    const uint32_t low = (uint32_t)bits;
    float single;
    double real;
    switch (type) {
    case PTQI_GGUF_F32:
        memcpy(&single, &low, sizeof single);
        return add_real(c, (double)single, 9, w);
    case PTQI_GGUF_F64:
        memcpy(&real, &bits, sizeof real);
        return add_real(c, real, 17, w);
    case PTQI_GGUF_BOOL:
        if (bits > 1)
            return ptqi_gguf_fail(c, "", "a bool in the metadata is neither 0 nor 1");
        ptqi_json_add_bool(w, NULL, (int)bits);
        return PTQ_OK;
    case PTQI_GGUF_I8:
    case PTQI_GGUF_I16:
    case PTQI_GGUF_I32:
    case PTQI_GGUF_I64:
        ptqi_json_add_integer(w, NULL, signed_value(bits, sign));
        return PTQ_OK;
    default:
        if (bits > INT64_MAX)
            return ptqi_gguf_fail(c, "", "an integer in the metadata is too large");
        ptqi_json_add_integer(w, NULL, (int64_t)bits);
        return PTQ_OK;
    }
}

static ptq_status add_value(struct ptqi_gguf_cursor *c, uint32_t type, struct ptqi_json_writer *w)
{
    if (type != PTQI_GGUF_STRING)
        return add_number(c, type, w);
    PTQI_TRY(ptqi_gguf_string(c));
    ptqi_json_add_text(w, NULL, c->text);
    return w->status;
}

/* The elements of an array. Each takes bytes of the file, so that a false count ends soon. */
static ptq_status add_array(struct ptqi_gguf_cursor *c, uint32_t type, struct ptqi_json_writer *w)
{
    uint64_t count;
    PTQI_TRY(ptqi_gguf_u64(c, &count));
    ptqi_json_open(w, NULL, '[');
    for (uint64_t i = 0; i < count && !w->status; i++)
        PTQI_TRY(add_value(c, type, w));
    ptqi_json_close(w, ']');
    return PTQ_OK;
}

/* Writes the value of a key as text, and sets its type's name. */
static ptq_status read_value(struct ptqi_gguf_cursor *c, const char *key,
                             struct ptqi_json_writer *w, const char **type_name)
{
    uint32_t id;
    PTQI_TRY(ptqi_gguf_u32(c, &id));
    const struct ptqi_gguf_value_type *type = ptqi_gguf_value_type(id);
    if (!type)
        return ptqi_gguf_fail(c, key, "its value has an unknown type");
    *type_name = type->name;
    if (id != PTQI_GGUF_ARRAY)
        return id == PTQI_GGUF_STRING ? ptqi_gguf_string(c) : add_number(c, id, w);
    PTQI_TRY(ptqi_gguf_u32(c, &id));
    type = ptqi_gguf_value_type(id);
    if (!type || !type->array_name)
        return ptqi_gguf_fail(c, key, "it is an array of an unknown type, or of arrays");
    *type_name = type->array_name;
    return add_array(c, id, w);
}

ptq_status ptqi_gguf_pair(struct ptqi_gguf_cursor *c)
{
    struct ptqi_json_writer w;
    const char *type = NULL;
    PTQI_TRY(ptqi_gguf_string(c));
    if (ptqi_store_value(c->store, c->text))
        return ptqi_gguf_fail(c, c->text, "the key occurs twice");
    char *key = ptqi_copy_text(c->store->context, c->text, (int64_t)strlen(c->text));
    ptq_status status = key ? PTQ_OK : PTQ_ERROR_MEMORY;
    ptqi_json_begin(&w, c->store->context);
    if (!status)
        status = read_value(c, key, &w, &type);
    if (!status)
        status = ptqi_json_finish(&w);
    if (!status)
        status =
            ptqi_store_set_typed(c->store, key, type, !strcmp(type, "str") ? c->text : w.text, 0);
    ptqi_json_end(&w);
    ptqi_free(c->store->context, key);
    return status;
}
