#include "gguf/pairs.h"
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/utf8.h"

static void put(struct gguf_pairs *p, const char *key, const char *type, const char *value)
{
    char whole[160];
    snprintf(whole, sizeof whole, "%s%s", *key == '.' ? p->architecture : "", key);
    if (!p->status)
        p->status = ptq_store_set_typed_metadata(p->store, whole, type, value);
}

static void put_number(struct gguf_pairs *p, const char *key, const char *type, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    put(p, key, type, text);
}

static void refuse(struct gguf_pairs *p, const char *key, const char *problem)
{
    if (!p->status)
        p->status = ptqi_fail(p->context, PTQ_ERROR_UNSUPPORTED, "GGUF cannot hold %s: %s",
                              *key == '.' ? key + 1 : key, problem);
}

static void put_within(struct gguf_pairs *p, const char *key, const char *type, int64_t least,
                       int64_t most, int64_t value)
{
    if (value < least || value > most)
        refuse(p, key, "it is not an integer of 32 bits");
    put_number(p, key, type, value);
}

void gguf_put_integer(struct gguf_pairs *p, const char *key, int64_t value)
{
    put_within(p, key, "u32", 0, UINT32_MAX, value);
}

void gguf_put_signed(struct gguf_pairs *p, const char *key, int64_t value)
{
    put_within(p, key, "i32", INT32_MIN, INT32_MAX, value);
}

void gguf_put_real(struct gguf_pairs *p, const char *key, double value)
{
    char text[40];
    if (!(fabs(value) <= (double)FLT_MAX))
        refuse(p, key, "it is not a number of 32 bits");
    ptqi_format_number(text, sizeof text, (double)(float)value, 9);
    put(p, key, "f32", text);
}

void gguf_put_bool(struct gguf_pairs *p, const char *key, int value)
{
    put(p, key, "bool", value ? "true" : "false");
}

void gguf_put_text(struct gguf_pairs *p, const char *key, const char *value)
{
    if (!ptqi_utf8_is_text(value, (int64_t)strlen(value)))
        refuse(p, key, "it is not UTF-8");
    put(p, key, "str", value);
}

void gguf_put_array(struct gguf_pairs *p, const char *key, const char *type,
                    struct ptqi_json_writer *w)
{
    if (!p->status)
        p->status = ptqi_json_finish(w);
    if (!p->status)
        put(p, key, type, w->text);
    ptqi_json_end(w);
}
