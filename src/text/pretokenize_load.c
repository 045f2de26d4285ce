/*
 * Loads "pre_tokenizer" of a tokenizer.json for pretokenize.c.
 */
#include <string.h>
#include "base/utf8.h"
#include "field.h"
#include "pretokenize.h"

/* GPT-2's, which ByteLevel has built in. */
static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                           "\\s+(?!\\S)|\\s+";

static ptq_status add_step(struct pretokenizer *p, enum pretokenize_kind kind,
                           struct pretokenize_step **step)
{
    if (p->count == PRETOKENIZE_STEPS)
        return ptqi_fail(p->context, PTQ_ERROR_UNSUPPORTED,
                         "more than %d pre-tokenizers are not supported", PRETOKENIZE_STEPS);
    *step = p->steps + p->count++;
    (*step)->kind = kind;
    return PTQ_OK;
}

static ptq_status load_split(struct pretokenizer *p, const struct ptqi_json *json)
{
    struct pretokenize_step *step = NULL;
    PTQI_TRY(add_step(p, PRETOKENIZE_SPLIT, &step));
    return split_load(p->context, json, &step->split);
}

static ptq_status load_digits(struct pretokenizer *p, const struct ptqi_json *json)
{
    struct pretokenize_step *step = NULL;
    int individual;
    PTQI_TRY(field_flag(p->context, json, "individual_digits", 0, &individual));
    PTQI_TRY(add_step(p, PRETOKENIZE_SPLIT, &step));
    step->split.behavior = individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    return regex_numeric(p->context, &step->split.regex);
}

static ptq_status load_byte_level(struct pretokenizer *p, const struct ptqi_json *json)
{
    struct pretokenize_step *step = NULL;
    int add_space, use_regex;
    PTQI_TRY(field_flag(p->context, json, "add_prefix_space", -1, &add_space));
    PTQI_TRY(field_flag(p->context, json, "use_regex", 1, &use_regex));
    if (add_space)
        PTQI_TRY(add_step(p, PRETOKENIZE_SPACE, &step));
    if (use_regex) {
        PTQI_TRY(add_step(p, PRETOKENIZE_SPLIT, &step));
        PTQI_TRY(regex_compile(p->context, gpt2, sizeof gpt2 - 1, &step->split.regex));
    }
    return add_step(p, PRETOKENIZE_BYTES, &step);
}

static ptq_status load_scheme(ptq_context *context, const struct ptqi_json *json,
                              struct pretokenize_step *step)
{
    static const char *const schemes[] = {"always", "first", "never"};
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *scheme = ptqi_json_get(json, "prepend_scheme");
    int i = 0, add_space;
    PTQI_TRY(field_flag(context, json, "add_prefix_space", 1, &add_space)); /* the old form */
    while (scheme && i < 3 && !field_is(scheme, schemes[i]))
        i++;
    if (i == 3 || (!add_space && i != PREPEND_NEVER))
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "Metaspace with the prepend_scheme \"%s\"%s is not supported",
                         field_quote(scheme, quote), add_space ? "" : " without a prefix space");
    step->scheme = (enum prepend_scheme)i;
    return PTQ_OK;
}

static ptq_status load_metaspace(struct pretokenizer *p, const struct ptqi_json *json)
{
    const struct ptqi_json *text = ptqi_json_get(json, "replacement");
    struct pretokenize_step *step = NULL;
    int split, valid = 0;
    PTQI_TRY(field_flag(p->context, json, "split", 1, &split));
    if (!ptqi_json_string(text) || !text->length ||
        ptqi_utf8_sequence(text->text, text->length, &valid) != text->length)
        return ptqi_fail(p->context, PTQ_ERROR_FORMAT,
                         "the \"replacement\" of a Metaspace should be one character");
    PTQI_TRY(add_step(p, PRETOKENIZE_METASPACE, &step));
    memcpy(step->replacement, text->text, (size_t)text->length);
    step->replacement_length = text->length;
    PTQI_TRY(load_scheme(p->context, json, step));
    if (!split)
        return PTQ_OK;
    PTQI_TRY(add_step(p, PRETOKENIZE_SPLIT, &step));
    step->split.behavior = SPLIT_MERGED_WITH_NEXT;
    return regex_literal(p->context, text->text, text->length, &step->split.regex);
}

static ptq_status load_sequence(struct pretokenizer *p, const struct ptqi_json *json);

static const struct {
    const char *type;
    ptq_status (*load)(struct pretokenizer *p, const struct ptqi_json *json);
} types[] = {
    {"Split", load_split},         {"Digits", load_digits},     {"ByteLevel", load_byte_level},
    {"Metaspace", load_metaspace}, {"Sequence", load_sequence},
};

static ptq_status load_one(struct pretokenizer *p, const struct ptqi_json *json)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *type = ptqi_json_get(json, "type");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (field_is(type, types[i].type))
            return types[i].load(p, json);
    return ptqi_fail(p->context, PTQ_ERROR_UNSUPPORTED, "the pre-tokenizer \"%s\" is not supported",
                     field_quote(type, quote));
}

static ptq_status load_sequence(struct pretokenizer *p, const struct ptqi_json *json)
{
    const struct ptqi_json *list = ptqi_json_get(json, "pretokenizers");
    if (!list || list->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(p->context, PTQ_ERROR_FORMAT, "a Sequence without \"pretokenizers\"");
    for (const struct ptqi_json *item = list->first; item; item = item->next)
        PTQI_TRY(load_one(p, item));
    return PTQ_OK;
}

ptq_status pretokenizer_load(ptq_context *context, const struct ptqi_json *json,
                             struct pretokenizer *p)
{
    memset(p, 0, sizeof *p);
    p->context = context;
    return field_absent(json) ? PTQ_OK : load_one(p, json);
}

void pretokenizer_free(struct pretokenizer *p)
{
    for (int i = 0; i < p->count; i++)
        regex_free(&p->steps[i].split.regex);
    p->count = 0;
}

int pretokenizer_is_byte_level(const struct pretokenizer *p)
{
    return p->count && p->steps[p->count - 1].kind == PRETOKENIZE_BYTES;
}
