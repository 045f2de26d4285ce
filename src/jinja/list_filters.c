#include "jinja/list_filters.h"
#include "jinja/access.h"
#include "jinja/case.h"
#include "jinja/collection.h"
#include "jinja/operators.h"
#include "jinja/strings.h"
#include "jinja/text_methods.h"

/* One step of a path. */
static ptq_status follow_part(struct machine *m, const struct value *key,
                              const struct value *fallback, struct value *v)
{
    const struct value from = *v;
    PTQI_TRY(access_item(m, &from, key, v));
    if (v->kind == VALUE_UNDEFINED && fallback)
        *v = *fallback;
    return PTQ_OK;
}

ptq_status follow_path(struct machine *m, const struct value *v, const struct value *path,
                       const struct value *fallback, struct value *out)
{
    struct text rest = path->text;
    *out = *v;
    if (path->kind != VALUE_STRING)
        return follow_part(m, path, fallback, out);
    for (;;) {
        const int64_t at = text_find(rest, (struct text){".", 1});
        const struct text part = text_part(rest, 0, at < 0 ? rest.length : at);
        struct value key = value_string(part.bytes, part.length);
        int64_t index;
        if (text_to_integer(part, &index) && index >= 0)
            key = value_integer(index);
        PTQI_TRY(follow_part(m, &key, fallback, out));
        if (at < 0)
            return PTQ_OK;
        rest = text_part(rest, at + 1, rest.length);
    }
}

static ptq_status length(const struct call *c)
{
    int64_t count;
    PTQI_TRY(length_of(c->m, c->self, &count));
    *c->result = value_integer(count);
    return PTQ_OK;
}

static ptq_status use_default(const struct call *c)
{
    const struct value *v = c->self, *fallback = &c->arguments.values[0];
    const int missing = v->kind == VALUE_UNDEFINED || (call_flag(c, 1) && !value_is_true(v));
    *c->result = !missing ? *v : fallback->kind == VALUE_ABSENT ? value_string("", 0) : *fallback;
    return PTQ_OK;
}

static ptq_status list(const struct call *c)
{
    const struct list *items;
    struct gatherer g = {0};
    PTQI_TRY(items_of(c->m, c->self, &items));
    g.list = *items;
    return gathered(c->m, &g, VALUE_LIST, c->result);
}

static ptq_status first(const struct call *c)
{
    const struct list *items;
    PTQI_TRY(items_of(c->m, c->self, &items));
    *c->result =
        items->count ? items->items[0] : value_undefined((struct text){"the first item", 14});
    return PTQ_OK;
}

static ptq_status last(const struct call *c)
{
    const struct list *items;
    PTQI_TRY(items_of(c->m, c->self, &items));
    *c->result = items->count ? items->items[items->count - 1]
                              : value_undefined((struct text){"the last item", 13});
    return PTQ_OK;
}

/* A string, or an iterator over anything else. */
static ptq_status reverse(const struct call *c)
{
    const struct value none[3] = {value_none(), value_none(), value_integer(-1)};
    struct gatherer g = {0};
    struct value all;
    const struct list *items;
    if (c->self->kind == VALUE_STRING)
        return access_slice(c->m, c->self, none, c->result);
    PTQI_TRY(items_of(c->m, c->self, &items));
    g.list = *items;
    PTQI_TRY(gathered(c->m, &g, VALUE_LIST, &all));
    PTQI_TRY(access_slice(c->m, &all, none, c->result));
    c->result->kind = VALUE_GENERATOR;
    return PTQ_OK;
}

/* What an argument names of each item; the items themselves if it is not given. */
static ptq_status attributes_of(const struct call *c, const struct list *items, int argument,
                                struct gatherer *out)
{
    for (int64_t i = 0; i < items->count; i++) {
        struct value v = items->items[i];
        if (call_has(c, argument))
            PTQI_TRY(follow_path(c->m, &items->items[i], &c->arguments.values[argument], NULL, &v));
        PTQI_TRY(gather(c->m, out, v));
    }
    return PTQ_OK;
}

static ptq_status join(const struct call *c)
{
    struct text separator = {"", 0}, out;
    const struct list *values;
    struct gatherer all = {0};
    if (call_has(c, 0))
        PTQI_TRY(call_text(c, 0, &separator));
    PTQI_TRY(items_of(c->m, c->self, &values));
    PTQI_TRY(attributes_of(c, values, 1, &all));
    PTQI_TRY(text_join(c->m, separator, &all.list, 1, &out));
    *c->result = value_string(out.bytes, out.length);
    return PTQ_OK;
}

static ptq_status items(const struct call *c)
{
    struct gatherer g = {0};
    if (c->self->kind != VALUE_DICT && c->self->kind != VALUE_UNDEFINED)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "items: a %s is not a mapping",
                            value_type(c->self));
    for (int64_t i = 0; c->self->kind == VALUE_DICT && i < c->self->dict->count; i++) {
        struct value couple;
        PTQI_TRY(
            make_couple(c->m, c->self->dict->pairs[i].key, c->self->dict->pairs[i].value, &couple));
        PTQI_TRY(gather(c->m, &g, couple));
    }
    return gathered(c->m, &g, VALUE_GENERATOR, c->result);
}

