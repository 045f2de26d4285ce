#include "jinja/value.h"
#include <string.h>

struct value value_none(void)
{
    return (struct value){.kind = VALUE_NONE};
}

struct value value_bool(int truth)
{
    return (struct value){.kind = VALUE_BOOL, .integer = truth != 0};
}

struct value value_integer(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

struct value value_real(double real)
{
    return (struct value){.kind = VALUE_REAL, .real = real};
}

struct text text_make(const char *bytes, int64_t length)
{
    return (struct text){length ? bytes : "", length};
}

struct value value_string(const char *bytes, int64_t length)
{
    return (struct value){.kind = VALUE_STRING, .text = text_make(bytes, length)};
}

struct value value_undefined(struct text name)
{
    return (struct value){.kind = VALUE_UNDEFINED, .text = name};
}

struct value value_absent(void)
{
    return (struct value){.kind = VALUE_ABSENT};
}

int value_is_true(const struct value *v)
{
    switch (v->kind) {
    case VALUE_ABSENT:
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return 0;
    case VALUE_BOOL:
    case VALUE_INTEGER:
        return v->integer != 0;
    case VALUE_REAL:
        return v->real != 0;
    case VALUE_STRING:
        return v->text.length != 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
    case VALUE_VIEW:
        return v->list->count != 0;
    case VALUE_DICT:
        return v->dict->count != 0;
    default:
        return 1;
    }
}

int value_is_listed(const struct value *v)
{
    return v->kind >= VALUE_LIST && v->kind <= VALUE_GENERATOR;
}

int value_is_whole(const struct value *v)
{
    return v->kind == VALUE_INTEGER || v->kind == VALUE_BOOL;
}

int value_is_number(const struct value *v)
{
    return value_is_whole(v) || v->kind == VALUE_REAL;
}

double value_as_real(const struct value *v)
{
    return v->kind == VALUE_REAL ? v->real : (double)v->integer;
}

const char *value_type(const struct value *v)
{
    static const char *const names[VALUE_KINDS] = {
        [VALUE_ABSENT] = "absent", [VALUE_UNDEFINED] = "undefined", [VALUE_NONE] = "None",
        [VALUE_BOOL] = "bool",     [VALUE_INTEGER] = "int",         [VALUE_REAL] = "float",
        [VALUE_STRING] = "str",    [VALUE_LIST] = "list",           [VALUE_TUPLE] = "tuple",
        [VALUE_RANGE] = "range",   [VALUE_VIEW] = "dict view",      [VALUE_GENERATOR] = "generator",
        [VALUE_DICT] = "dict",     [VALUE_NAMESPACE] = "namespace", [VALUE_LOOP] = "loop",
        [VALUE_MACRO] = "macro",   [VALUE_FUNCTION] = "function",   [VALUE_METHOD] = "method"};
    return names[v->kind];
}

int text_equal(struct text a, struct text b)
{
    return a.length == b.length && (!a.length || !memcmp(a.bytes, b.bytes, (size_t)a.length));
}

int text_is(struct text text, const char *word)
{
    return text_equal(text, (struct text){word, (int64_t)strlen(word)});
}
