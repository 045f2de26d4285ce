#include "jinja/evaluate.h"
#include <string.h>
#include "jinja/access.h"
#include "jinja/checks.h"
#include "jinja/collection.h"
#include "jinja/filters.h"
#include "jinja/functions.h"
#include "jinja/operators.h"

static ptq_status constant(struct machine *m, const struct node *n, struct value *out)
{
    (void)m;
    *out = n->value;
    return PTQ_OK;
}

static ptq_status block_text(struct machine *m, const struct node *n, struct value *out)
{
    (void)n;
    *out = value_string(m->block_text.bytes, m->block_text.length);
    return PTQ_OK;
}

/* A variable, a function, or undefined. */
static ptq_status name(struct machine *m, const struct node *n, struct value *out)
{
    const struct routine *function;
    struct variable *found;
    PTQI_TRY(scope_find(m, m->scope, n->name, &found));
    if (found) {
        *out = found->value;
        return PTQ_OK;
    }
    function = function_find(n->name);
    if (function && !function->run)
        return machine_refuse(m, "the name", n->name);
    *out = function ? (struct value){.kind = VALUE_FUNCTION, .function = function}
                    : value_undefined(n->name);
    return PTQ_OK;
}

static ptq_status elements(struct machine *m, const struct node *n, struct value *out)
{
    struct gatherer g = {0};
    for (const struct node *item = n->items; item; item = item->next) {
        struct value v;
        PTQI_TRY(evaluate(m, item, &v));
        PTQI_TRY(gather(m, &g, v));
    }
    return gathered(m, &g, n->kind == NODE_LIST ? VALUE_LIST : VALUE_TUPLE, out);
}

static ptq_status mapping(struct machine *m, const struct node *n, struct value *out)
{
    struct value dict;
    PTQI_TRY(make_dict(m, VALUE_DICT, &dict));
    for (const struct node *item = n->items; item; item = item->next) {
        struct value key, value;
        PTQI_TRY(evaluate(m, item->a, &key));
        PTQI_TRY(evaluate(m, item->b, &value));
        PTQI_TRY(dict_set(m, dict.dict, key, value));
    }
    *out = dict;
    return PTQ_OK;
}

static ptq_status attribute(struct machine *m, const struct node *n, struct value *out)
{
    struct value object;
    PTQI_TRY(evaluate(m, n->a, &object));
    return access_attribute(m, &object, n->name, out);
}

static ptq_status item(struct machine *m, const struct node *n, struct value *out)
{
    struct value object, key;
    PTQI_TRY(evaluate(m, n->a, &object));
    PTQI_TRY(evaluate(m, n->b, &key));
    return access_item(m, &object, &key, out);
}

static ptq_status slice(struct machine *m, const struct node *n, struct value *out)
{
    const struct node *const parts[3] = {n->b, n->c, n->otherwise};
    struct value object, bounds[3];
    PTQI_TRY(evaluate(m, n->a, &object));
    for (int i = 0; i < 3; i++) {
        bounds[i] = value_none();
        if (parts[i])
            PTQI_TRY(evaluate(m, parts[i], &bounds[i]));
    }
    return access_slice(m, &object, bounds, out);
}

/* Space for the arguments of a call. */
static ptq_status reserve_arguments(struct machine *m, const struct node *first,
                                    struct arguments *arguments)
{
    int64_t count = 0;
    *arguments = (struct arguments){0};
    for (const struct node *n = first; n; n = n->next)
        count++;
    if (!count)
        return PTQ_OK;
    arguments->values = arena_alloc(m->arena, count, (int64_t)sizeof *arguments->values);
    if (arguments->values)
        arguments->keywords = arena_alloc(m->arena, count, (int64_t)sizeof *arguments->keywords);
    return arguments->keywords ? PTQ_OK : m->arena->status;
}

static ptq_status evaluate_arguments(struct machine *m, const struct node *first,
                                     struct arguments *arguments)
{
    PTQI_TRY(reserve_arguments(m, first, arguments));
    for (const struct node *n = first; n; n = n->next) {
        struct value v;
        PTQI_TRY(evaluate(m, n->kind == NODE_KEYWORD ? n->a : n, &v));
        if (n->kind == NODE_KEYWORD)
            arguments->keywords[arguments->keyword_count++] = (struct keyword){n->name, v};
        else
            arguments->values[arguments->count++] = v;
    }
    return PTQ_OK;
}

static ptq_status call(struct machine *m, const struct node *n, struct value *out)
{
    struct arguments arguments;
    struct value callee;
    PTQI_TRY(evaluate(m, n->a, &callee));
    PTQI_TRY(evaluate_arguments(m, n->items, &arguments));
    m->line = n->line;
    switch (callee.kind) {
    case VALUE_MACRO:
        return m->call_macro(m, callee.macro, &arguments, out);
    case VALUE_FUNCTION:
        return routine_call(m, "the function", callee.function, &callee, &arguments, out);
    case VALUE_METHOD:
        return routine_call(m, "the method", callee.method->routine, &callee.method->self,
                            &arguments, out);
    case VALUE_UNDEFINED:
        return machine_fail(m, PTQ_ERROR_FORMAT, "'%.*s' is undefined",
                            (int)ptqi_min(callee.text.length, 40), callee.text.bytes);
    default:
        return machine_fail(m, PTQ_ERROR_FORMAT, "a %s cannot be called", value_type(&callee));
    }
}

