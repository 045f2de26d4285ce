#include "jinja/text_methods.h"
#include <string.h>
#include "jinja/case.h"
#include "jinja/collection.h"
#include "jinja/print.h"
#include "jinja/strings.h"

static ptq_status give_text(const struct call *c, struct text text)
{
    *c->result = value_string(text.bytes, text.length);
    return machine_work(c->m, c->self->text.length);
}

static ptq_status strip(const struct call *c, int left, int right)
{
    struct text set = {NULL, 0};
    const int has_set = call_has(c, 0);
    if (has_set)
        PTQI_TRY(call_text(c, 0, &set));
    PTQI_TRY(machine_work(c->m, c->self->text.length * (1 + set.length)));
    return give_text(c, text_strip(c->self->text, has_set ? &set : NULL, left, right));
}

static ptq_status strip_both(const struct call *c)
{
    return strip(c, 1, 1);
}

static ptq_status strip_left(const struct call *c)
{
    return strip(c, 1, 0);
}

static ptq_status strip_right(const struct call *c)
{
    return strip(c, 0, 1);
}

static ptq_status change_case(const struct call *c, enum letter_case how)
{
    struct text out;
    PTQI_TRY(text_change_case(c->m, c->self->text, how, &out));
    return give_text(c, out);
}

static ptq_status lower(const struct call *c)
{
    return change_case(c, CASE_LOWER);
}

static ptq_status upper(const struct call *c)
{
    return change_case(c, CASE_UPPER);
}

static ptq_status capitalize(const struct call *c)
{
    return change_case(c, CASE_CAPITALIZE);
}

static ptq_status title(const struct call *c)
{
    return change_case(c, CASE_TITLE);
}

/* Whether any of one or several texts is at the start or end. */
static ptq_status has_affix(const struct call *c, int (*has)(struct text text, struct text part))
{
    const struct value *v = &c->arguments.values[0];
    struct list one = {c->arguments.values, 1};
    const struct list *list = v->kind == VALUE_TUPLE ? v->list : &one;
    *c->result = value_bool(0);
    for (int64_t i = 0; i < list->count; i++) {
        PTQI_TRY(machine_work(c->m, 0));
        if (list->items[i].kind != VALUE_STRING)
            return machine_fail(c->m, PTQ_ERROR_FORMAT, "an argument should be a string, not %s",
                                value_type(&list->items[i]));
        c->result->integer |= has(c->self->text, list->items[i].text);
    }
    return PTQ_OK;
}

static ptq_status starts_with(const struct call *c)
{
    return has_affix(c, text_starts);
}

static ptq_status ends_with(const struct call *c)
{
    return has_affix(c, text_ends);
}

static ptq_status remove_prefix(const struct call *c)
{
    struct text text = c->self->text, part;
    PTQI_TRY(call_text(c, 0, &part));
    return give_text(c, text_starts(text, part) ? text_part(text, part.length, text.length) : text);
}

static ptq_status remove_suffix(const struct call *c)
{
    struct text text = c->self->text, part;
    PTQI_TRY(call_text(c, 0, &part));
    return give_text(c,
                     text_ends(text, part) ? text_part(text, 0, text.length - part.length) : text);
}

ptq_status text_replace(struct machine *m, struct text text, struct text old, struct text new,
                        int64_t count, struct text *out)
{
    struct builder b = {.arena = m->arena};
    if (!old.length)
        return machine_fail(m, PTQ_ERROR_UNSUPPORTED, "replacing nothing is not supported");
    PTQI_TRY(machine_work(m, text.length));
    while (count != 0) {
        const int64_t at = text_find(text, old);
        if (at < 0)
            break;
        PTQI_TRY(machine_work(m, new.length));
        PTQI_TRY(builder_add(&b, text.bytes, at));
        PTQI_TRY(builder_add(&b, new.bytes, new.length));
        text = text_part(text, at + old.length, text.length);
        count -= count > 0;
    }
    PTQI_TRY(builder_add(&b, text.bytes, text.length));
    *out = text_make(b.bytes, b.length);
    return PTQ_OK;
}

static ptq_status replace(const struct call *c)
{
    struct text old, new, out;
    int64_t count = -1;
    PTQI_TRY(call_text(c, 0, &old));
    PTQI_TRY(call_text(c, 1, &new));
    if (call_has(c, 2))
        PTQI_TRY(call_integer(c, 2, &count));
    PTQI_TRY(text_replace(c->m, c->self->text, old, new, count, &out));
    return give_text(c, out);
}

