#include "jinja/filters.h"
#include "jinja/checks.h"
#include "jinja/collection.h"
#include "jinja/list_filters.h"
#include "jinja/text_filters.h"

/* All but the first `count` positional arguments. */
static struct arguments without(const struct arguments *a, int count)
{
    struct arguments rest = *a;
    rest.values = count ? a->values + count : a->values;
    rest.count -= count;
    return rest;
}

/* The name of a filter, a test or an attribute, as argument i. */
static ptq_status name_argument(const struct call *c, int i, struct text *name)
{
    if (i >= c->arguments.count || c->arguments.values[i].kind != VALUE_STRING)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "a filter needs the name of what it applies");
    *name = c->arguments.values[i].text;
    return PTQ_OK;
}

static const struct value *keyword_argument(const struct call *c, const char *name)
{
    for (int i = 0; i < c->arguments.keyword_count; i++)
        if (text_is(c->arguments.keywords[i].name, name))
            return &c->arguments.keywords[i].value;
    return NULL;
}

/* The items of the input; none if it is false, such as None. */
static ptq_status items_if_any(const struct call *c, const struct list **items)
{
    static const struct list none = {NULL, 0};
    *items = &none;
    return value_is_true(c->self) ? items_of(c->m, c->self, items) : PTQ_OK;
}

/* map(attribute=path, default=value) */
static ptq_status map_attribute(const struct call *c, const struct value *path,
                                const struct value *item, struct value *out)
{
    const struct value *fallback = keyword_argument(c, "default");
    if (fallback && fallback->kind == VALUE_NONE)
        fallback = NULL;
    return follow_path(c->m, item, path, fallback, out);
}

/* map(filter, arguments of the filter...) */
static ptq_status map_filter(const struct call *c, const struct value *item, struct value *out)
{
    const struct arguments rest = without(&c->arguments, 1);
    struct text name;
    PTQI_TRY(name_argument(c, 0, &name));
    return filter(c->m, name, item, &rest, out);
}

static ptq_status map(const struct call *c)
{
    const struct value *path = c->arguments.count ? NULL : keyword_argument(c, "attribute");
    const struct list *items;
    struct gatherer g = {0};
    PTQI_TRY(items_if_any(c, &items));
    for (int64_t i = 0; i < items->count; i++) {
        struct value v;
        PTQI_TRY(path ? map_attribute(c, path, &items->items[i], &v)
                      : map_filter(c, &items->items[i], &v));
        PTQI_TRY(gather(c->m, &g, v));
    }
    return gathered(c->m, &g, VALUE_GENERATOR, c->result);
}

/* Whether an item passes the test that the arguments name from number `at` on; without a test,
 * whether it is true. */
static ptq_status passes(const struct call *c, int at, const struct value *item, int *truth)
{
    struct text name;
    *truth = value_is_true(item);
    if (at >= c->arguments.count)
        return PTQ_OK;
    const struct arguments rest = without(&c->arguments, at + 1);
    PTQI_TRY(name_argument(c, at, &name));
    return check(c->m, name, item, &rest, truth);
}

/* The items that pass a test (wanted 1) or do not (0); with by_attribute, what the path in the
 * first argument finds in them is tested. */
static ptq_status choose(const struct call *c, int wanted, int by_attribute)
{
    const struct list *items;
    struct gatherer g = {0};
    struct text path;
    if (by_attribute)
        PTQI_TRY(name_argument(c, 0, &path));
    PTQI_TRY(items_if_any(c, &items));
    for (int64_t i = 0; i < items->count; i++) {
        struct value tested = items->items[i];
        int truth;
        if (by_attribute)
            PTQI_TRY(follow_path(c->m, &items->items[i], &c->arguments.values[0], NULL, &tested));
        PTQI_TRY(passes(c, by_attribute, &tested, &truth));
        if (truth == wanted)
            PTQI_TRY(gather(c->m, &g, items->items[i]));
    }
    return gathered(c->m, &g, VALUE_GENERATOR, c->result);
}

static ptq_status select_items(const struct call *c)
{
    return choose(c, 1, 0);
}

static ptq_status reject_items(const struct call *c)
{
    return choose(c, 0, 0);
}

static ptq_status select_by_attribute(const struct call *c)
{
    return choose(c, 1, 1);
}

static ptq_status reject_by_attribute(const struct call *c)
{
    return choose(c, 0, 1);
}

/* Those that apply other filters and tests. */
static const struct routine filters[] = {
    {"map", map, NULL, 0},
    {"select", select_items, NULL, 0},
    {"reject", reject_items, NULL, 0},
    {"selectattr", select_by_attribute, NULL, 0},
    {"rejectattr", reject_by_attribute, NULL, 0},
};

ptq_status filter(struct machine *m, struct text name, const struct value *input,
                  const struct arguments *arguments, struct value *result)
{
    const struct routine *f = text_filter_find(name);
    f = f ? f : list_filter_find(name);
    f = f ? f : routine_find(filters, (int)(sizeof filters / sizeof *filters), name);
    if (!f)
        return machine_refuse(m, "the filter", name);
    PTQI_TRY(machine_enter(m));
    PTQI_TRY(routine_call(m, "the filter", f, input, arguments, result));
    machine_leave(m);
    return PTQ_OK;
}