static ptq_status apply_filter(struct machine *m, const struct node *n, struct value *out)
{
    struct arguments arguments;
    struct value input;
    PTQI_TRY(evaluate(m, n->a, &input));
    PTQI_TRY(evaluate_arguments(m, n->items, &arguments));
    m->line = n->line;
    return filter(m, n->name, &input, &arguments, out);
}

static ptq_status apply_test(struct machine *m, const struct node *n, struct value *out)
{
    struct arguments arguments;
    struct value v;
    int truth = 0;
    PTQI_TRY(evaluate(m, n->a, &v));
    PTQI_TRY(evaluate_arguments(m, n->items, &arguments));
    m->line = n->line;
    PTQI_TRY(check(m, n->name, &v, &arguments, &truth));
    *out = value_bool(truth);
    return PTQ_OK;
}

static ptq_status minus(struct machine *m, const struct node *n, struct value *out)
{
    struct value v;
    PTQI_TRY(evaluate(m, n->a, &v));
    return negate(m, &v, out);
}

static ptq_status plus(struct machine *m, const struct node *n, struct value *out)
{
    struct value v;
    PTQI_TRY(evaluate(m, n->a, &v));
    if (!value_is_number(&v))
        return machine_fail(m, PTQ_ERROR_FORMAT, "the operator '+' does not take %s",
                            value_type(&v));
    *out = v.kind == VALUE_REAL ? v : value_integer(v.integer);
    return PTQ_OK;
}

static ptq_status not(struct machine * m, const struct node *n, struct value *out)
{
    int truth;
    PTQI_TRY(evaluate_truth(m, n->a, &truth));
    *out = value_bool(!truth);
    return PTQ_OK;
}

/* As in Python, the value of the operand that decides. */
static ptq_status and (struct machine * m, const struct node *n, struct value *out)
{
    PTQI_TRY(evaluate(m, n->a, out));
    return value_is_true(out) ? evaluate(m, n->b, out) : PTQ_OK;
}

static ptq_status or (struct machine * m, const struct node *n, struct value *out)
{
    PTQI_TRY(evaluate(m, n->a, out));
    return value_is_true(out) ? PTQ_OK : evaluate(m, n->b, out);
}

static ptq_status binary(struct machine *m, const struct node *n, struct value *out)
{
    struct value a, b;
    PTQI_TRY(evaluate(m, n->a, &a));
    PTQI_TRY(evaluate(m, n->b, &b));
    m->line = n->line;
    return operate(m, n->name, &a, &b, out);
}

/* a < b < c is a < b and b < c. */
static ptq_status comparison(struct machine *m, const struct node *n, struct value *out)
{
    struct value left, right;
    int truth = 1;
    PTQI_TRY(evaluate(m, n->a, &left));
    for (const struct node *operand = n->items; operand && truth; operand = operand->next) {
        PTQI_TRY(evaluate(m, operand->a, &right));
        m->line = n->line;
        PTQI_TRY(compare(m, operand->name, &left, &right, &truth));
        left = right;
    }
    *out = value_bool(truth);
    return PTQ_OK;
}

static ptq_status condition(struct machine *m, const struct node *n, struct value *out)
{
    int truth;
    PTQI_TRY(evaluate_truth(m, n->a, &truth));
    if (truth || n->c)
        return evaluate(m, truth ? n->b : n->c, out);
    *out = value_undefined((struct text){"an if without else", 18});
    return PTQ_OK;
}

static ptq_status (*const evaluators[NODE_KINDS])(struct machine *m, const struct node *n,
                                                  struct value *out) = {
    [NODE_CONSTANT] = constant,
    [NODE_NAME] = name,
    [NODE_LIST] = elements,
    [NODE_TUPLE] = elements,
    [NODE_DICT] = mapping,
    [NODE_ATTRIBUTE] = attribute,
    [NODE_ITEM] = item,
    [NODE_SLICE] = slice,
    [NODE_CALL] = call,
    [NODE_FILTER] = apply_filter,
    [NODE_TEST] = apply_test,
    [NODE_NEGATE] = minus,
    [NODE_PLUS] = plus,
    [NODE_NOT] = not,
    [NODE_AND] = and,
    [NODE_OR] = or
    ,
    [NODE_BINARY] = binary,
    [NODE_COMPARE] = comparison,
    [NODE_CONDITION] = condition,
    [NODE_BLOCK_TEXT] = block_text,
};

ptq_status evaluate(struct machine *m, const struct node *node, struct value *out)
{
    m->line = node->line;
    PTQI_TRY(machine_enter(m));
    PTQI_TRY(evaluators[node->kind](m, node, out));
    machine_leave(m);
    return PTQ_OK;
}

ptq_status evaluate_truth(struct machine *m, const struct node *node, int *truth)
{
    struct value v;
    PTQI_TRY(evaluate(m, node, &v));
    *truth = value_is_true(&v);
    return PTQ_OK;
}
