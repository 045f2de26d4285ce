/*
 * The JSON writer.
 */
#include <stdio.h>
#include <string.h>
#include "json.h"

static void append(struct ptqi_json_writer *w, const char *text, int64_t length)
{
    if (w->status)
        return;
    w->status = ptqi_grow(w->context, (void **)&w->text, w->length, &w->capacity,
                          w->length + length + 1, 1);
    if (w->status)
        return;
    memcpy(w->text + w->length, text, (size_t)length);
    w->length += length;
    w->text[w->length] = 0;
}

static void append_quoted(struct ptqi_json_writer *w, const char *text, int64_t length)
{
    append(w, "\"", 1);
    for (int64_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        char escape[8];
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else if (c < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", c);
        else {
            append(w, text + i, 1);
            continue;
        }
        append(w, escape, (int64_t)strlen(escape));
    }
    append(w, "\"", 1);
}

/* Begins a member, whose name may have zero bytes, or, if name is NULL, an element. */
static void begin_member(struct ptqi_json_writer *w, const char *name, int64_t length)
{
    if (!w->first && w->depth)
        append(w, ", ", 2);
    w->first = 0;
    if (name) {
        append_quoted(w, name, length);
        append(w, ": ", 2);
    }
}

static void begin_value(struct ptqi_json_writer *w, const char *name)
{
    begin_member(w, name, name ? (int64_t)strlen(name) : 0);
}

static void append_text(struct ptqi_json_writer *w, const char *text)
{
    append(w, text, (int64_t)strlen(text));
}

static void append_number(struct ptqi_json_writer *w, double value, int digits)
{
    char text[64] = "null";
    if (value - value == 0 && digits)
        ptqi_format_number(text, sizeof text, value, digits);
    else if (value - value == 0)
        ptqi_format_shortest(text, sizeof text, value);
    append_text(w, text);
}

static void append_open(struct ptqi_json_writer *w, char bracket)
{
    append(w, &bracket, 1);
    w->depth++;
    w->first = 1;
}

void ptqi_json_begin(struct ptqi_json_writer *w, ptq_context *context)
{
    memset(w, 0, sizeof *w);
    w->context = context;
    w->first = 1;
}

void ptqi_json_open(struct ptqi_json_writer *w, const char *name, char bracket)
{
    begin_value(w, name);
    append_open(w, bracket);
}

void ptqi_json_close(struct ptqi_json_writer *w, char bracket)
{
    append(w, &bracket, 1);
    w->depth--;
    w->first = 0;
}

void ptqi_json_add_string(struct ptqi_json_writer *w, const char *name, const char *value,
                          int64_t length)
{
    begin_value(w, name);
    append_quoted(w, value, length);
}

void ptqi_json_add_text(struct ptqi_json_writer *w, const char *name, const char *value)
{
    ptqi_json_add_string(w, name, value, (int64_t)strlen(value));
}

void ptqi_json_add_integer(struct ptqi_json_writer *w, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    begin_value(w, name);
    append_text(w, text);
}

void ptqi_format_number(char *buffer, int64_t capacity, double value, int digits)
{
    snprintf(buffer, (size_t)capacity, "%.*g", digits, value);
    for (char *s = buffer; *s; s++)
        if (!strchr("0123456789+-einfa", *s))
            *s = '.'; /* replaces the locale's decimal point */
}

void ptqi_format_shortest(char *buffer, int64_t capacity, double value)
{
    double again = 0;
    for (int digits = 6; digits <= 17; digits++) {
        ptqi_format_number(buffer, capacity, value, digits);
        if (ptqi_parse_number(buffer, (int64_t)strlen(buffer), &again) && again == value)
            return;
    }
}

void ptqi_json_add_number(struct ptqi_json_writer *w, const char *name, double value, int digits)
{
    begin_value(w, name);
    append_number(w, value, digits);
}

void ptqi_json_add_bool(struct ptqi_json_writer *w, const char *name, int value)
{
    begin_value(w, name);
    append_text(w, value ? "true" : "false");
}

void ptqi_json_add_null(struct ptqi_json_writer *w, const char *name)
{
    begin_value(w, name);
    append_text(w, "null");
}

/* A parsed value, after its name. The depth is bounded by the reader. */
static void append_value(struct ptqi_json_writer *w, const struct ptqi_json *value)
{
    switch (value->kind) {
    case PTQI_JSON_NULL:
        append_text(w, "null");
        break;
    case PTQI_JSON_BOOL:
        append_text(w, value->number != 0 ? "true" : "false");
        break;
    case PTQI_JSON_NUMBER:
        append_number(w, value->number, 17);
        break;
    case PTQI_JSON_STRING:
        append_quoted(w, value->text, value->length);
        break;
    default:
        append_open(w, value->kind == PTQI_JSON_OBJECT ? '{' : '[');
        for (const struct ptqi_json *m = value->first; m; m = m->next) {
            begin_member(w, m->name, m->name_length);
            append_value(w, m);
        }
        ptqi_json_close(w, value->kind == PTQI_JSON_OBJECT ? '}' : ']');
    }
}

void ptqi_json_add_value(struct ptqi_json_writer *w, const char *name,
                         const struct ptqi_json *value)
{
    begin_value(w, name);
    append_value(w, value);
}

ptq_status ptqi_json_finish(struct ptqi_json_writer *w)
{
    append(w, "", 0);
    return w->status;
}

void ptqi_json_end(struct ptqi_json_writer *w)
{
    ptqi_free(w->context, w->text);
    w->text = NULL;
}
