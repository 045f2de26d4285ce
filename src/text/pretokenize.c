#include "pretokenize.h"
#include "field.h"

#define ENDINGS "'s|'t|'re|'ve|'m|'ll|'d"
#define LLAMA(number)                                                                              \
    "(?i:" ENDINGS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" number "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"    \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* The regular expressions implemented in split.h, as tokenizer.json spells them. */
static const struct {
    const char *regex;
    split_function *piece_end;
} known[] = {
    {ENDINGS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", split_gpt2},
    {LLAMA("\\p{N}{1,3}"), split_llama3},
    {LLAMA("\\p{N}"), split_qwen2},
    /* ... 。 ， 、 । ۔ ، in UTF-8 */
    {" ?[^(\\s|[.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c])]"
     "+",
     split_bloom},
};

static ptq_status add_step(ptq_context *context, struct pretokenizer *p, split_function *piece_end,
                           int add_space)
{
    if (p->count == PRETOKENIZE_STEPS)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "more than %d pre-tokenizers",
                         PRETOKENIZE_STEPS);
    p->steps[p->count].piece_end = piece_end;
    p->steps[p->count].add_space = add_space;
    p->count++;
    return PTQ_OK;
}

static ptq_status add_split(ptq_context *context, const struct ptqi_json *json,
                            struct pretokenizer *p)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *pattern = ptqi_json_get(json, "pattern");
    const struct ptqi_json *regex = ptqi_json_get(pattern, "Regex");
    const struct ptqi_json *behavior = ptqi_json_get(json, "behavior");
    int invert;
    PTQI_TRY(field_flag(context, json, "invert", -1, &invert));
    if (invert)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "Split with \"invert\" is not supported");
    if (!field_is(behavior, "Isolated"))
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "Split with behavior \"%s\" is not supported, only Isolated",
                         field_quote(behavior, quote));
    if (!ptqi_json_string(regex))
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "Split without a Regex is not supported");
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
        if (field_is(regex, known[i].regex))
            return add_step(context, p, known[i].piece_end, 0);
    return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "Split by the Regex \"%s\" is not supported",
                     field_quote(regex, quote));
}

/* Adds one pre-tokenizer, which is not a Sequence. */
static ptq_status add(ptq_context *context, const struct ptqi_json *json, struct pretokenizer *p)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *type = ptqi_json_get(json, "type");
    int flag, use_regex;
    if (field_is(type, "Split"))
        return add_split(context, json, p);
    if (field_is(type, "Digits")) {
        PTQI_TRY(field_flag(context, json, "individual_digits", -1, &flag));
        return add_step(context, p, flag ? split_each_digit : split_digits, 0);
    }
    if (field_is(type, "ByteLevel")) {
        PTQI_TRY(field_flag(context, json, "add_prefix_space", -1, &flag));
        PTQI_TRY(field_flag(context, json, "use_regex", 1, &use_regex));
        return add_step(context, p, use_regex ? split_gpt2 : split_nowhere, flag);
    }
    return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "the pre-tokenizer \"%s\" is not supported",
                     field_quote(type, quote));
}

ptq_status pretokenizer_load(ptq_context *context, const struct ptqi_json *json,
                             struct pretokenizer *out)
{
    const struct ptqi_json *list, *last = json;
    out->count = 0;
    if (field_is(ptqi_json_get(json, "type"), "Sequence")) {
        list = ptqi_json_get(json, "pretokenizers");
        if (!list || list->kind != PTQI_JSON_ARRAY)
            return ptqi_fail(context, PTQ_ERROR_FORMAT, "a Sequence without \"pretokenizers\"");
        last = NULL;
        for (const struct ptqi_json *item = list->first; item; item = item->next) {
            /* After ByteLevel the text is in another alphabet, in which none of these would work.
             */
            if (field_is(ptqi_json_get(last, "type"), "ByteLevel"))
                return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                                 "a pre-tokenizer behind ByteLevel is not supported");
            PTQI_TRY(add(context, item, out));
            last = item;
        }
    } else if (!field_absent(json)) {
        PTQI_TRY(add(context, json, out));
    }
    if (!field_is(ptqi_json_get(last, "type"), "ByteLevel"))
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "only byte-level tokenizers are supported: the last pre-tokenizer should "
                         "be ByteLevel");
    return PTQ_OK;
}
