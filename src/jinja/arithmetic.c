#include <math.h>
#include <string.h>
#include "jinja/collection.h"
#include "jinja/operators.h"
#include "jinja/print.h"

static ptq_status too_large(struct machine *m)
{
    return machine_fail(m, PTQ_ERROR_BOUNDS, "an integer is too large");
}

static ptq_status divided_by_zero(struct machine *m)
{
    return machine_fail(m, PTQ_ERROR_FORMAT, "division by zero");
}

static ptq_status add_integers(struct machine *m, int64_t a, int64_t b, struct value *out)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
        return too_large(m);
    *out = value_integer(a + b);
    return PTQ_OK;
}

static ptq_status subtract_integers(struct machine *m, int64_t a, int64_t b, struct value *out)
{
    if (b < 0 ? a > INT64_MAX + b : a < INT64_MIN + b)
        return too_large(m);
    *out = value_integer(a - b);
    return PTQ_OK;
}

static ptq_status multiply_integers(struct machine *m, int64_t a, int64_t b, struct value *out)
{
    int64_t product;
    if (a == INT64_MIN || b == INT64_MIN ||
        !ptqi_multiply(a < 0 ? -a : a, b < 0 ? -b : b, &product))
        return too_large(m);
    *out = value_integer((a < 0) != (b < 0) ? -product : product);
    return PTQ_OK;
}

/* The quotient is rounded down, and the remainder has the sign of b. */
static ptq_status floor_integers(struct machine *m, int64_t a, int64_t b, struct value *out)
{
    if (!b)
        return divided_by_zero(m);
    if (a == INT64_MIN)
        return too_large(m);
    *out = value_integer(a / b - (a % b != 0 && (a < 0) != (b < 0)));
    return PTQ_OK;
}

static ptq_status remain_integers(struct machine *m, int64_t a, int64_t b, struct value *out)
{
    if (!b)
        return divided_by_zero(m);
    if (a == INT64_MIN)
        return too_large(m);
    const int64_t rest = a % b;
    *out = value_integer(rest && (rest < 0) != (b < 0) ? rest + b : rest);
    return PTQ_OK;
}

static ptq_status raise_integers(struct machine *m, int64_t a, int64_t b, struct value *out)
{
    if (b < 0)
        return machine_fail(m, PTQ_ERROR_UNSUPPORTED, "a negative power is not supported");
    *out = value_integer(1);
    for (int64_t i = 0; i < b; i++) {
        PTQI_TRY(machine_work(m, 0));
        PTQI_TRY(multiply_integers(m, out->integer, a, out));
    }
    return PTQ_OK;
}

static ptq_status divide_integers(struct machine *m, int64_t a, int64_t b, struct value *out)
{
    if (!b)
        return divided_by_zero(m);
    if (a > (1LL << 53) || a < -(1LL << 53) || b > (1LL << 53) || b < -(1LL << 53))
        return too_large(m);
    *out = value_real((double)a / (double)b);
    return PTQ_OK;
}

static ptq_status add_reals(struct machine *m, double a, double b, struct value *out)
{
    (void)m;
    *out = value_real(a + b);
    return PTQ_OK;
}

static ptq_status subtract_reals(struct machine *m, double a, double b, struct value *out)
{
    (void)m;
    *out = value_real(a - b);
    return PTQ_OK;
}

static ptq_status multiply_reals(struct machine *m, double a, double b, struct value *out)
{
    (void)m;
    *out = value_real(a * b);
    return PTQ_OK;
}

static ptq_status divide_reals(struct machine *m, double a, double b, struct value *out)
{
    if (b == 0)
        return divided_by_zero(m);
    *out = value_real(a / b);
    return PTQ_OK;
}

static const struct {
    const char *op;
    ptq_status (*integers)(struct machine *m, int64_t a, int64_t b, struct value *out);
    ptq_status (*reals)(struct machine *m, double a, double b, struct value *out);
} arithmetic[] = {
    {"+", add_integers, add_reals},
    {"-", subtract_integers, subtract_reals},
    {"*", multiply_integers, multiply_reals},
    {"/", divide_integers, divide_reals},
    {"//", floor_integers, NULL},
    {"%", remain_integers, NULL},
    {"**", raise_integers, NULL},
};

static ptq_status operate_numbers(struct machine *m, struct text op, const struct value *a,
                                  const struct value *b, struct value *out)
{
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++) {
        if (!text_is(op, arithmetic[i].op))
            continue;
        if (value_is_whole(a) && value_is_whole(b))
            return arithmetic[i].integers(m, a->integer, b->integer, out);
        if (arithmetic[i].reals)
            return arithmetic[i].reals(m, value_as_real(a), value_as_real(b), out);
    }
    return machine_refuse(m, "on real numbers, the operator", op);
}

static ptq_status join_texts(struct machine *m, struct text a, struct text b, struct value *out)
{
    struct builder joined = {.arena = m->arena};
    PTQI_TRY(machine_work(m, a.length + b.length));
    PTQI_TRY(builder_add(&joined, a.bytes, a.length));
    PTQI_TRY(builder_add(&joined, b.bytes, b.length));
    *out = value_string(joined.bytes, joined.length);
    return PTQ_OK;
}

