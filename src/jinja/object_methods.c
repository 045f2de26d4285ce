#include "jinja/object_methods.h"
#include "jinja/collection.h"
#include "jinja/operators.h"
#include "jinja/text_methods.h"

static ptq_status get(const struct call *c)
{
    struct value *found, fallback = c->arguments.values[1];
    PTQI_TRY(dict_get(c->m, c->self->dict, &c->arguments.values[0], &found));
    *c->result = found ? *found : fallback.kind == VALUE_ABSENT ? value_none() : fallback;
    return PTQ_OK;
}

static ptq_status items(const struct call *c)
{
    const struct dict *d = c->self->dict;
    struct gatherer g = {0};
    for (int64_t i = 0; i < d->count; i++) {
        struct value couple;
        PTQI_TRY(make_couple(c->m, d->pairs[i].key, d->pairs[i].value, &couple));
        PTQI_TRY(gather(c->m, &g, couple));
    }
    return gathered(c->m, &g, VALUE_VIEW, c->result);
}

static ptq_status keys(const struct call *c)
{
    const struct dict *d = c->self->dict;
    struct gatherer g = {0};
    for (int64_t i = 0; i < d->count; i++)
        PTQI_TRY(gather(c->m, &g, d->pairs[i].key));
    return gathered(c->m, &g, VALUE_VIEW, c->result);
}

static ptq_status values(const struct call *c)
{
    const struct dict *d = c->self->dict;
    struct gatherer g = {0};
    for (int64_t i = 0; i < d->count; i++)
        PTQI_TRY(gather(c->m, &g, d->pairs[i].value));
    return gathered(c->m, &g, VALUE_VIEW, c->result);
}

/* Values do not change, so a copy is the same. */
static ptq_status copy(const struct call *c)
{
    *c->result = *c->self;
    return PTQ_OK;
}

static ptq_status count(const struct call *c)
{
    int64_t found = 0;
    for (int64_t i = 0; i < c->self->list->count; i++) {
        int equal;
        PTQI_TRY(are_equal(c->m, &c->self->list->items[i], &c->arguments.values[0], &equal));
        found += equal;
    }
    *c->result = value_integer(found);
    return PTQ_OK;
}

static const struct routine dict_methods[] = {
    {"get", get, "key default", 1}, {"items", items, "", 0},   {"keys", keys, "", 0},
    {"values", values, "", 0},      {"copy", copy, "", 0},     {"clear", NULL, NULL, 0},
    {"fromkeys", NULL, NULL, 0},    {"pop", NULL, NULL, 0},    {"popitem", NULL, NULL, 0},
    {"setdefault", NULL, NULL, 0},  {"update", NULL, NULL, 0},
};

/* Those that change a list are forbidden in chat templates. */
static const struct routine list_methods[] = {
    {"copy", copy, "", 0},      {"count", count, "value", 1}, {"append", NULL, NULL, 0},
    {"clear", NULL, NULL, 0},   {"extend", NULL, NULL, 0},    {"index", NULL, NULL, 0},
    {"insert", NULL, NULL, 0},  {"pop", NULL, NULL, 0},       {"remove", NULL, NULL, 0},
    {"reverse", NULL, NULL, 0}, {"sort", NULL, NULL, 0},
};

static const struct routine tuple_methods[] = {
    {"count", count, "value", 1},
    {"index", NULL, NULL, 0},
};

const struct routine *method_find(const struct value *object, struct text name)
{
    switch (object->kind) {
    case VALUE_STRING:
        return text_method_find(name);
    case VALUE_DICT:
        return routine_find(dict_methods, (int)(sizeof dict_methods / sizeof *dict_methods), name);
    case VALUE_LIST:
        return routine_find(list_methods, (int)(sizeof list_methods / sizeof *list_methods), name);
    case VALUE_TUPLE:
        return routine_find(tuple_methods, (int)(sizeof tuple_methods / sizeof *tuple_methods),
                            name);
    default:
        return NULL;
    }
}
