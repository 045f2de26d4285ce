#include "gguf/pairs.h"
#include <inttypes.h>
#include <stdio.h>
#include "base/context.h"

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

void gguf_put_integer(struct gguf_pairs *p, const char *key, int64_t value)
{
    put_number(p, key, "u32", value);
}

void gguf_put_signed(struct gguf_pairs *p, const char *key, int64_t value)
{
    put_number(p, key, "i32", value);
}

void gguf_put_real(struct gguf_pairs *p, const char *key, double value)
{
    char text[40];
    ptqi_format_number(text, sizeof text, (double)(float)value, 9);
    put(p, key, "f32", text);
}

void gguf_put_bool(struct gguf_pairs *p, const char *key, int value)
{
    put(p, key, "bool", value ? "true" : "false");
}

void gguf_put_text(struct gguf_pairs *p, const char *key, const char *value)
{
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