static ptq_status join_lists(struct machine *m, const struct value *a, const struct value *b,
                             struct value *out)
{
    struct gatherer g = {0};
    for (int64_t i = 0; i < a->list->count; i++)
        PTQI_TRY(gather(m, &g, a->list->items[i]));
    for (int64_t i = 0; i < b->list->count; i++)
        PTQI_TRY(gather(m, &g, b->list->items[i]));
    return gathered(m, &g, a->kind, out);
}

static ptq_status repeat_text(struct machine *m, struct text text, int64_t times, struct value *out)
{
    struct builder b = {.arena = m->arena};
    for (int64_t i = 0; i < times && text.length; i++) {
        PTQI_TRY(machine_work(m, text.length));
        PTQI_TRY(builder_add(&b, text.bytes, text.length));
    }
    *out = value_string(b.bytes, b.length);
    return PTQ_OK;
}

static ptq_status repeat_list(struct machine *m, const struct value *v, int64_t times,
                              struct value *out)
{
    struct gatherer g = {0};
    for (int64_t i = 0; i < times && v->list->count; i++)
        for (int64_t j = 0; j < v->list->count; j++)
            PTQI_TRY(gather(m, &g, v->list->items[j]));
    return gathered(m, &g, v->kind, out);
}

static int is_sequence(const struct value *v)
{
    return v->kind == VALUE_LIST || v->kind == VALUE_TUPLE;
}

/* A string or list times a number. */
static ptq_status repeat(struct machine *m, const struct value *v, const struct value *times,
                         struct value *out)
{
    if (v->kind == VALUE_STRING)
        return repeat_text(m, v->text, times->integer, out);
    return repeat_list(m, v, times->integer, out);
}

static int can_repeat(const struct value *v, const struct value *times)
{
    return (v->kind == VALUE_STRING || is_sequence(v)) && value_is_whole(times);
}

static ptq_status concatenate(struct machine *m, const struct value *a, const struct value *b,
                              struct value *out)
{
    struct text left, right;
    PTQI_TRY(text_of(m, a, &left));
    PTQI_TRY(text_of(m, b, &right));
    return join_texts(m, left, right, out);
}

/* A text in which the characters that HTML uses are escaped, unless it is the result of `safe`. */
static ptq_status escape(struct machine *m, const struct value *v, struct text *out)
{
    static const char plain[] = "&<>'\"";
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct builder b = {.arena = m->arena};
    PTQI_TRY(machine_work(m, v->text.length * 16));
    *out = v->text;
    if (v->markup)
        return PTQ_OK;
    for (int64_t i = 0; i < v->text.length; i++) {
        const char *const at = v->text.bytes + i, *const found = *at ? strchr(plain, *at) : NULL;
        const char *const escaped = found ? escapes[found - plain] : at;
        PTQI_TRY(builder_add(&b, escaped, found ? (int64_t)strlen(escaped) : 1));
    }
    *out = text_make(b.bytes, b.length);
    return PTQ_OK;
}

/* What is added to a result of `safe` is escaped, even without autoescape. */
static ptq_status operate_markup(struct machine *m, struct text op, const struct value *a,
                                 const struct value *b, struct value *out)
{
    struct text left, right;
    if (!text_is(op, "+") || a->kind != VALUE_STRING || b->kind != VALUE_STRING)
        return machine_refuse(m, "with a result of 'safe', the operator", op);
    PTQI_TRY(escape(m, a, &left));
    PTQI_TRY(escape(m, b, &right));
    PTQI_TRY(join_texts(m, left, right, out));
    out->markup = 1;
    return PTQ_OK;
}

static ptq_status fail_types(struct machine *m, struct text op, const struct value *a,
                             const struct value *b)
{
    const struct value *undefined = a->kind == VALUE_UNDEFINED ? a : b;
    if (undefined->kind == VALUE_UNDEFINED)
        return machine_fail(m, PTQ_ERROR_FORMAT, "'%.*s' is undefined",
                            (int)ptqi_min(undefined->text.length, 40), undefined->text.bytes);
    return machine_fail(m, PTQ_ERROR_FORMAT, "the operator '%.*s' does not take %s and %s",
                        (int)op.length, op.bytes, value_type(a), value_type(b));
}

ptq_status operate(struct machine *m, struct text op, const struct value *a, const struct value *b,
                   struct value *out)
{
    if (text_is(op, "~"))
        return concatenate(m, a, b, out);
    if (a->markup || b->markup)
        return operate_markup(m, op, a, b, out);
    if (value_is_number(a) && value_is_number(b))
        return operate_numbers(m, op, a, b, out);
    if (text_is(op, "+") && a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        return join_texts(m, a->text, b->text, out);
    if (text_is(op, "+") && is_sequence(a) && a->kind == b->kind)
        return join_lists(m, a, b, out);
    if (text_is(op, "*") && can_repeat(a, b))
        return repeat(m, a, b, out);
    if (text_is(op, "*") && can_repeat(b, a))
        return repeat(m, b, a, out);
    if (text_is(op, "%") && a->kind == VALUE_STRING)
        return machine_refuse(m, "on a string, the operator", op);
    return fail_types(m, op, a, b);
}

ptq_status negate(struct machine *m, const struct value *a, struct value *out)
{
    if (a->kind == VALUE_REAL) {
        *out = value_real(-a->real);
        return PTQ_OK;
    }
    if (!value_is_whole(a))
        return machine_fail(m, PTQ_ERROR_FORMAT, "the operator '-' does not take %s",
                            value_type(a));
    return subtract_integers(m, 0, a->integer, out);
}
