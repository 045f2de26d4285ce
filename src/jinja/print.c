#include "jinja/print.h"
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "text/unicode.h"

static ptq_status print_quoted(struct machine *m, const struct value *v, struct builder *out);

static ptq_status add(struct builder *out, const char *word)
{
    return builder_add(out, word, (int64_t)strlen(word));
}

ptq_status print_integer(struct builder *out, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", (long long)value);
    return add(out, digits);
}

/* The digits of |value|, not zero, without a point, as few as read back as the same; the first is
 * worth 10^exponent. */
static void shortest_digits(double value, char digits[32], int *exponent)
{
    char text[64];
    double again = 0;
    int count = 0, point = -1, begun = 0;
    for (int precision = 1; precision <= 17 && (precision == 1 || again != value); precision++) {
        ptqi_format_number(text, sizeof text, value, precision);
        if (!ptqi_parse_number(text, (int64_t)strlen(text), &again))
            again = 0;
    }
    const char *at = text;
    int places = 0; /* before the first digit that is not zero, negative behind the point */
    for (; *at && *at != 'e'; at++) {
        if (*at == '.') {
            point = 0;
            continue;
        }
        begun |= *at != '0';
        if (point < 0)
            places += begun;
        else if (!begun)
            places--;
        if (begun)
            digits[count++] = *at;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    digits[count] = 0;
    *exponent = places - 1;
    if (*at == 'e') {
        int64_t shift = 0;
        int negative = at[1] == '-';
        for (at += 2; *at; at++)
            shift = shift * 10 + (*at - '0');
        *exponent += (int)(negative ? -shift : shift);
    }
}

/* As 123.0 or 0.00123. */
static ptq_status print_fixed(struct builder *out, const char *digits, int exponent)
{
    const int count = (int)strlen(digits);
    if (exponent < 0)
        PTQI_TRY(add(out, "0."));
    for (int i = -1; i > exponent; i--)
        PTQI_TRY(add(out, "0"));
    for (int i = 0; i < count || i <= exponent; i++) {
        PTQI_TRY(builder_add(out, i < count ? digits + i : "0", 1));
        if (i == exponent)
            PTQI_TRY(add(out, i + 1 < count ? "." : ".0"));
    }
    return PTQ_OK;
}

ptq_status print_real(struct builder *out, double value)
{
    char digits[32], tail[16];
    int exponent;
    if (value - value != 0)
        return add(out, value != value ? "nan" : value < 0 ? "-inf" : "inf");
    if (value < 0 || (value == 0 && 1 / value < 0))
        PTQI_TRY(add(out, "-"));
    if (value == 0)
        return add(out, "0.0");
    shortest_digits(value < 0 ? -value : value, digits, &exponent);
    if (exponent >= -4 && exponent < 16)
        return print_fixed(out, digits, exponent);
    PTQI_TRY(builder_add(out, digits, 1));
    if (digits[1])
        PTQI_TRY(add(out, "."));
    snprintf(tail, sizeof tail, "e%c%02d", exponent < 0 ? '-' : '+',
             exponent < 0 ? -exponent : exponent);
    PTQI_TRY(add(out, digits + 1));
    return add(out, tail);
}

static int is_printable(uint32_t c)
{
    const int category = unicode_category(c);
    return c == ' ' || category < UNICODE_ZS;
}

/* One character of a quoted string. */
static ptq_status print_character(struct builder *out, const char *bytes, int size, char quote)
{
    static const char plain[] = "\\\n\r\t", escaped[] = "\\nrt";
    const char *at = bytes, *simple;
    const uint32_t c = ptqi_utf8_next(&at);
    char escape[16];
    if (c == (unsigned char)quote || (c && c < 0x80 && strchr(plain, (char)c))) {
        simple = strchr(plain, (char)c);
        snprintf(escape, sizeof escape, "\\%c", simple ? escaped[simple - plain] : quote);
    } else if (is_printable(c)) {
        return builder_add(out, bytes, size);
    } else {
        snprintf(escape, sizeof escape,
                 c < 0x100     ? "\\x%02x"
                 : c < 0x10000 ? "\\u%04x"
                               : "\\U%08x",
                 (unsigned)c);
    }
    return add(out, escape);
}

static ptq_status print_string(struct machine *m, struct text text, struct builder *out)
{
    const int has_single = text.length && memchr(text.bytes, '\'', (size_t)text.length) != NULL;
    const int has_double = text.length && memchr(text.bytes, '"', (size_t)text.length) != NULL;
    const char quote = has_single && !has_double ? '"' : '\'';
    PTQI_TRY(machine_work(m, text.length * 16));
    PTQI_TRY(builder_add(out, &quote, 1));
    for (int64_t i = 0; i < text.length;) {
        int valid, size = ptqi_utf8_sequence(text.bytes + i, text.length - i, &valid);
        PTQI_TRY(print_character(out, text.bytes + i, size, quote));
        i += size;
    }
    return builder_add(out, &quote, 1);
}

static ptq_status print_items(struct machine *m, const struct value *v, struct builder *out)
{
    const int is_tuple = v->kind == VALUE_TUPLE;
    PTQI_TRY(add(out, is_tuple ? "(" : "["));
    for (int64_t i = 0; i < v->list->count; i++) {
        PTQI_TRY(add(out, i ? ", " : ""));
        PTQI_TRY(print_quoted(m, &v->list->items[i], out));
    }
    if (is_tuple && v->list->count == 1)
        PTQI_TRY(add(out, ","));
    return add(out, is_tuple ? ")" : "]");
}

static ptq_status print_dict(struct machine *m, const struct dict *d, struct builder *out)
{
    PTQI_TRY(add(out, "{"));
    for (int64_t i = 0; i < d->count; i++) {
        PTQI_TRY(add(out, i ? ", " : ""));
        PTQI_TRY(print_quoted(m, &d->pairs[i].key, out));
        PTQI_TRY(add(out, ": "));
        PTQI_TRY(print_quoted(m, &d->pairs[i].value, out));
    }
    return add(out, "}");
}

/* repr(v) */
static ptq_status print_quoted(struct machine *m, const struct value *v, struct builder *out)
{
    if (v->kind == VALUE_STRING && !v->markup)
        return print_string(m, v->text, out);
    if (v->kind == VALUE_UNDEFINED)
        return add(out, "Undefined");
    if (v->kind == VALUE_STRING)
        return machine_fail(m, PTQ_ERROR_UNSUPPORTED,
                            "printing a list with a result of 'safe' is not supported");
    return print_value(m, v, out);
}

static ptq_status print_collection(struct machine *m, const struct value *v, struct builder *out)
{
    PTQI_TRY(machine_enter(m));
    PTQI_TRY(v->kind == VALUE_DICT ? print_dict(m, v->dict, out) : print_items(m, v, out));
    machine_leave(m);
    return PTQ_OK;
}

ptq_status print_value(struct machine *m, const struct value *v, struct builder *out)
{
    switch (v->kind) {
    case VALUE_UNDEFINED:
        return PTQ_OK;
    case VALUE_NONE:
        return add(out, "None");
    case VALUE_BOOL:
        return add(out, v->integer ? "True" : "False");
    case VALUE_INTEGER:
        return print_integer(out, v->integer);
    case VALUE_REAL:
        return print_real(out, v->real);
    case VALUE_STRING:
        PTQI_TRY(machine_work(m, v->text.length));
        return builder_add(out, v->text.bytes, v->text.length);
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
        return print_collection(m, v, out);
    default:
        return machine_fail(m, PTQ_ERROR_UNSUPPORTED, "printing a %s is not supported",
                            value_type(v));
    }
}

ptq_status text_of(struct machine *m, const struct value *v, struct text *text)
{
    struct builder b = {.arena = m->arena};
    if (v->kind == VALUE_STRING) {
        *text = v->text;
        return PTQ_OK;
    }
    PTQI_TRY(print_value(m, v, &b));
    *text = text_make(b.bytes, b.length);
    return PTQ_OK;
}
