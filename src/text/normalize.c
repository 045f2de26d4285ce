#include "normalize.h"
#include <string.h>
#include "field.h"
#include "unicode.h"

static ptq_status apply_prepend(const struct normalizer *n, const struct normalize_step *step,
                                const struct buffer *in, struct buffer *out)
{
    PTQI_TRY(buffer_append(n->context, out, step->content.bytes, step->content.length));
    return buffer_append(n->context, out, in->bytes, in->length);
}

static ptq_status apply_replace(const struct normalizer *n, const struct normalize_step *step,
                                const struct buffer *in, struct buffer *out)
{
    const char *at = in->bytes, *end = in->bytes + in->length, *match, *match_end;
    while ((match = regex_find(&step->regex, in->bytes, end, at, &match_end)) != NULL) {
        PTQI_TRY(buffer_append(n->context, out, at, match - at));
        PTQI_TRY(buffer_append(n->context, out, step->content.bytes, step->content.length));
        at = match_end;
    }
    return buffer_append(n->context, out, at, end - at);
}

static ptq_status apply_lowercase(const struct normalizer *n, const struct normalize_step *step,
                                  const struct buffer *in, struct buffer *out)
{
    (void)step;
    /* The longest lower case has three bytes for two. */
    PTQI_TRY(buffer_reserve(n->context, out, 2 * in->length));
    for (const char *at = in->bytes; at < in->bytes + in->length;)
        out->length += unicode_put_lower(out->bytes + out->length, ptqi_utf8_next(&at));
    return PTQ_OK;
}

static ptq_status apply_form(const struct normalizer *n, const struct normalize_step *step,
                             const struct buffer *in, struct buffer *out)
{
    return composer_normalize(&n->composer, in->bytes, in->length, step->form, out);
}

static ptq_status load_content(struct normalizer *n, const struct ptqi_json *json, const char *name,
                               struct normalize_step *step)
{
    const struct ptqi_json *text = ptqi_json_get(json, name);
    if (!ptqi_json_string(text))
        return ptqi_fail(n->context, PTQ_ERROR_FORMAT, "\"%s\" of a normalizer should be a string",
                         name);
    return buffer_append(n->context, &step->content, text->text, text->length);
}

static ptq_status load_prepend(struct normalizer *n, const struct ptqi_json *json,
                               struct normalize_step *step)
{
    return load_content(n, json, "prepend", step);
}

static ptq_status load_replace(struct normalizer *n, const struct ptqi_json *json,
                               struct normalize_step *step)
{
    PTQI_TRY(load_content(n, json, "content", step));
    return split_load_pattern(n->context, ptqi_json_get(json, "pattern"), &step->regex);
}

static ptq_status load_form(struct normalizer *n, const struct ptqi_json *json,
                            struct normalize_step *step)
{
    const struct ptqi_json *type = ptqi_json_get(json, "type");
    if (field_is(type, "NFC") || field_is(type, "NFKC"))
        step->form |= FORM_COMPOSED;
    if (field_is(type, "NFKC") || field_is(type, "NFKD"))
        step->form |= FORM_COMPATIBLE;
    return n->composer.context ? PTQ_OK : composer_begin(n->context, &n->composer);
}

static const struct {
    const char *type;
    ptq_status (*load)(struct normalizer *n, const struct ptqi_json *json,
                       struct normalize_step *step); /* NULL: nothing to load */
    ptq_status (*apply)(const struct normalizer *n, const struct normalize_step *step,
                        const struct buffer *in, struct buffer *out);
} types[] = {
    {"Prepend", load_prepend, apply_prepend}, {"Replace", load_replace, apply_replace},
    {"Lowercase", NULL, apply_lowercase},     {"NFC", load_form, apply_form},
    {"NFD", load_form, apply_form},           {"NFKC", load_form, apply_form},
    {"NFKD", load_form, apply_form},
};

static ptq_status load_step(struct normalizer *n, const struct ptqi_json *json, size_t type)
{
    if (n->count == NORMALIZE_STEPS)
        return ptqi_fail(n->context, PTQ_ERROR_UNSUPPORTED,
                         "more than %d normalizers are not supported", NORMALIZE_STEPS);
    struct normalize_step *step = n->steps + n->count++;
    step->apply = types[type].apply;
    return types[type].load ? types[type].load(n, json, step) : PTQ_OK;
}

static ptq_status load_one(struct normalizer *n, const struct ptqi_json *json)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *type = ptqi_json_get(json, "type");
    const struct ptqi_json *list = ptqi_json_get(json, "normalizers");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (field_is(type, types[i].type))
            return load_step(n, json, i);
    if (!field_is(type, "Sequence"))
        return ptqi_fail(n->context, PTQ_ERROR_UNSUPPORTED,
                         "the normalizer \"%s\" is not supported", field_quote(type, quote));
    if (!list || list->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(n->context, PTQ_ERROR_FORMAT, "a Sequence without \"normalizers\"");
    for (const struct ptqi_json *item = list->first; item; item = item->next)
        PTQI_TRY(load_one(n, item));
    return PTQ_OK;
}

ptq_status normalizer_load(ptq_context *context, const struct ptqi_json *json, struct normalizer *n)
{
    memset(n, 0, sizeof *n);
    n->context = context;
    return field_absent(json) ? PTQ_OK : load_one(n, json);
}

void normalizer_free(struct normalizer *n)
{
    for (int i = 0; i < n->count; i++) {
        regex_free(&n->steps[i].regex);
        buffer_free(n->context, &n->steps[i].content);
    }
    n->count = 0;
    composer_end(&n->composer);
}

ptq_status normalize(const struct normalizer *n, struct buffer *text, struct buffer *other)
{
    for (int i = 0; i < n->count && text->length; i++) {
        const struct buffer in = *text;
        other->length = 0;
        PTQI_TRY(n->steps[i].apply(n, n->steps + i, &in, other));
        *text = *other;
        *other = in;
    }
    return PTQ_OK;
}
