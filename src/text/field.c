#include "field.h"
#include <string.h>
#include "unicode.h"

int field_absent(const struct ptqi_json *value)
{
    return !value || value->kind == PTQI_JSON_NULL;
}

int field_is(const struct ptqi_json *value, const char *text)
{
    return ptqi_json_string(value) && value->length == (int64_t)strlen(text) &&
           !memcmp(value->text, text, (size_t)value->length);
}

ptq_status field_flag(ptq_context *context, const struct ptqi_json *object, const char *name,
                      int fallback, int *flag)
{
    const struct ptqi_json *value = ptqi_json_get(object, name);
    *flag = fallback;
    if (field_absent(value) && fallback >= 0)
        return PTQ_OK;
    if (!value || value->kind != PTQI_JSON_BOOL)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "\"%s\" should be true or false", name);
    *flag = value->number != 0;
    return PTQ_OK;
}

const char *field_quote(const struct ptqi_json *value, char buffer[FIELD_QUOTE_SIZE])
{
    const char *text = ptqi_json_string(value);
    int64_t length = text ? value->length : 0, used = 0;
    while (used < length) {
        int valid, size = ptqi_utf8_sequence(text + used, length - used, &valid);
        if (used + size >= FIELD_QUOTE_SIZE)
            break;
        memcpy(buffer + used, text + used, (size_t)size);
        if ((uint8_t)buffer[used] < ' ' || buffer[used] == 0x7f)
            buffer[used] = '?';
        used += size;
    }
    buffer[used] = 0;
    return buffer;
}
