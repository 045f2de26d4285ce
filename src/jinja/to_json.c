#include "jinja/to_json.h"
#include <stdio.h>
#include <string.h>
#include "base/utf8.h"
#include "jinja/collection.h"
#include "jinja/operators.h"
#include "jinja/print.h"

struct writer {
    struct machine *m;
    struct builder out;
    struct text item_separator, key_separator;
    int ascii, sorts;
    int64_t indent; /* spaces for each level; -1: everything on one line */
    int64_t level;
};

static ptq_status write_value(struct writer *w, const struct value *v);

static ptq_status add(struct writer *w, const char *word)
{
    return builder_add(&w->out, word, (int64_t)strlen(word));
}

static ptq_status write_escape(struct writer *w, uint32_t c)
{
    static const char plain[] = "\"\\\n\r\t\f\b", escaped[] = "\"\\nrtfb";
    const char *simple = c < 0x80 ? strchr(plain, (int)c) : NULL;
    char text[16];
    if (simple && c)
        snprintf(text, sizeof text, "\\%c", escaped[simple - plain]);
    else if (c < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + (unsigned)((c - 0x10000) >> 10),
                 0xdc00 + (unsigned)((c - 0x10000) & 0x3ff));
    return add(w, text);
}

static ptq_status write_string(struct writer *w, struct text text)
{
    const char *at = text.bytes, *const end = text.bytes + text.length;
    PTQI_TRY(machine_work(w->m, text.length * 8));
    PTQI_TRY(add(w, "\""));
    while (at < end) {
        const char *const begin = at;
        const uint32_t c = ptqi_utf8_next(&at);
        const int escapes = c < 0x20 || c == '"' || c == '\\' || (w->ascii && c > 0x7f);
        PTQI_TRY(escapes ? write_escape(w, c) : builder_add(&w->out, begin, at - begin));
    }
    return add(w, "\"");
}

/* The line feed and the indentation before an element, or before the closing bracket. */
static ptq_status write_line(struct writer *w)
{
    if (w->indent < 0)
        return PTQ_OK;
    PTQI_TRY(add(w, "\n"));
    PTQI_TRY(machine_work(w->m, w->indent * w->level * 8));
    for (int64_t i = 0; i < w->indent * w->level; i++)
        PTQI_TRY(add(w, " "));
    return PTQ_OK;
}

static ptq_status write_separator(struct writer *w, int64_t i)
{
    if (i)
        PTQI_TRY(builder_add(&w->out, w->item_separator.bytes, w->item_separator.length));
    return write_line(w);
}

/* A key becomes a string. */
static ptq_status write_key(struct writer *w, const struct value *key)
{
    PTQI_TRY(key->kind == VALUE_STRING ? PTQ_OK : add(w, "\""));
    PTQI_TRY(write_value(w, key));
    PTQI_TRY(key->kind == VALUE_STRING ? PTQ_OK : add(w, "\""));
    return builder_add(&w->out, w->key_separator.bytes, w->key_separator.length);
}

/* The pairs of a dict, as tuples if they are sorted. */
static ptq_status sort_pairs(struct writer *w, const struct dict *d, struct dict *sorted)
{
    struct value keys, all;
    struct gatherer g = {0};
    for (int64_t i = 0; i < d->count; i++)
        PTQI_TRY(gather(w->m, &g, d->pairs[i].key));
    PTQI_TRY(gathered(w->m, &g, VALUE_LIST, &keys));
    PTQI_TRY(sort_by(w->m, keys.list, keys.list->items, 0, &all));
    for (int64_t i = 0; i < d->count; i++) {
        struct value *found;
        PTQI_TRY(dict_get(w->m, d, &all.list->items[i], &found));
        PTQI_TRY(dict_set(w->m, sorted, all.list->items[i], *found));
    }
    return PTQ_OK;
}

static ptq_status write_dict(struct writer *w, const struct dict *d)
{
    struct dict sorted = {0};
    if (w->sorts) {
        PTQI_TRY(sort_pairs(w, d, &sorted));
        d = &sorted;
    }
    PTQI_TRY(add(w, "{"));
    w->level++;
    for (int64_t i = 0; i < d->count; i++) {
        PTQI_TRY(write_separator(w, i));
        PTQI_TRY(write_key(w, &d->pairs[i].key));
        PTQI_TRY(write_value(w, &d->pairs[i].value));
    }
    w->level--;
    if (d->count)
        PTQI_TRY(write_line(w));
    return add(w, "}");
}

static ptq_status write_list(struct writer *w, const struct list *list)
{
    PTQI_TRY(add(w, "["));
    w->level++;
    for (int64_t i = 0; i < list->count; i++) {
        PTQI_TRY(write_separator(w, i));
        PTQI_TRY(write_value(w, &list->items[i]));
    }
    w->level--;
    if (list->count)
        PTQI_TRY(write_line(w));
    return add(w, "]");
}

static ptq_status write_nested(struct writer *w, const struct value *v)
{
    PTQI_TRY(machine_enter(w->m));
    PTQI_TRY(v->kind == VALUE_DICT ? write_dict(w, v->dict) : write_list(w, v->list));
    machine_leave(w->m);
    return PTQ_OK;
}

static ptq_status write_value(struct writer *w, const struct value *v)
{
    switch (v->kind) {
    case VALUE_NONE:
        return add(w, "null");
    case VALUE_BOOL:
        return add(w, v->integer ? "true" : "false");
    case VALUE_INTEGER:
        return print_integer(&w->out, v->integer);
    case VALUE_REAL:
        return print_real(&w->out, v->real);
    case VALUE_STRING:
        return write_string(w, v->text);
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
        return write_nested(w, v);
    default:
        return machine_fail(w->m, PTQ_ERROR_FORMAT, "tojson: a value of type %s has no JSON form",
                            value_type(v));
    }
}

static ptq_status read_separators(const struct call *c, struct writer *w)
{
    const struct value *v = &c->arguments.values[2];
    w->item_separator = w->indent < 0 ? (struct text){", ", 2} : (struct text){",", 1};
    w->key_separator = (struct text){": ", 2};
    if (!call_has(c, 2))
        return PTQ_OK;
    if ((v->kind != VALUE_TUPLE && v->kind != VALUE_LIST) || v->list->count != 2 ||
        v->list->items[0].kind != VALUE_STRING || v->list->items[1].kind != VALUE_STRING)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "tojson: separators are not two strings");
    w->item_separator = v->list->items[0].text;
    w->key_separator = v->list->items[1].text;
    return PTQ_OK;
}

ptq_status to_json(const struct call *c)
{
    struct writer w = {.m = c->m, .out = {.arena = c->m->arena}, .indent = -1};
    w.ascii = call_flag(c, 0);
    w.sorts = call_flag(c, 3);
    if (call_has(c, 1)) {
        PTQI_TRY(call_integer(c, 1, &w.indent));
        w.indent = ptqi_max(0, ptqi_min(w.indent, 1000));
    }
    PTQI_TRY(read_separators(c, &w));
    PTQI_TRY(write_value(&w, c->self));
    *c->result = value_string(w.out.bytes, w.out.length);
    return PTQ_OK;
}
