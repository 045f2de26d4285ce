#include "jinja/access.h"
#include "jinja/collection.h"
#include "jinja/object_methods.h"
#include "jinja/strings.h"

static struct value neighbour(const struct loop *loop, int64_t index, struct text name)
{
    const int is_there = index >= 0 && index < loop->list.count;
    return is_there ? loop->list.items[index] : value_undefined(name);
}

/* The condition of a loop is tested late, as jinja2 does: an attribute that looks ahead tests the
 * next item, or all. */
static ptq_status look_ahead(struct machine *m, struct loop *l, struct text name)
{
    static const struct {
        const char *name;
        int all;
    } ahead[] = {{"last", 0}, {"nextitem", 0}, {"length", 1}, {"revindex", 1}, {"revindex0", 1}};
    for (size_t i = 0; i < sizeof ahead / sizeof *ahead; i++)
        if (text_is(name, ahead[i].name))
            return m->extend_loop(m, l, ahead[i].all ? INT64_MAX : l->index + 2);
    return PTQ_OK;
}

static ptq_status loop_attribute(struct machine *m, struct loop *l, struct text name,
                                 struct value *out)
{
    PTQI_TRY(look_ahead(m, l, name));
    const int64_t count = l->list.count;
    const struct {
        const char *name;
        struct value value;
    } attributes[] = {
        {"index", value_integer(l->index + 1)},
        {"index0", value_integer(l->index)},
        {"revindex", value_integer(count - l->index)},
        {"revindex0", value_integer(count - l->index - 1)},
        {"first", value_bool(l->index == 0)},
        {"last", value_bool(l->index == count - 1)},
        {"length", value_integer(count)},
        {"depth", value_integer(1)}, /* of recursive loops */
        {"depth0", value_integer(0)},
        {"previtem", neighbour(l, l->index - 1, name)},
        {"nextitem", neighbour(l, l->index + 1, name)},
    };
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (text_is(name, attributes[i].name)) {
            *out = attributes[i].value;
            return PTQ_OK;
        }
    return machine_refuse(m, "of a loop, the attribute", name);
}

static ptq_status fail_undefined(struct machine *m, struct text name)
{
    return machine_fail(m, PTQ_ERROR_FORMAT, "'%.*s' is undefined", (int)ptqi_min(name.length, 40),
                        name.bytes);
}

static ptq_status bind_method(struct machine *m, const struct routine *routine,
                              const struct value *object, struct value *out)
{
    struct method *method = arena_alloc(m->arena, 1, (int64_t)sizeof *method);
    if (!method)
        return m->arena->status;
    if (object->markup)
        return machine_fail(m, PTQ_ERROR_UNSUPPORTED,
                            "a method of a result of 'safe' is not supported");
    *method = (struct method){routine, *object};
    *out = (struct value){.kind = VALUE_METHOD, .method = method};
    return PTQ_OK;
}

/* The value of a key, if object is a dict or namespace that has it. */
static ptq_status member(struct machine *m, const struct value *object, const struct value *key,
                         struct value **found)
{
    *found = NULL;
    if (object->kind != VALUE_DICT && object->kind != VALUE_NAMESPACE)
        return PTQ_OK;
    return dict_get(m, object->dict, key, found);
}

ptq_status access_attribute(struct machine *m, const struct value *object, struct text name,
                            struct value *out)
{
    const struct value key = value_string(name.bytes, name.length);
    const struct routine *routine = method_find(object, name);
    struct value *found;
    if (object->kind == VALUE_UNDEFINED)
        return fail_undefined(m, object->text);
    if (object->kind == VALUE_LOOP)
        return loop_attribute(m, object->loop, name, out);
    if (routine)
        return bind_method(m, routine, object, out);
    PTQI_TRY(member(m, object, &key, &found));
    *out = found ? *found : value_undefined(name);
    return PTQ_OK;
}

/* Where an index points to, counted from the end if it is negative; -1 if there is nothing. */
static int64_t place_of(int64_t index, int64_t count)
{
    if (index < 0)
        index += count;
    return index >= 0 && index < count ? index : -1;
}

static ptq_status item_at(struct machine *m, const struct value *object, int64_t index,
                          struct value *out)
{
    int64_t count;
    PTQI_TRY(length_of(m, object, &count));
    const int64_t place = place_of(index, count);
    if (place < 0) {
        *out = value_undefined((struct text){"an item", 7});
    } else if (object->kind == VALUE_STRING) {
        const int64_t begin = text_offset(object->text, place);
        *out = value_string(object->text.bytes + begin, text_character_size(object->text, begin));
    } else {
        *out = object->list->items[place];
    }
    return PTQ_OK;
}

