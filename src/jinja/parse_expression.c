#include "jinja/parse_expression.h"

static ptq_status parse_unary(struct parser *p, int filters, struct node **out);
static ptq_status parse_or(struct parser *p, struct node **out);

static ptq_status make(struct parser *p, enum node_kind kind, struct node *a, struct node *b,
                       struct node **out)
{
    struct node *node;
    PTQI_TRY(parser_node(p, kind, &node));
    node->a = a;
    node->b = b;
    *out = node;
    return PTQ_OK;
}

static ptq_status make_constant(struct parser *p, struct value value, struct node **out)
{
    PTQI_TRY(parser_node(p, NODE_CONSTANT, out));
    (*out)->value = value;
    return PTQ_OK;
}

/* Binary operators of one level of precedence, from left to right. */
static ptq_status parse_level(struct parser *p, const char *const *operators,
                              ptq_status (*parse)(struct parser *p, struct node **out),
                              struct node **out)
{
    PTQI_TRY(parse(p, out));
    for (int i = 0; operators[i]; i++) {
        const struct text name = p->at->text;
        struct node *left = *out, *right;
        if (!parser_skip_operator(p, operators[i]))
            continue;
        PTQI_TRY(parse(p, &right));
        PTQI_TRY(make(p, NODE_BINARY, left, right, out));
        (*out)->name = name;
        i = -1; /* any of them may follow */
    }
    return PTQ_OK;
}

static ptq_status parse_filtered(struct parser *p, struct node **out)
{
    return parse_unary(p, 1, out);
}

static ptq_status parse_power(struct parser *p, struct node **out)
{
    static const char *const operators[] = {"**", NULL};
    return parse_level(p, operators, parse_filtered, out);
}

static ptq_status parse_product(struct parser *p, struct node **out)
{
    static const char *const operators[] = {"*", "/", "//", "%", NULL};
    return parse_level(p, operators, parse_power, out);
}

static ptq_status parse_concatenation(struct parser *p, struct node **out)
{
    static const char *const operators[] = {"~", NULL};
    return parse_level(p, operators, parse_product, out);
}

static ptq_status parse_sum(struct parser *p, struct node **out)
{
    static const char *const operators[] = {"+", "-", NULL};
    return parse_level(p, operators, parse_concatenation, out);
}

/* Skips a comparison operator; returns 0 if there is none. */
static int skip_comparison(struct parser *p, struct text *name)
{
    static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">=", NULL};
    *name = p->at->text;
    for (int i = 0; operators[i]; i++)
        if (parser_skip_operator(p, operators[i]))
            return 1;
    if (parser_skip_name(p, "in"))
        return 1;
    if (!parser_is_name(p, "not") || p->at[1].kind != TOKEN_NAME || !text_is(p->at[1].text, "in"))
        return 0;
    p->at += 2;
    return 1;
}

static ptq_status parse_comparison(struct parser *p, struct node **out)
{
    struct node_list operands = {0};
    struct text name;
    PTQI_TRY(parse_sum(p, out));
    while (skip_comparison(p, &name)) {
        struct node *operand, *right;
        PTQI_TRY(parse_sum(p, &right));
        PTQI_TRY(make(p, NODE_OPERAND, right, NULL, &operand));
        operand->name = name;
        node_list_add(&operands, operand);
    }
    if (!operands.first)
        return PTQ_OK;
    PTQI_TRY(make(p, NODE_COMPARE, *out, NULL, out));
    (*out)->items = operands.first;
    return PTQ_OK;
}

static ptq_status parse_not(struct parser *p, struct node **out)
{
    struct node *operand;
    if (!parser_skip_name(p, "not"))
        return parse_comparison(p, out);
    PTQI_TRY(parser_enter(p));
    PTQI_TRY(parse_not(p, &operand));
    parser_leave(p);
    return make(p, NODE_NOT, operand, NULL, out);
}

static ptq_status parse_and(struct parser *p, struct node **out)
{
    struct node *right;
    PTQI_TRY(parse_not(p, out));
    while (parser_skip_name(p, "and")) {
        PTQI_TRY(parse_not(p, &right));
        PTQI_TRY(make(p, NODE_AND, *out, right, out));
    }
    return PTQ_OK;
}

static ptq_status parse_or(struct parser *p, struct node **out)
{
    struct node *right;
    PTQI_TRY(parse_and(p, out));
    while (parser_skip_name(p, "or")) {
        PTQI_TRY(parse_and(p, &right));
        PTQI_TRY(make(p, NODE_OR, *out, right, out));
    }
    return PTQ_OK;
}

