#include "model/gguf_metadata.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/json.h"

struct gguf_key gguf_key(const struct gguf_metadata *m, const char *key)
{
    struct gguf_key whole;
    snprintf(whole.text, sizeof whole.text, "%.60s.%.90s", m->architecture, key);
    return whole;
}

int gguf_has(const struct gguf_metadata *m, const char *key)
{
    return ptq_store_metadata(m->store, gguf_key(m, key).text) != NULL;
}

const char *gguf_text(const struct gguf_metadata *m, const char *key)
{
    const struct gguf_key whole = gguf_key(m, key);
    const char *type = ptq_store_metadata_type(m->store, whole.text);
    return type && !strcmp(type, "str") ? ptq_store_metadata(m->store, whole.text) : NULL;
}

double gguf_number(const struct gguf_metadata *m, const char *key, double fallback)
{
    const struct gguf_key whole = gguf_key(m, key);
    const char *type = ptq_store_metadata_type(m->store, whole.text);
    const char *value = ptq_store_metadata(m->store, whole.text);
    double number;
    if (!type || !strcmp(type, "str"))
        return fallback;
    if (!strcmp(type, "bool"))
        return *value == 't';
    return ptqi_parse_number(value, (int64_t)strlen(value), &number) ? number : fallback;
}

ptq_status gguf_refuse(const struct gguf_metadata *m, const char *key, const char *problem)
{
    return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED, "%s: %s %s", m->path, gguf_key(m, key).text,
                     problem);
}
