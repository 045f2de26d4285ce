#include "jinja/functions.h"
#include <string.h>
#include "jinja/collection.h"
#include "jinja/print.h"

enum { LONGEST_RANGE = 100000 /* as in jinja2's sandbox */, LONGEST_DATE = 512 };

/* The message becomes that of the error. */
static ptq_status raise_exception(const struct call *c)
{
    struct text text;
    PTQI_TRY(text_of(c->m, &c->arguments.values[0], &text));
    return ptqi_fail(c->m->context, PTQ_ERROR_FORMAT, "%.*s",
                     (int)ptqi_min(text.length, PTQI_MESSAGE_SIZE), text.bytes);
}

/* Whether Python's strftime gives what C's does in the C locale. */
static int is_directive(char c)
{
    return c && strchr("aAbBcdHIjmMpSUwWxXyYZ%DeFGhgnrRtTuV", c);
}

static ptq_status strftime_now(const struct call *c)
{
    char format[LONGEST_DATE], *date;
    struct text text;
    PTQI_TRY(call_text(c, 0, &text));
    if (text.length >= LONGEST_DATE - 1)
        return machine_fail(c->m, PTQ_ERROR_BOUNDS, "strftime_now: the format is too long");
    if (text.length)
        memcpy(format, text.bytes, (size_t)text.length);
    /* A space at the end distinguishes an empty date from one that does not fit. */
    memcpy(format + text.length, " ", 2);
    for (int64_t i = 0; i < text.length; i++) {
        if (format[i] != '%')
            continue;
        i += format[i + 1] == '-' ? 2 : 1;
        if (!is_directive(format[i]))
            return machine_refuse(c->m, "in strftime_now, the directive",
                                  (struct text){format + i, 1});
    }
    date = arena_alloc(c->m->arena, LONGEST_DATE * 16, 1);
    if (!date)
        return c->m->arena->status;
    const size_t length = strftime(date, LONGEST_DATE * 16, format, c->m->now);
    if (!length)
        return machine_fail(c->m, PTQ_ERROR_BOUNDS, "strftime_now: the date is too long");
    *c->result = value_string(date, (int64_t)length - 1);
    return PTQ_OK;
}

/* range(stop), range(start, stop), range(start, stop, step) */
static ptq_status range(const struct call *c)
{
    const int count = c->arguments.count;
    int64_t parts[3] = {0, 0, 1}, limit = LONGEST_RANGE;
    struct gatherer g = {0};
    if (count < 1 || count > 3 || c->arguments.keyword_count)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "range takes one to three integers");
    for (int i = 0; i < count; i++)
        PTQI_TRY(call_integer(c, i, &parts[count == 1 ? 1 : i]));
    if (!parts[2])
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "range: the step is zero");
    for (int64_t i = parts[0]; parts[2] > 0 ? i < parts[1] : i > parts[1]; i += parts[2]) {
        if (!limit--)
            return machine_fail(c->m, PTQ_ERROR_BOUNDS, "range: more than %d items", LONGEST_RANGE);
        PTQI_TRY(gather(c->m, &g, value_integer(i)));
        if (parts[2] > 0 ? i > INT64_MAX - parts[2] : i < INT64_MIN - parts[2])
            break;
    }
    return gathered(c->m, &g, VALUE_RANGE, c->result);
}

/* Sets a member of the result. */
static ptq_status put(const struct call *c, struct value key, struct value value)
{
    if (c->result->kind == VALUE_NAMESPACE && key.kind == VALUE_STRING)
        return namespace_set(c->m, c->result->dict, key.text, value);
    return dict_set(c->m, c->result->dict, key, value);
}

/* A copy of the mapping, if one is given, with the keywords. */
static ptq_status fill(const struct call *c, enum value_kind kind)
{
    const struct value *from = c->arguments.count ? &c->arguments.values[0] : NULL;
    if (c->arguments.count > 1 || (from && from->kind != VALUE_DICT))
        return machine_fail(c->m, PTQ_ERROR_UNSUPPORTED,
                            "dict and namespace take a mapping and keywords only");
    PTQI_TRY(make_dict(c->m, kind, c->result));
    for (int64_t i = 0; from && i < from->dict->count; i++)
        PTQI_TRY(put(c, from->dict->pairs[i].key, from->dict->pairs[i].value));
    for (int i = 0; i < c->arguments.keyword_count; i++) {
        const struct keyword *k = &c->arguments.keywords[i];
        PTQI_TRY(put(c, value_string(k->name.bytes, k->name.length), k->value));
    }
    return PTQ_OK;
}

static ptq_status make_mapping(const struct call *c)
{
    return fill(c, VALUE_DICT);
}

static ptq_status make_namespace(const struct call *c)
{
    return fill(c, VALUE_NAMESPACE);
}

static const struct routine functions[] = {
    {"raise_exception", raise_exception, "message", 1},
    {"strftime_now", strftime_now, "format", 1},
    {"range", range, NULL, 0},
    {"dict", make_mapping, NULL, 0},
    {"namespace", make_namespace, NULL, 0},
    /* jinja2 has these too, and defines the last ones in macros. */
    {"cycler", NULL, NULL, 0},
    {"joiner", NULL, NULL, 0},
    {"lipsum", NULL, NULL, 0},
    {"self", NULL, NULL, 0},
    {"varargs", NULL, NULL, 0},
    {"kwargs", NULL, NULL, 0},
    {"caller", NULL, NULL, 0},
};

const struct routine *function_find(struct text name)
{
    return routine_find(functions, (int)(sizeof functions / sizeof *functions), name);
}