static ptq_status parse_condition(struct parser *p, struct node **out)
{
    PTQI_TRY(parse_or(p, out));
    while (parser_skip_name(p, "if")) {
        struct node *test, *otherwise = NULL;
        PTQI_TRY(parse_or(p, &test));
        if (parser_skip_name(p, "else"))
            PTQI_TRY(parse_expression(p, &otherwise));
        PTQI_TRY(make(p, NODE_CONDITION, test, *out, out));
        (*out)->c = otherwise;
    }
    return PTQ_OK;
}

ptq_status parse_expression(struct parser *p, struct node **out)
{
    PTQI_TRY(parser_enter(p));
    PTQI_TRY(parse_condition(p, out));
    parser_leave(p);
    return PTQ_OK;
}

/* The elements of a list up to its closing bracket, with an optional comma at the end. */
static ptq_status parse_elements(struct parser *p, const char *closing,
                                 ptq_status (*parse)(struct parser *p, struct node **out),
                                 struct node **first)
{
    struct node_list list = {0};
    while (!parser_is_operator(p, closing)) {
        struct node *element;
        if (list.first)
            PTQI_TRY(parser_expect_operator(p, ","));
        if (parser_is_operator(p, closing))
            break;
        PTQI_TRY(parse(p, &element));
        node_list_add(&list, element);
    }
    *first = list.first;
    return parser_expect_operator(p, closing);
}

static ptq_status parse_pair(struct parser *p, struct node **out)
{
    struct node *key, *value;
    PTQI_TRY(parse_expression(p, &key));
    PTQI_TRY(parser_expect_operator(p, ":"));
    PTQI_TRY(parse_expression(p, &value));
    return make(p, NODE_PAIR, key, value, out);
}

static ptq_status parse_argument(struct parser *p, struct node **out)
{
    const struct text name = p->at->text;
    struct node *value;
    if (parser_is_operator(p, "*") || parser_is_operator(p, "**"))
        return parser_refuse(p, "an argument with", name);
    const int is_named =
        p->at->kind == TOKEN_NAME && p->at[1].kind == TOKEN_OPERATOR && text_is(p->at[1].text, "=");
    if (!is_named)
        return parse_expression(p, out);
    p->at += 2;
    PTQI_TRY(parse_expression(p, &value));
    PTQI_TRY(make(p, NODE_KEYWORD, value, NULL, out));
    (*out)->name = name;
    return PTQ_OK;
}

/* Arguments behind their opening bracket. Those with names come last. */
static ptq_status parse_arguments(struct parser *p, struct node **first)
{
    PTQI_TRY(parse_elements(p, ")", parse_argument, first));
    int named = 0;
    for (const struct node *n = *first; n; n = n->next) {
        if (named && n->kind != NODE_KEYWORD)
            return parser_fail(p, "arguments with names come last");
        named = n->kind == NODE_KEYWORD;
    }
    return PTQ_OK;
}

/* Several strings in a row are one. */
static ptq_status parse_strings(struct parser *p, struct node **out)
{
    struct builder joined = {.arena = p->arena};
    for (; p->at->kind == TOKEN_STRING; p->at++)
        PTQI_TRY(builder_add(&joined, p->at->text.bytes, p->at->text.length));
    return make_constant(p, value_string(joined.bytes, joined.length), out);
}

