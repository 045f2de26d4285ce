#include "jinja/checks.h"
#include "jinja/operators.h"

static ptq_status give(const struct call *c, int truth)
{
    *c->result = value_bool(truth);
    return PTQ_OK;
}

static ptq_status is_defined(const struct call *c)
{
    return give(c, c->self->kind != VALUE_UNDEFINED);
}

static ptq_status is_undefined(const struct call *c)
{
    return give(c, c->self->kind == VALUE_UNDEFINED);
}

static ptq_status is_none(const struct call *c)
{
    return give(c, c->self->kind == VALUE_NONE);
}

static ptq_status is_boolean(const struct call *c)
{
    return give(c, c->self->kind == VALUE_BOOL);
}

static ptq_status is_true(const struct call *c)
{
    return give(c, c->self->kind == VALUE_BOOL && c->self->integer);
}

static ptq_status is_false(const struct call *c)
{
    return give(c, c->self->kind == VALUE_BOOL && !c->self->integer);
}

static ptq_status is_integer(const struct call *c)
{
    return give(c, c->self->kind == VALUE_INTEGER);
}

static ptq_status is_float(const struct call *c)
{
    return give(c, c->self->kind == VALUE_REAL);
}

static ptq_status is_number(const struct call *c)
{
    return give(c, value_is_number(c->self));
}

static ptq_status is_string(const struct call *c)
{
    return give(c, c->self->kind == VALUE_STRING);
}

static ptq_status is_mapping(const struct call *c)
{
    return give(c, c->self->kind == VALUE_DICT);
}

static int can_iterate(const struct value *v)
{
    return value_is_listed(v) || v->kind == VALUE_STRING || v->kind == VALUE_DICT ||
           v->kind == VALUE_UNDEFINED || v->kind == VALUE_LOOP;
}

static ptq_status is_iterable(const struct call *c)
{
    return give(c, can_iterate(c->self));
}

/* What has a length and can be indexed; to jinja2, that includes what is undefined. */
static ptq_status is_sequence(const struct call *c)
{
    const enum value_kind kind = c->self->kind;
    return give(c, can_iterate(c->self) && kind != VALUE_VIEW && kind != VALUE_GENERATOR &&
                       kind != VALUE_LOOP);
}

static ptq_status is_callable(const struct call *c)
{
    const enum value_kind kind = c->self->kind;
    return give(c, kind == VALUE_MACRO || kind == VALUE_FUNCTION || kind == VALUE_METHOD);
}

static ptq_status remainder_of(const struct call *c, int64_t by, int64_t *rest)
{
    *rest = 0;
    if (!value_is_whole(c->self) || !by)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "a %s has no remainder", value_type(c->self));
    *rest = by == -1 ? 0 : c->self->integer % by;
    return PTQ_OK;
}

static ptq_status is_even(const struct call *c)
{
    int64_t rest;
    PTQI_TRY(remainder_of(c, 2, &rest));
    return give(c, rest == 0);
}

static ptq_status is_odd(const struct call *c)
{
    int64_t rest;
    PTQI_TRY(remainder_of(c, 2, &rest));
    return give(c, rest != 0);
}

static ptq_status is_divisible(const struct call *c)
{
    int64_t by, rest;
    PTQI_TRY(call_integer(c, 0, &by));
    PTQI_TRY(remainder_of(c, by, &rest));
    return give(c, rest == 0);
}

static ptq_status is_compared(const struct call *c, const char *op, int length)
{
    int truth;
    PTQI_TRY(compare(c->m, (struct text){op, length}, c->self, &c->arguments.values[0], &truth));
    return give(c, truth);
}

static ptq_status is_equal(const struct call *c)
{
    return is_compared(c, "==", 2);
}

static ptq_status is_unequal(const struct call *c)
{
    return is_compared(c, "!=", 2);
}

static ptq_status is_less(const struct call *c)
{
    return is_compared(c, "<", 1);
}

static ptq_status is_at_most(const struct call *c)
{
    return is_compared(c, "<=", 2);
}

static ptq_status is_greater(const struct call *c)
{
    return is_compared(c, ">", 1);
}

static ptq_status is_at_least(const struct call *c)
{
    return is_compared(c, ">=", 2);
}

static ptq_status is_contained(const struct call *c)
{
    return is_compared(c, "in", 2);
}

static const struct routine tests[] = {
    {"defined", is_defined, "", 0},
    {"undefined", is_undefined, "", 0},
    {"none", is_none, "", 0},
    {"boolean", is_boolean, "", 0},
    {"true", is_true, "", 0},
    {"false", is_false, "", 0},
    {"integer", is_integer, "", 0},
    {"float", is_float, "", 0},
    {"number", is_number, "", 0},
    {"string", is_string, "", 0},
    {"mapping", is_mapping, "", 0},
    {"iterable", is_iterable, "", 0},
    {"sequence", is_sequence, "", 0},
    {"callable", is_callable, "", 0},
    {"even", is_even, "", 0},
    {"odd", is_odd, "", 0},
    {"divisibleby", is_divisible, "num", 1},
    {"eq", is_equal, "other", 1},
    {"equalto", is_equal, "other", 1},
    {"==", is_equal, "other", 1},
    {"ne", is_unequal, "other", 1},
    {"!=", is_unequal, "other", 1},
    {"lt", is_less, "other", 1},
    {"lessthan", is_less, "other", 1},
    {"<", is_less, "other", 1},
    {"le", is_at_most, "other", 1},
    {"<=", is_at_most, "other", 1},
    {"gt", is_greater, "other", 1},
    {"greaterthan", is_greater, "other", 1},
    {">", is_greater, "other", 1},
    {"ge", is_at_least, "other", 1},
    {">=", is_at_least, "other", 1},
    {"in", is_contained, "seq", 1},
};

ptq_status check(struct machine *m, struct text name, const struct value *v,
                 const struct arguments *arguments, int *truth)
{
    const struct routine *test = routine_find(tests, (int)(sizeof tests / sizeof *tests), name);
    struct value result = value_bool(0);
    if (!test)
        return machine_refuse(m, "the test", name);
    PTQI_TRY(routine_call(m, "the test", test, v, arguments, &result));
    *truth = value_is_true(&result);
    return PTQ_OK;
}
