#include "jinja/text_filters.h"
#include "base/json.h"
#include "jinja/case.h"
#include "jinja/collection.h"
#include "jinja/print.h"
#include "jinja/strings.h"
#include "jinja/text_methods.h"
#include "jinja/to_json.h"

/* A text made of the input keeps its mark of `safe`. */
static ptq_status give_text(const struct call *c, struct text text)
{
    *c->result = value_string(text.bytes, text.length);
    c->result->markup = c->self->markup;
    return machine_work(c->m, text.length);
}

static ptq_status string(const struct call *c)
{
    struct text text;
    PTQI_TRY(text_of(c->m, c->self, &text));
    return give_text(c, text);
}

static ptq_status safe(const struct call *c)
{
    PTQI_TRY(string(c));
    c->result->markup = 1;
    return PTQ_OK;
}

/* Filters that are methods of strings, for values of any type. The mark of `safe` stays. */
static ptq_status by_method(const struct call *c, const struct text method)
{
    struct text text;
    PTQI_TRY(text_of(c->m, c->self, &text));
    const struct value self = value_string(text.bytes, text.length);
    struct call of_text = *c;
    of_text.self = &self;
    PTQI_TRY(text_method_find(method)->run(&of_text));
    c->result->markup = c->self->markup;
    return PTQ_OK;
}

static ptq_status trim(const struct call *c)
{
    return by_method(c, (struct text){"strip", 5});
}

static ptq_status lower(const struct call *c)
{
    return by_method(c, (struct text){"lower", 5});
}

static ptq_status upper(const struct call *c)
{
    return by_method(c, (struct text){"upper", 5});
}

static ptq_status capitalize(const struct call *c)
{
    return by_method(c, (struct text){"capitalize", 10});
}

/* Words begin elsewhere than for the method: see case.h. */
static ptq_status title(const struct call *c)
{
    struct text text;
    PTQI_TRY(text_of(c->m, c->self, &text));
    PTQI_TRY(text_change_case(c->m, text, CASE_TITLE_FILTER, &text));
    return give_text(c, text);
}

static ptq_status replace(const struct call *c)
{
    struct text text, old, new;
    int64_t count = -1;
    PTQI_TRY(text_of(c->m, c->self, &text));
    PTQI_TRY(text_of(c->m, &c->arguments.values[0], &old));
    PTQI_TRY(text_of(c->m, &c->arguments.values[1], &new));
    if (call_has(c, 2))
        PTQI_TRY(call_integer(c, 2, &count));
    PTQI_TRY(text_replace(c->m, text, old, new, count, &text));
    *c->result = value_string(text.bytes, text.length);
    return PTQ_OK;
}

static ptq_status add_spaces(struct machine *m, struct builder *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        PTQI_TRY(machine_work(m, 0));
        PTQI_TRY(builder_add(out, " ", 1));
    }
    return PTQ_OK;
}

/* Lines other than the first begin with the indentation; empty ones only if blank is 1. */
static ptq_status indent_lines(const struct call *c, struct text rest, struct text indentation,
                               struct builder *out)
{
    const int first = call_flag(c, 1), blank = call_flag(c, 2);
    struct text line;
    for (int64_t i = 0; text_next_line(&rest, &line); i++) {
        PTQI_TRY(machine_work(c->m, line.length + indentation.length));
        if (i)
            PTQI_TRY(builder_add(out, "\n", 1));
        if (i ? blank || line.length : first)
            PTQI_TRY(builder_add(out, indentation.bytes, indentation.length));
        PTQI_TRY(builder_add(out, line.bytes, line.length));
    }
    return PTQ_OK;
}

static ptq_status indent(const struct call *c)
{
    struct builder text = {.arena = c->m->arena}, spaces = text, out = text;
    const struct value *width = &c->arguments.values[0];
    int64_t count = 4;
    PTQI_TRY(print_value(c->m, c->self, &text));
    PTQI_TRY(builder_add(&text, "\n", 1)); /* so that a last, empty line counts */
    struct text indentation = width->text;
    if (width->kind != VALUE_STRING) {
        if (call_has(c, 0))
            PTQI_TRY(call_integer(c, 0, &count));
        PTQI_TRY(add_spaces(c->m, &spaces, count));
        indentation = text_make(spaces.bytes, spaces.length);
    }
    PTQI_TRY(indent_lines(c, text_make(text.bytes, text.length), indentation, &out));
    return give_text(c, text_make(out.bytes, out.length));
}

/* The number that a text spells, as int() and float() read it. */
static int parse_real(struct text text, double *real)
{
    text = text_strip(text, NULL, 1, 1);
    return ptqi_parse_number(text.bytes, text.length, real);
}

static ptq_status make_integer(const struct call *c)
{
    const struct value *v = c->self;
    int64_t integer = 0;
    double real = v->real;
    if (call_has(c, 1))
        return machine_fail(c->m, PTQ_ERROR_UNSUPPORTED, "int: a base is not supported");
    *c->result =
        c->arguments.values[0].kind == VALUE_ABSENT ? value_integer(0) : c->arguments.values[0];
    if (value_is_whole(v)) {
        *c->result = value_integer(v->integer);
        return PTQ_OK;
    }
    if (v->kind == VALUE_STRING && text_to_integer(text_strip(v->text, NULL, 1, 1), &integer)) {
        *c->result = value_integer(integer);
        return PTQ_OK;
    }
    if (v->kind != VALUE_REAL && (v->kind != VALUE_STRING || !parse_real(v->text, &real)))
        return PTQ_OK;
    if (!(real > -9e15 && real < 9e15))
        return machine_fail(c->m, PTQ_ERROR_BOUNDS, "an integer is too large");
    *c->result = value_integer((int64_t)real);
    return PTQ_OK;
}

static ptq_status make_real(const struct call *c)
{
    const struct value *v = c->self;
    double real = 0;
    *c->result =
        c->arguments.values[0].kind == VALUE_ABSENT ? value_real(0) : c->arguments.values[0];
    if (value_is_number(v))
        *c->result = value_real(value_as_real(v));
    else if (v->kind == VALUE_STRING && parse_real(v->text, &real))
        *c->result = value_real(real);
    return PTQ_OK;
}

static ptq_status absolute(const struct call *c)
{
    const struct value *v = c->self;
    if (v->kind == VALUE_REAL)
        *c->result = value_real(v->real < 0 ? -v->real : v->real);
    else if (value_is_whole(v) && v->integer != INT64_MIN)
        *c->result = value_integer(v->integer < 0 ? -v->integer : v->integer);
    else
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "abs does not take %s", value_type(v));
    return PTQ_OK;
}

static const struct routine filters[] = {
    {"tojson", to_json, TO_JSON_PARAMETERS, 0},
    {"string", string, "", 0},
    {"safe", safe, "", 0},
    {"trim", trim, "chars", 0},
    {"lower", lower, "", 0},
    {"upper", upper, "", 0},
    {"capitalize", capitalize, "", 0},
    {"title", title, "", 0},
    {"replace", replace, "old new count", 2},
    {"indent", indent, "width first blank", 0},
    {"int", make_integer, "default base", 0},
    {"float", make_real, "default", 0},
    {"abs", absolute, "", 0},
};

const struct routine *text_filter_find(struct text name)
{
    return routine_find(filters, (int)(sizeof filters / sizeof *filters), name);
}