static ptq_status parse_name(struct parser *p, struct node **out)
{
    static const struct {
        const char *name;
        struct value value;
    } constants[] = {
        {"true", {.kind = VALUE_BOOL, .integer = 1}},
        {"True", {.kind = VALUE_BOOL, .integer = 1}},
        {"false", {.kind = VALUE_BOOL, .integer = 0}},
        {"False", {.kind = VALUE_BOOL, .integer = 0}},
        {"none", {.kind = VALUE_NONE}},
        {"None", {.kind = VALUE_NONE}},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (parser_skip_name(p, constants[i].name))
            return make_constant(p, constants[i].value, out);
    PTQI_TRY(make(p, NODE_NAME, NULL, NULL, out));
    return parser_take_name(p, &(*out)->name);
}

/* In parentheses: an expression, or a tuple, which may be empty. */
static ptq_status parse_parentheses(struct parser *p, struct node **out)
{
    if (parser_skip_operator(p, ")"))
        return make(p, NODE_TUPLE, NULL, NULL, out);
    PTQI_TRY(parse_expressions(p, 1, out));
    return parser_expect_operator(p, ")");
}

static ptq_status parse_primary(struct parser *p, struct node **out)
{
    const struct value number = p->at->number;
    if (p->at->kind == TOKEN_NAME)
        return parse_name(p, out);
    if (p->at->kind == TOKEN_STRING)
        return parse_strings(p, out);
    if (p->at->kind == TOKEN_NUMBER) {
        p->at++;
        return make_constant(p, number, out);
    }
    if (parser_skip_operator(p, "("))
        return parse_parentheses(p, out);
    if (parser_skip_operator(p, "[")) {
        PTQI_TRY(make(p, NODE_LIST, NULL, NULL, out));
        return parse_elements(p, "]", parse_expression, &(*out)->items);
    }
    if (parser_skip_operator(p, "{")) {
        PTQI_TRY(make(p, NODE_DICT, NULL, NULL, out));
        return parse_elements(p, "}", parse_pair, &(*out)->items);
    }
    return parser_fail(p, "expected an expression");
}

/* A part of a slice, which ends at a colon or the bracket; NULL if it is empty. */
static ptq_status parse_bound(struct parser *p, struct node **out)
{
    *out = NULL;
    if (parser_is_operator(p, ":") || parser_is_operator(p, "]"))
        return PTQ_OK;
    return parse_expression(p, out);
}

/* Behind the opening bracket of object[...]. */
static ptq_status parse_subscript(struct parser *p, struct node *object, struct node **out)
{
    struct node *node, *first = NULL;
    if (!parser_is_operator(p, ":"))
        PTQI_TRY(parse_expressions(p, 1, &first));
    if (!parser_skip_operator(p, ":")) {
        PTQI_TRY(make(p, NODE_ITEM, object, first, out));
        return parser_expect_operator(p, "]");
    }
    PTQI_TRY(make(p, NODE_SLICE, object, first, &node));
    PTQI_TRY(parse_bound(p, &node->c));
    if (parser_skip_operator(p, ":"))
        PTQI_TRY(parse_bound(p, &node->otherwise));
    *out = node;
    return parser_expect_operator(p, "]");
}

/* Behind the dot: a name, or an integer as an index. */
static ptq_status parse_attribute(struct parser *p, struct node *object, struct node **out)
{
    struct node *index;
    if (p->at->kind == TOKEN_NUMBER && p->at->number.kind == VALUE_INTEGER) {
        PTQI_TRY(make_constant(p, p->at->number, &index));
        p->at++;
        return make(p, NODE_ITEM, object, index, out);
    }
    PTQI_TRY(make(p, NODE_ATTRIBUTE, object, NULL, out));
    return parser_take_name(p, &(*out)->name);
}

static ptq_status parse_call(struct parser *p, struct node *callee, struct node **out)
{
    PTQI_TRY(make(p, NODE_CALL, callee, NULL, out));
    return parse_arguments(p, &(*out)->items);
}

static ptq_status parse_postfix(struct parser *p, struct node **out)
{
    for (;;) {
        if (parser_skip_operator(p, "."))
            PTQI_TRY(parse_attribute(p, *out, out));
        else if (parser_skip_operator(p, "["))
            PTQI_TRY(parse_subscript(p, *out, out));
        else if (parser_skip_operator(p, "("))
            PTQI_TRY(parse_call(p, *out, out));
        else
            return PTQ_OK;
    }
}

ptq_status parse_filter(struct parser *p, struct node *input, struct node **out)
{
    PTQI_TRY(make(p, NODE_FILTER, input, NULL, out));
    PTQI_TRY(parser_take_name(p, &(*out)->name));
    return parser_skip_operator(p, "(") ? parse_arguments(p, &(*out)->items) : PTQ_OK;
}

ptq_status parse_filters(struct parser *p, struct node *input, struct node **out)
{
    *out = input;
    while (parser_skip_operator(p, "|"))
        PTQI_TRY(parse_filter(p, *out, out));
    return PTQ_OK;
}

/* Whether the argument of a test follows that is not in parentheses: x is divisibleby 3. */
static int has_bare_argument(const struct parser *p)
{
    if (p->at->kind == TOKEN_NAME)
        return !parser_is_name(p, "else") && !parser_is_name(p, "or") && !parser_is_name(p, "and");
    return p->at->kind == TOKEN_STRING || p->at->kind == TOKEN_NUMBER ||
           parser_is_operator(p, "[") || parser_is_operator(p, "{");
}

/* Behind `is`. */
static ptq_status parse_test(struct parser *p, struct node *value, struct node **out)
{
    const int negated = parser_skip_name(p, "not");
    struct node *test;
    PTQI_TRY(make(p, NODE_TEST, value, NULL, &test));
    PTQI_TRY(parser_take_name(p, &test->name));
    if (parser_skip_operator(p, "(")) {
        PTQI_TRY(parse_arguments(p, &test->items));
    } else if (has_bare_argument(p)) {
        if (parser_is_name(p, "is"))
            return parser_fail(p, "one test at a time");
        PTQI_TRY(parse_primary(p, &test->items));
        PTQI_TRY(parse_postfix(p, &test->items));
    }
    *out = test;
    return negated ? make(p, NODE_NOT, test, NULL, out) : PTQ_OK;
}

static ptq_status parse_filters_and_tests(struct parser *p, struct node **out)
{
    for (;;) {
        if (parser_skip_operator(p, "|"))
            PTQI_TRY(parse_filter(p, *out, out));
        else if (parser_skip_name(p, "is"))
            PTQI_TRY(parse_test(p, *out, out));
        else if (parser_skip_operator(p, "("))
            PTQI_TRY(parse_call(p, *out, out));
        else
            return PTQ_OK;
    }
}

/* The operand of a sign, without filters: -x|abs is (-x)|abs. */
static ptq_status parse_sign(struct parser *p, enum node_kind kind, struct node **out)
{
    struct node *operand;
    PTQI_TRY(parser_enter(p));
    PTQI_TRY(parse_unary(p, 0, &operand));
    parser_leave(p);
    return make(p, kind, operand, NULL, out);
}

static ptq_status parse_unary(struct parser *p, int filters, struct node **out)
{
    if (parser_skip_operator(p, "-"))
        PTQI_TRY(parse_sign(p, NODE_NEGATE, out));
    else if (parser_skip_operator(p, "+"))
        PTQI_TRY(parse_sign(p, NODE_PLUS, out));
    else
        PTQI_TRY(parse_primary(p, out));
    PTQI_TRY(parse_postfix(p, out));
    return filters ? parse_filters_and_tests(p, out) : PTQ_OK;
}

/* Whether a tuple without parentheses ends behind a comma. */
static int is_tuple_end(const struct parser *p)
{
    return p->at->kind == TOKEN_BLOCK_END || p->at->kind == TOKEN_VARIABLE_END ||
           parser_is_operator(p, ")") || parser_is_operator(p, "]") || parser_is_operator(p, "=") ||
           parser_is_name(p, "in");
}

/* One element, or a tuple of several. */
static ptq_status parse_tuple(struct parser *p,
                              ptq_status (*parse)(struct parser *p, struct node **out),
                              struct node **out)
{
    struct node_list list = {0};
    struct node *tuple, *element;
    PTQI_TRY(parse(p, out));
    if (!parser_is_operator(p, ","))
        return PTQ_OK;
    PTQI_TRY(make(p, NODE_TUPLE, NULL, NULL, &tuple));
    node_list_add(&list, *out);
    while (parser_skip_operator(p, ",") && !is_tuple_end(p)) {
        PTQI_TRY(parse(p, &element));
        node_list_add(&list, element);
    }
    tuple->items = list.first;
    *out = tuple;
    return PTQ_OK;
}

ptq_status parse_expressions(struct parser *p, int conditions, struct node **out)
{
    return parse_tuple(p, conditions ? parse_expression : parse_or, out);
}

static ptq_status parse_names(struct parser *p, struct node **out)
{
    PTQI_TRY(parser_enter(p));
    if (parser_skip_operator(p, "(")) {
        PTQI_TRY(parse_tuple(p, parse_names, out));
        PTQI_TRY(parser_expect_operator(p, ")"));
    } else {
        PTQI_TRY(parse_name(p, out));
    }
    parser_leave(p);
    if ((*out)->kind == NODE_CONSTANT)
        return parser_fail(p, "a constant cannot be set");
    return PTQ_OK;
}

ptq_status parse_target(struct parser *p, int members, struct node **out)
{
    struct node *member;
    PTQI_TRY(parse_tuple(p, parse_names, out));
    if (!members || (*out)->kind != NODE_NAME || !parser_skip_operator(p, "."))
        return PTQ_OK;
    PTQI_TRY(make(p, NODE_SET_MEMBER, *out, NULL, &member));
    *out = member;
    return parser_take_name(p, &member->name);
}
