#include "format/foreign_settings.h"
#include <stdio.h>
#include <strings.h>

const char *ptqi_setting_text(const ptq_store *store, const char *name)
{
    return ptqi_json_string(ptqi_json_get(store->settings, name));
}

int ptqi_setting_is(const ptq_store *store, const char *name, const char *value)
{
    const char *text = ptqi_setting_text(store, name);
    return text && !strcasecmp(text, value);
}

ptq_status ptqi_setting_integer(const ptq_store *store, const char *name, const char *other,
                                int64_t fallback, int64_t *value)
{
    const struct ptqi_json *found = ptqi_json_get(store->settings, name);
    if (!found)
        found = ptqi_json_get(store->settings, other);
    *value = fallback;
    if (!found || found->kind == PTQI_JSON_NULL || ptqi_json_integer(found, value))
        return PTQ_OK;
    return ptqi_fail(store->context, PTQ_ERROR_FORMAT, "%s: quantization_config: %s: no integer",
                     store->path, found->name);
}

ptq_status ptqi_setting_unsupported(const ptq_store *store, const char *name, const char *value)
{
    return ptqi_fail(store->context, PTQ_ERROR_UNSUPPORTED,
                     "%s: quantization_config: %s %.60s is not supported", store->path, name,
                     value);
}

static int is_empty(const struct ptqi_json *value)
{
    switch (value->kind) {
    case PTQI_JSON_NULL:
        return 1;
    case PTQI_JSON_BOOL:
        return value->number == 0;
    case PTQI_JSON_ARRAY:
    case PTQI_JSON_OBJECT:
        return value->count == 0;
    default:
        return 0;
    }
}

ptq_status ptqi_setting_refuse(const ptq_store *store, const struct ptqi_json *settings,
                               const char *name)
{
    const struct ptqi_json *value = ptqi_json_get(settings, name);
    if (!value || is_empty(value))
        return PTQ_OK;
    const char *text = ptqi_json_string(value);
    return ptqi_setting_unsupported(store, name, text ? text : "with a value");
}