static int is_indexed(const struct value *v)
{
    return v->kind == VALUE_STRING || v->kind == VALUE_LIST || v->kind == VALUE_TUPLE ||
           v->kind == VALUE_RANGE;
}

ptq_status access_item(struct machine *m, const struct value *object, const struct value *key,
                       struct value *out)
{
    struct value *found;
    if (object->kind == VALUE_UNDEFINED)
        return fail_undefined(m, object->text);
    if (is_indexed(object) && value_is_whole(key))
        return item_at(m, object, key->integer, out);
    PTQI_TRY(member(m, object, key, &found));
    if (found)
        *out = *found;
    else if (key->kind == VALUE_STRING)
        return access_attribute(m, object, key->text, out);
    else
        *out = value_undefined((struct text){"an item", 7});
    return PTQ_OK;
}

/* A bound of a slice, within lowest .. highest. */
static ptq_status read_bound(struct machine *m, const struct value *bound, int64_t count,
                             int64_t fallback, int64_t lowest, int64_t highest, int64_t *out)
{
    *out = fallback;
    if (bound->kind == VALUE_NONE)
        return PTQ_OK;
    if (!value_is_whole(bound))
        return machine_fail(m, PTQ_ERROR_FORMAT, "a bound of a slice is %s, not an integer",
                            value_type(bound));
    *out = bound->integer < 0 ? bound->integer + count : bound->integer;
    *out = ptqi_max(lowest, ptqi_min(*out, highest));
    return PTQ_OK;
}

/* The first index, the one behind the last, and the step. */
static ptq_status read_bounds(struct machine *m, const struct value bounds[3], int64_t count,
                              int64_t *begin, int64_t *end, int64_t *step)
{
    *step = 1;
    *begin = *end = 0;
    if (bounds[2].kind != VALUE_NONE) {
        if (!value_is_whole(&bounds[2]) || !bounds[2].integer || bounds[2].integer < -(1 << 30) ||
            bounds[2].integer > 1 << 30)
            return machine_fail(m, PTQ_ERROR_FORMAT, "the step of a slice is not an integer");
        *step = bounds[2].integer;
    }
    const int forward = *step > 0;
    const int64_t lowest = forward ? 0 : -1, highest = forward ? count : count - 1;
    PTQI_TRY(read_bound(m, &bounds[0], count, forward ? 0 : count - 1, lowest, highest, begin));
    return read_bound(m, &bounds[1], count, forward ? count : -1, lowest, highest, end);
}

static ptq_status slice_text(struct machine *m, struct text text, int64_t begin, int64_t end,
                             struct value *out)
{
    const int64_t from = text_offset(text, begin);
    const struct text rest = text_part(text, from, text.length);
    const struct text part = text_part(rest, 0, text_offset(rest, ptqi_max(end - begin, 0)));
    *out = value_string(part.bytes, part.length);
    return machine_work(m, text.length);
}

/* A slice with a step, of the characters if it is a string. */
static ptq_status slice_items(struct machine *m, const struct value *object, int64_t begin,
                              int64_t end, int64_t step, struct value *out)
{
    const struct list *list;
    struct gatherer g = {0};
    struct builder text = {.arena = m->arena};
    PTQI_TRY(items_of(m, object, &list));
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
        const struct value *item = &list->items[i];
        if (object->kind == VALUE_STRING)
            PTQI_TRY(builder_add(&text, item->text.bytes, item->text.length));
        else
            PTQI_TRY(gather(m, &g, *item));
    }
    if (object->kind != VALUE_STRING)
        return gathered(m, &g, object->kind, out);
    *out = value_string(text.bytes, text.length);
    return PTQ_OK;
}

ptq_status access_slice(struct machine *m, const struct value *object, const struct value bounds[3],
                        struct value *out)
{
    int64_t count, begin, end, step;
    if (object->kind == VALUE_UNDEFINED)
        return fail_undefined(m, object->text);
    if (!is_indexed(object) || object->markup) {
        if (object->markup)
            return machine_fail(m, PTQ_ERROR_UNSUPPORTED,
                                "a slice of a result of 'safe' is not supported");
        *out = value_undefined((struct text){"a slice", 7});
        return PTQ_OK;
    }
    PTQI_TRY(length_of(m, object, &count));
    PTQI_TRY(read_bounds(m, bounds, count, &begin, &end, &step));
    if (object->kind == VALUE_STRING && step == 1)
        return slice_text(m, object->text, begin, end, out);
    return slice_items(m, object, begin, end, step, out);
}
