#include "jinja/from_json.h"
#include <string.h>
#include "jinja/collection.h"
#include "jinja/strings.h"

/* Numbers with a fraction or an exponent are real. */
static ptq_status number(struct machine *m, const struct ptqi_json *json, struct value *out)
{
    const struct text spelling = {json->text, json->length};
    int64_t integer;
    for (int64_t i = 0; i < spelling.length; i++)
        if (strchr(".eE", spelling.bytes[i])) {
            *out = value_real(json->number);
            return PTQ_OK;
        }
    if (!text_to_integer(spelling, &integer))
        return machine_fail(m, PTQ_ERROR_BOUNDS, "an integer is too large");
    *out = value_integer(integer);
    return PTQ_OK;
}

static ptq_status array(struct machine *m, const struct ptqi_json *json, struct value *out)
{
    struct gatherer g = {0};
    for (const struct ptqi_json *item = json->first; item; item = item->next) {
        struct value v;
        PTQI_TRY(value_from_json(m, item, &v));
        PTQI_TRY(gather(m, &g, v));
    }
    return gathered(m, &g, VALUE_LIST, out);
}

static ptq_status object(struct machine *m, const struct ptqi_json *json, struct value *out)
{
    struct value dict;
    PTQI_TRY(make_dict(m, VALUE_DICT, &dict));
    for (const struct ptqi_json *item = json->first; item; item = item->next) {
        struct value v;
        PTQI_TRY(value_from_json(m, item, &v));
        PTQI_TRY(dict_set(m, dict.dict, value_string(item->name, item->name_length), v));
    }
    *out = dict;
    return PTQ_OK;
}

ptq_status value_from_json(struct machine *m, const struct ptqi_json *json, struct value *out)
{
    switch (json->kind) {
    case PTQI_JSON_NULL:
        *out = value_none();
        return PTQ_OK;
    case PTQI_JSON_BOOL:
        *out = value_bool(json->number != 0);
        return PTQ_OK;
    case PTQI_JSON_NUMBER:
        return number(m, json, out);
    case PTQI_JSON_STRING:
        *out = value_string(json->text, json->length);
        return PTQ_OK;
    case PTQI_JSON_ARRAY:
        return array(m, json, out);
    default:
        return object(m, json, out);
    }
}