/* The place of a part in characters; -1 if it does not occur. */
static ptq_status locate(const struct call *c, int64_t (*find)(struct text text, struct text part))
{
    struct text part;
    PTQI_TRY(call_text(c, 0, &part));
    PTQI_TRY(machine_work(c->m, c->self->text.length * 8));
    const int64_t at = find(c->self->text, part);
    *c->result = value_integer(at < 0 ? -1 : text_characters(text_part(c->self->text, 0, at)));
    return PTQ_OK;
}

static ptq_status find(const struct call *c)
{
    return locate(c, text_find);
}

static ptq_status find_last(const struct call *c)
{
    if (c->arguments.values[0].kind == VALUE_STRING)
        PTQI_TRY(machine_work(c->m, c->self->text.length * c->arguments.values[0].text.length));
    return locate(c, text_find_last);
}

static ptq_status find_or_fail(const struct call *c)
{
    PTQI_TRY(find(c));
    return c->result->integer < 0
               ? machine_fail(c->m, PTQ_ERROR_FORMAT, "index: the text does not occur")
               : PTQ_OK;
}

static ptq_status count(const struct call *c)
{
    struct text part;
    PTQI_TRY(call_text(c, 0, &part));
    if (!part.length)
        return machine_fail(c->m, PTQ_ERROR_UNSUPPORTED, "counting nothing is not supported");
    *c->result = value_integer(text_occurrences(c->self->text, part));
    return machine_work(c->m, c->self->text.length);
}

/* The byte at which white space begins; -1 if there is none. size: of its first character. */
static int64_t find_space(struct text text, int64_t *size)
{
    for (int64_t at = 0; at < text.length; at += *size) {
        *size = text_character_size(text, at);
        if (text_leading_space((struct text){text.bytes + at, *size}))
            return at;
    }
    return -1;
}

/* Removes the first part of *rest, up to a separator or to white space if it is NULL; 0 if there is
 * no separator. */
static int cut_part(struct text *rest, const struct text *separator, struct text *part)
{
    int64_t width = separator ? separator->length : 0;
    const int64_t at = separator ? text_find(*rest, *separator) : find_space(*rest, &width);
    if (at < 0)
        return 0;
    *part = text_part(*rest, 0, at);
    *rest = text_part(*rest, at + width, rest->length);
    return 1;
}

static ptq_status split(const struct call *c)
{
    struct text rest = c->self->text, part, separator;
    struct gatherer g = {0};
    int64_t most = -1;
    const int spaces = !call_has(c, 0);
    if (!spaces)
        PTQI_TRY(call_text(c, 0, &separator));
    if (call_has(c, 1))
        PTQI_TRY(call_integer(c, 1, &most));
    if (!spaces && !separator.length)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "split: the separator is empty");
    PTQI_TRY(machine_work(c->m, rest.length * 8));
    for (; most != 0; most -= most > 0) {
        if (spaces)
            rest = text_strip(rest, NULL, 1, 0);
        if (!cut_part(&rest, spaces ? NULL : &separator, &part))
            break;
        PTQI_TRY(gather(c->m, &g, value_string(part.bytes, part.length)));
    }
    if (spaces)
        rest = text_strip(rest, NULL, 1, 0);
    if (!spaces || rest.length)
        PTQI_TRY(gather(c->m, &g, value_string(rest.bytes, rest.length)));
    return gathered(c->m, &g, VALUE_LIST, c->result);
}

static ptq_status split_lines(const struct call *c)
{
    struct text rest = c->self->text, line;
    struct gatherer g = {0};
    PTQI_TRY(machine_work(c->m, rest.length * 8));
    while (text_next_line(&rest, &line))
        PTQI_TRY(gather(c->m, &g, value_string(line.bytes, line.length)));
    return gathered(c->m, &g, VALUE_LIST, c->result);
}

ptq_status text_join(struct machine *m, struct text separator, const struct list *list,
                     int converts, struct text *out)
{
    struct builder b = {.arena = m->arena};
    for (int64_t i = 0; i < list->count; i++) {
        const struct value *item = &list->items[i];
        if (item->kind != VALUE_STRING && !converts)
            return machine_fail(m, PTQ_ERROR_FORMAT, "join: item %lld is %s, not a string",
                                (long long)i, value_type(item));
        PTQI_TRY(machine_work(m, separator.length));
        if (i)
            PTQI_TRY(builder_add(&b, separator.bytes, separator.length));
        PTQI_TRY(print_value(m, item, &b));
    }
    *out = text_make(b.bytes, b.length);
    return PTQ_OK;
}

