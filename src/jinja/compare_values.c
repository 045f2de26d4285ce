#include <string.h>
#include "jinja/collection.h"
#include "jinja/operators.h"
#include "jinja/strings.h"

static ptq_status equal_lists(struct machine *m, const struct list *a, const struct list *b,
                              int *equal)
{
    *equal = a->count == b->count;
    for (int64_t i = 0; *equal && i < a->count; i++)
        PTQI_TRY(are_equal(m, &a->items[i], &b->items[i], equal));
    return PTQ_OK;
}

/* The order of keys does not matter. */
static ptq_status equal_dicts(struct machine *m, const struct dict *a, const struct dict *b,
                              int *equal)
{
    *equal = a->count == b->count;
    for (int64_t i = 0; *equal && i < a->count; i++) {
        struct value *other;
        PTQI_TRY(dict_get(m, b, &a->pairs[i].key, &other));
        *equal = other != NULL;
        if (other)
            PTQI_TRY(are_equal(m, &a->pairs[i].value, other, equal));
    }
    return PTQ_OK;
}

static ptq_status equal_kinds(struct machine *m, const struct value *a, const struct value *b,
                              int *equal)
{
    switch (a->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        *equal = 1;
        return PTQ_OK;
    case VALUE_STRING:
        *equal = text_equal(a->text, b->text);
        return machine_work(m, a->text.length);
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
        return equal_lists(m, a->list, b->list, equal);
    case VALUE_DICT:
        return equal_dicts(m, a->dict, b->dict, equal);
    case VALUE_NAMESPACE:
        *equal = a->dict == b->dict;
        return PTQ_OK;
    default:
        return machine_fail(m, PTQ_ERROR_UNSUPPORTED, "comparing a %s is not supported",
                            value_type(a));
    }
}

ptq_status are_equal(struct machine *m, const struct value *a, const struct value *b, int *equal)
{
    *equal = 0;
    PTQI_TRY(machine_work(m, 0));
    if (value_is_whole(a) && value_is_whole(b))
        *equal = a->integer == b->integer;
    else if (value_is_number(a) && value_is_number(b))
        *equal = value_as_real(a) == value_as_real(b);
    else if (a->kind == b->kind) {
        PTQI_TRY(machine_enter(m));
        PTQI_TRY(equal_kinds(m, a, b, equal));
        machine_leave(m);
    }
    return PTQ_OK;
}

/* The first elements that differ decide. */
static ptq_status order_lists(struct machine *m, const struct list *a, const struct list *b,
                              int *order)
{
    int equal = 1;
    int64_t i = 0;
    for (; equal && i < a->count && i < b->count; i++)
        PTQI_TRY(are_equal(m, &a->items[i], &b->items[i], &equal));
    *order = (a->count > b->count) - (a->count < b->count);
    return equal ? PTQ_OK : order_of(m, &a->items[i - 1], &b->items[i - 1], order);
}

ptq_status order_of(struct machine *m, const struct value *a, const struct value *b, int *order)
{
    PTQI_TRY(machine_work(m, 0));
    if (value_is_number(a) && value_is_number(b)) {
        const double x = value_as_real(a), y = value_as_real(b);
        *order = (x > y) - (x < y);
        if (value_is_whole(a) && value_is_whole(b))
            *order = (a->integer > b->integer) - (a->integer < b->integer);
        return PTQ_OK;
    }
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        *order = text_compare(a->text, b->text);
        return machine_work(m, a->text.length);
    }
    if (a->kind != b->kind || (a->kind != VALUE_LIST && a->kind != VALUE_TUPLE))
        return machine_fail(m, PTQ_ERROR_FORMAT, "%s and %s have no order", value_type(a),
                            value_type(b));
    PTQI_TRY(machine_enter(m));
    PTQI_TRY(order_lists(m, a->list, b->list, order));
    machine_leave(m);
    return PTQ_OK;
}

ptq_status is_in(struct machine *m, const struct value *a, const struct value *b, int *truth)
{
    const struct list *list;
    struct value *found;
    *truth = 0;
    if (b->kind == VALUE_STRING) {
        if (a->kind != VALUE_STRING)
            return machine_fail(m, PTQ_ERROR_FORMAT, "a string cannot contain a %s", value_type(a));
        *truth = text_find(b->text, a->text) >= 0;
        return machine_work(m, b->text.length);
    }
    if (b->kind == VALUE_DICT) {
        PTQI_TRY(dict_get(m, b->dict, a, &found));
        *truth = found != NULL;
        return PTQ_OK;
    }
    PTQI_TRY(items_of(m, b, &list));
    for (int64_t i = 0; i < list->count && !*truth; i++)
        PTQI_TRY(are_equal(m, a, &list->items[i], truth));
    return PTQ_OK;
}

ptq_status compare(struct machine *m, struct text op, const struct value *a, const struct value *b,
                   int *truth)
{
    static const struct {
        const char *op;
        int less, equal, greater; /* the result */
    } orders[] = {{"<", 1, 0, 0}, {"<=", 1, 1, 0}, {">", 0, 0, 1}, {">=", 0, 1, 1}};
    if (text_is(op, "=="))
        return are_equal(m, a, b, truth);
    if (text_is(op, "!=")) {
        PTQI_TRY(are_equal(m, a, b, truth));
        *truth = !*truth;
        return PTQ_OK;
    }
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        int order;
        if (!text_is(op, orders[i].op))
            continue;
        PTQI_TRY(order_of(m, a, b, &order));
        *truth = order < 0 ? orders[i].less : order ? orders[i].greater : orders[i].equal;
        return PTQ_OK;
    }
    PTQI_TRY(is_in(m, a, b, truth));
    *truth = *truth == text_is(op, "in");
    return PTQ_OK;
}

ptq_status sort_by(struct machine *m, const struct list *list, const struct value *keys,
                   int descending, struct value *out)
{
    struct gatherer g = {0};
    int64_t *places = arena_alloc(m->arena, list->count, (int64_t)sizeof *places);
    if (!places)
        return m->arena->status;
    for (int64_t i = 0; i < list->count; i++) {
        int64_t at = i;
        for (; at > 0; at--) { /* insertion; the steps are bounded */
            int order;
            PTQI_TRY(order_of(m, &keys[places[at - 1]], &keys[i], &order));
            if (descending ? order >= 0 : order <= 0)
                break;
            places[at] = places[at - 1];
        }
        places[at] = i;
    }
    for (int64_t i = 0; i < list->count; i++)
        PTQI_TRY(gather(m, &g, list->items[places[i]]));
    return gathered(m, &g, VALUE_LIST, out);
}
