#include "jinja/collection.h"
#include <string.h>
#include "jinja/strings.h"

/* Space for one more element of an array in the arena. */
static ptq_status reserve(struct machine *m, void **array, int64_t count, int64_t *capacity,
                          int64_t size)
{
    if (count < *capacity)
        return PTQ_OK;
    const int64_t larger = *capacity * 2 + 4;
    void *copy = arena_alloc(m->arena, larger, size);
    if (!copy)
        return m->arena->status;
    if (count)
        memcpy(copy, *array, (size_t)(count * size));
    *array = copy;
    *capacity = larger;
    return PTQ_OK;
}

ptq_status gather(struct machine *m, struct gatherer *g, struct value value)
{
    PTQI_TRY(machine_work(m, 0));
    PTQI_TRY(
        reserve(m, (void **)&g->list.items, g->list.count, &g->capacity, (int64_t)sizeof value));
    g->list.items[g->list.count++] = value;
    return PTQ_OK;
}

ptq_status gathered(struct machine *m, const struct gatherer *g, enum value_kind kind,
                    struct value *out)
{
    struct list *list = arena_alloc(m->arena, 1, (int64_t)sizeof *list);
    *out = value_none();
    if (!list)
        return m->arena->status;
    *list = g->list;
    *out = (struct value){.kind = kind, .list = list};
    return PTQ_OK;
}

ptq_status make_couple(struct machine *m, struct value first, struct value second,
                       struct value *out)
{
    struct gatherer g = {0};
    PTQI_TRY(gather(m, &g, first));
    PTQI_TRY(gather(m, &g, second));
    return gathered(m, &g, VALUE_TUPLE, out);
}

static ptq_status gather_characters(struct machine *m, struct text text, struct gatherer *g)
{
    for (int64_t i = 0; i < text.length;) {
        const int size = text_character_size(text, i);
        PTQI_TRY(gather(m, g, value_string(text.bytes + i, size)));
        i += size;
    }
    return PTQ_OK;
}

static ptq_status gather_keys(struct machine *m, const struct dict *d, struct gatherer *g)
{
    for (int64_t i = 0; i < d->count; i++)
        PTQI_TRY(gather(m, g, d->pairs[i].key));
    return PTQ_OK;
}

ptq_status items_of(struct machine *m, const struct value *v, const struct list **list)
{
    struct gatherer g = {0};
    struct value all;
    if (value_is_listed(v) && v->kind != VALUE_GENERATOR) {
        *list = v->list;
        return PTQ_OK;
    }
    if (v->kind == VALUE_GENERATOR) {
        g.list = *v->list;
        v->list->count = 0;
    } else if (v->kind == VALUE_STRING) {
        PTQI_TRY(gather_characters(m, v->text, &g));
    } else if (v->kind == VALUE_DICT) {
        PTQI_TRY(gather_keys(m, v->dict, &g));
    } else if (v->kind != VALUE_UNDEFINED) {
        return machine_fail(m, PTQ_ERROR_FORMAT, "a value of type %s cannot be iterated over",
                            value_type(v));
    }
    PTQI_TRY(gathered(m, &g, VALUE_LIST, &all));
    *list = all.list;
    return PTQ_OK;
}

ptq_status length_of(struct machine *m, const struct value *v, int64_t *length)
{
    *length = 0;
    if (v->kind == VALUE_UNDEFINED)
        return PTQ_OK;
    if (v->kind == VALUE_STRING) {
        *length = text_characters(v->text);
        return machine_work(m, v->text.length);
    }
    if (v->kind == VALUE_DICT) {
        *length = v->dict->count;
        return PTQ_OK;
    }
    if (!value_is_listed(v) || v->kind == VALUE_GENERATOR)
        return machine_fail(m, PTQ_ERROR_FORMAT, "a value of type %s has no length", value_type(v));
    *length = v->list->count;
    return PTQ_OK;
}

ptq_status make_dict(struct machine *m, enum value_kind kind, struct value *out)
{
    struct dict *dict = arena_alloc(m->arena, 1, (int64_t)sizeof *dict);
    if (!dict)
        return m->arena->status;
    *dict = (struct dict){0};
    *out = (struct value){.kind = kind, .dict = dict};
    return PTQ_OK;
}

/* Keys are strings, numbers and None; 1, 1.0 and True are the same. */
static int same_key(const struct value *a, const struct value *b)
{
    if (a->kind == VALUE_STRING || b->kind == VALUE_STRING)
        return a->kind == b->kind && text_equal(a->text, b->text);
    if (value_is_whole(a) && value_is_whole(b))
        return a->integer == b->integer;
    if (value_is_number(a) && value_is_number(b))
        return value_as_real(a) == value_as_real(b);
    return a->kind == VALUE_NONE && b->kind == VALUE_NONE;
}

ptq_status dict_get(struct machine *m, const struct dict *d, const struct value *key,
                    struct value **found)
{
    int64_t i = 0;
    while (i < d->count && !same_key(&d->pairs[i].key, key))
        i++;
    *found = i < d->count ? &d->pairs[i].value : NULL;
    return machine_work(m, i * 8);
}

static int is_key(const struct value *v)
{
    return v->kind == VALUE_STRING || v->kind == VALUE_NONE || value_is_number(v);
}

ptq_status dict_set(struct machine *m, struct dict *d, struct value key, struct value value)
{
    struct value *old;
    if (!is_key(&key))
        return machine_fail(m, PTQ_ERROR_UNSUPPORTED, "a key of type %s is not supported",
                            value_type(&key));
    PTQI_TRY(dict_get(m, d, &key, &old));
    if (old) {
        *old = value;
        return PTQ_OK;
    }
    PTQI_TRY(reserve(m, (void **)&d->pairs, d->count, &d->capacity, (int64_t)sizeof *d->pairs));
    d->pairs[d->count++] = (struct pair){key, value};
    return PTQ_OK;
}

ptq_status namespace_set(struct machine *m, struct dict *d, struct text name, struct value value)
{
    if (name.length && name.bytes[0] == '_')
        return machine_refuse(m, "in a namespace, the name", name);
    return dict_set(m, d, value_string(name.bytes, name.length), value);
}