static ptq_status join(const struct call *c)
{
    const struct list *list;
    struct text out;
    PTQI_TRY(items_of(c->m, &c->arguments.values[0], &list));
    PTQI_TRY(text_join(c->m, c->self->text, list, 0, &out));
    return give_text(c, out);
}

/* The argument that "{...}" names: the next one, one by its number, or a keyword. */
static ptq_status find_argument(const struct call *c, struct text field, int64_t *next,
                                const struct value **found)
{
    int64_t place = *next;
    *found = NULL;
    PTQI_TRY(machine_work(c->m, c->arguments.keyword_count));
    if (!field.length)
        ++*next;
    for (int i = 0; field.length && i < c->arguments.keyword_count && !*found; i++)
        if (text_equal(c->arguments.keywords[i].name, field))
            *found = &c->arguments.keywords[i].value;
    if (*found)
        return PTQ_OK;
    if (field.length && !text_to_integer(field, &place))
        return machine_refuse(c->m, "in format, the field", field);
    if (place < 0 || place >= c->arguments.count)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "format: too few arguments");
    *found = &c->arguments.values[place];
    return PTQ_OK;
}

/* str.format with fields that have neither attributes nor formats. */
static ptq_status format(const struct call *c)
{
    struct text text = c->self->text, field;
    struct builder b = {.arena = c->m->arena};
    int64_t next = 0;
    for (int64_t i = 0; i < text.length; i++) {
        const char brace = text.bytes[i];
        const int doubled = i + 1 < text.length && text.bytes[i + 1] == brace;
        const struct value *value;
        PTQI_TRY(machine_work(c->m, 0));
        if ((brace != '{' && brace != '}') || doubled) {
            PTQI_TRY(builder_add(&b, &brace, 1));
            i += doubled && (brace == '{' || brace == '}');
            continue;
        }
        field = text_part(text, i + 1, text.length);
        field.length = brace == '{' ? text_find(field, (struct text){"}", 1}) : -1;
        if (field.length < 0)
            return machine_fail(c->m, PTQ_ERROR_FORMAT, "format: a single '%c'", brace);
        PTQI_TRY(find_argument(c, field, &next, &value));
        PTQI_TRY(print_value(c->m, value, &b));
        i += field.length + 1;
    }
    return give_text(c, text_make(b.bytes, b.length));
}

static const struct routine methods[] = {
    {"strip", strip_both, "chars", 0},
    {"lstrip", strip_left, "chars", 0},
    {"rstrip", strip_right, "chars", 0},
    {"split", split, "sep maxsplit", 0},
    {"splitlines", split_lines, "", 0},
    {"join", join, "iterable", 1},
    {"replace", replace, "old new count", 2},
    {"startswith", starts_with, "prefix", 1},
    {"endswith", ends_with, "suffix", 1},
    {"removeprefix", remove_prefix, "prefix", 1},
    {"removesuffix", remove_suffix, "suffix", 1},
    {"lower", lower, "", 0},
    {"upper", upper, "", 0},
    {"capitalize", capitalize, "", 0},
    {"title", title, "", 0},
    {"find", find, "sub", 1},
    {"rfind", find_last, "sub", 1},
    {"index", find_or_fail, "sub", 1},
    {"count", count, "sub", 1},
    {"format", format, NULL, 0},
    {"casefold", NULL, NULL, 0},
    {"center", NULL, NULL, 0},
    {"encode", NULL, NULL, 0},
    {"expandtabs", NULL, NULL, 0},
    {"format_map", NULL, NULL, 0},
    {"isalnum", NULL, NULL, 0},
    {"isalpha", NULL, NULL, 0},
    {"isascii", NULL, NULL, 0},
    {"isdecimal", NULL, NULL, 0},
    {"isdigit", NULL, NULL, 0},
    {"isidentifier", NULL, NULL, 0},
    {"islower", NULL, NULL, 0},
    {"isnumeric", NULL, NULL, 0},
    {"isprintable", NULL, NULL, 0},
    {"isspace", NULL, NULL, 0},
    {"istitle", NULL, NULL, 0},
    {"isupper", NULL, NULL, 0},
    {"ljust", NULL, NULL, 0},
    {"maketrans", NULL, NULL, 0},
    {"partition", NULL, NULL, 0},
    {"rindex", NULL, NULL, 0},
    {"rjust", NULL, NULL, 0},
    {"rpartition", NULL, NULL, 0},
    {"rsplit", NULL, NULL, 0},
    {"swapcase", NULL, NULL, 0},
    {"translate", NULL, NULL, 0},
    {"zfill", NULL, NULL, 0},
};

const struct routine *text_method_find(struct text name)
{
    return routine_find(methods, (int)(sizeof methods / sizeof *methods), name);
}
