#include "template.h"
#include <string.h>
#include "field.h"

static ptq_status add_id(ptq_context *context, const struct ptqi_json *json, int32_t *ids,
                         int *count)
{
    int64_t id;
    if (!ptqi_json_integer(json, &id) || id < 0 || id >= INT32_MAX)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "a token of the post-processor has no id");
    if (*count == TEMPLATE_IDS)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "a template of more than %d tokens is not supported", TEMPLATE_IDS);
    ids[(*count)++] = (int32_t)id;
    return PTQ_OK;
}

/* Puts the ids of part around those of t: a later post-processor gets what the earlier ones made.
 */
static ptq_status wrap(ptq_context *context, struct template *t, const struct template *part)
{
    struct template both = *part;
    if (t->before_count + part->before_count > TEMPLATE_IDS ||
        t->behind_count + part->behind_count > TEMPLATE_IDS)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "a template of more than %d tokens is not supported", TEMPLATE_IDS);
    memcpy(both.before + part->before_count, t->before,
           sizeof *t->before * (size_t)t->before_count);
    memcpy(both.behind, t->behind, sizeof *t->behind * (size_t)t->behind_count);
    memcpy(both.behind + t->behind_count, part->behind,
           sizeof *t->behind * (size_t)part->behind_count);
    both.before_count += t->before_count;
    both.behind_count += t->behind_count;
    *t = both;
    return PTQ_OK;
}

/* Adds the ids of {"SpecialToken": {"id": name}}, which are listed elsewhere. */
static ptq_status add_special(ptq_context *context, const struct ptqi_json *item,
                              const struct ptqi_json *tokens, int32_t *ids, int *count)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *name = ptqi_json_get(ptqi_json_get(item, "SpecialToken"), "id");
    const struct ptqi_json *token =
        ptqi_json_string(name) ? ptqi_json_get(tokens, name->text) : NULL;
    const struct ptqi_json *list = ptqi_json_get(token, "ids");
    if (!list || list->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "the template has no ids for \"%s\"",
                         field_quote(name, quote));
    for (const struct ptqi_json *id = list->first; id; id = id->next)
        PTQI_TRY(add_id(context, id, ids, count));
    return PTQ_OK;
}

static ptq_status load_template(ptq_context *context, const struct ptqi_json *json,
                                struct template *t)
{
    const struct ptqi_json *single = ptqi_json_get(json, "single");
    const struct ptqi_json *tokens = ptqi_json_get(json, "special_tokens");
    struct template part = {.before_count = 0};
    int texts = 0;
    if (!single || single->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "a TemplateProcessing without \"single\"");
    for (const struct ptqi_json *item = single->first; item; item = item->next) {
        if (field_is(ptqi_json_get(ptqi_json_get(item, "Sequence"), "id"), "A"))
            texts++;
        else
            PTQI_TRY(add_special(context, item, tokens, texts ? part.behind : part.before,
                                 texts ? &part.behind_count : &part.before_count));
    }
    if (texts != 1)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "a template with the text %d times is not supported", texts);
    return wrap(context, t, &part);
}

/* BertProcessing and RobertaProcessing: {"cls": [text, id], "sep": [text, id]}. */
static ptq_status load_bert(ptq_context *context, const struct ptqi_json *json, struct template *t)
{
    const struct ptqi_json *cls = ptqi_json_get(json, "cls"), *sep = ptqi_json_get(json, "sep");
    struct template part = {.before_count = 0};
    if (!cls || cls->count != 2 || !sep || sep->count != 2)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "\"cls\" and \"sep\" should have an id");
    PTQI_TRY(add_id(context, cls->first->next, part.before, &part.before_count));
    PTQI_TRY(add_id(context, sep->first->next, part.behind, &part.behind_count));
    return wrap(context, t, &part);
}

/* ByteLevel only changes offsets. */
static ptq_status load_nothing(ptq_context *context, const struct ptqi_json *json,
                               struct template *t)
{
    (void)context;
    (void)json;
    (void)t;
    return PTQ_OK;
}

static ptq_status load_sequence(ptq_context *context, const struct ptqi_json *json,
                                struct template *t);

static const struct {
    const char *type;
    ptq_status (*load)(ptq_context *context, const struct ptqi_json *json, struct template *t);
} types[] = {
    {"TemplateProcessing", load_template}, {"BertProcessing", load_bert},
    {"RobertaProcessing", load_bert},      {"ByteLevel", load_nothing},
    {"Sequence", load_sequence},
};

static ptq_status load_one(ptq_context *context, const struct ptqi_json *json, struct template *t)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *type = ptqi_json_get(json, "type");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (field_is(type, types[i].type))
            return types[i].load(context, json, t);
    return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "the post-processor \"%s\" is not supported",
                     field_quote(type, quote));
}

static ptq_status load_sequence(ptq_context *context, const struct ptqi_json *json,
                                struct template *t)
{
    const struct ptqi_json *list = ptqi_json_get(json, "processors");
    if (!list || list->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "a Sequence without \"processors\"");
    for (const struct ptqi_json *item = list->first; item; item = item->next)
        PTQI_TRY(load_one(context, item, t));
    return PTQ_OK;
}

ptq_status template_load(ptq_context *context, const struct ptqi_json *json, struct template *t)
{
    memset(t, 0, sizeof *t);
    return field_absent(json) ? PTQ_OK : load_one(context, json, t);
}