/* What values are compared by: strings in lower case, unless case matters. */
static ptq_status fold(struct machine *m, int with_case, struct value *v)
{
    if (v->kind != VALUE_STRING || with_case)
        return PTQ_OK;
    return text_change_case(m, v->text, CASE_LOWER, &v->text);
}

static ptq_status fold_all(struct machine *m, int with_case, struct list *keys)
{
    for (int64_t i = 0; i < keys->count; i++)
        PTQI_TRY(fold(m, with_case, &keys->items[i]));
    return PTQ_OK;
}

/* The items of the input, and what they are compared by. */
static ptq_status keys_of(const struct call *c, int attribute, int with_case,
                          const struct list **values, struct list *keys)
{
    struct gatherer g = {0};
    PTQI_TRY(items_of(c->m, c->self, values));
    PTQI_TRY(attributes_of(c, *values, attribute, &g));
    *keys = g.list;
    return fold_all(c->m, with_case, keys);
}

static ptq_status sort(const struct call *c)
{
    const struct list *values;
    struct list keys;
    PTQI_TRY(keys_of(c, 2, call_flag(c, 1), &values, &keys));
    return sort_by(c->m, values, keys.items, call_flag(c, 0), c->result);
}

static ptq_status sort_dict(const struct call *c)
{
    const struct dict *d = c->self->dict;
    struct gatherer couples = {0}, keys = {0};
    struct text by = {"key", 3};
    if (c->self->kind != VALUE_DICT)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "dictsort: a %s is not a mapping",
                            value_type(c->self));
    if (call_has(c, 1))
        PTQI_TRY(call_text(c, 1, &by));
    for (int64_t i = 0; i < d->count; i++) {
        struct value couple;
        PTQI_TRY(make_couple(c->m, d->pairs[i].key, d->pairs[i].value, &couple));
        PTQI_TRY(gather(c->m, &couples, couple));
        PTQI_TRY(gather(c->m, &keys, text_is(by, "value") ? d->pairs[i].value : d->pairs[i].key));
    }
    PTQI_TRY(fold_all(c->m, call_flag(c, 0), &keys.list));
    return sort_by(c->m, &couples.list, keys.list.items, call_flag(c, 2), c->result);
}

static ptq_status unique(const struct call *c)
{
    const struct list *values;
    struct list keys;
    struct gatherer kept = {0}, seen = {0};
    PTQI_TRY(keys_of(c, 1, call_flag(c, 0), &values, &keys));
    for (int64_t i = 0; i < values->count; i++) {
        int found = 0;
        for (int64_t j = 0; j < seen.list.count && !found; j++)
            PTQI_TRY(are_equal(c->m, &keys.items[i], &seen.list.items[j], &found));
        if (found)
            continue;
        PTQI_TRY(gather(c->m, &seen, keys.items[i]));
        PTQI_TRY(gather(c->m, &kept, values->items[i]));
    }
    return gathered(c->m, &kept, VALUE_GENERATOR, c->result);
}

/* The item whose key is the least, or the greatest with sign -1; the first of equal ones. */
static ptq_status extreme(const struct call *c, int sign)
{
    const struct list *values;
    struct list keys;
    int64_t best = 0;
    PTQI_TRY(keys_of(c, 1, call_flag(c, 0), &values, &keys));
    for (int64_t i = 1; i < values->count; i++) {
        int order;
        PTQI_TRY(order_of(c->m, &keys.items[i], &keys.items[best], &order));
        if (sign < 0 ? order > 0 : order < 0)
            best = i;
    }
    *c->result = values->count ? values->items[best]
                               : value_undefined((struct text){"an aggregated item", 18});
    return PTQ_OK;
}

static ptq_status least(const struct call *c)
{
    return extreme(c, 1);
}

static ptq_status greatest(const struct call *c)
{
    return extreme(c, -1);
}

static ptq_status sum(const struct call *c)
{
    struct value total = call_has(c, 1) ? c->arguments.values[1] : value_integer(0);
    const struct list *values;
    struct gatherer all = {0};
    PTQI_TRY(items_of(c->m, c->self, &values));
    PTQI_TRY(attributes_of(c, values, 0, &all));
    for (int64_t i = 0; i < all.list.count; i++)
        PTQI_TRY(operate(c->m, (struct text){"+", 1}, &total, &all.list.items[i], &total));
    *c->result = total;
    return PTQ_OK;
}

static const struct routine filters[] = {
    {"length", length, "", 0},
    {"count", length, "", 0},
    {"default", use_default, "default_value boolean", 0},
    {"d", use_default, "default_value boolean", 0},
    {"list", list, "", 0},
    {"first", first, "", 0},
    {"last", last, "", 0},
    {"reverse", reverse, "", 0},
    {"join", join, "d attribute", 0},
    {"items", items, "", 0},
    {"dictsort", sort_dict, "case_sensitive by reverse", 0},
    {"sort", sort, "reverse case_sensitive attribute", 0},
    {"unique", unique, "case_sensitive attribute", 0},
    {"min", least, "case_sensitive attribute", 0},
    {"max", greatest, "case_sensitive attribute", 0},
    {"sum", sum, "attribute start", 0},
};

const struct routine *list_filter_find(struct text name)
{
    return routine_find(filters, (int)(sizeof filters / sizeof *filters), name);
}
