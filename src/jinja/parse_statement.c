#include "jinja/parse_statement.h"
#include "jinja/parse_expression.h"

static ptq_status parse_body(struct parser *p, const char *const *ends, struct node **first);

static ptq_status end_tag(struct parser *p)
{
    return parser_expect_kind(p, TOKEN_BLOCK_END, "expected '%}'");
}

/* The rest of a block's opening tag, its statements, and the tag that ends it. */
static ptq_status parse_block(struct parser *p, const char *end, struct node **first)
{
    const char *const ends[] = {end, NULL};
    PTQI_TRY(end_tag(p));
    PTQI_TRY(parse_body(p, ends, first));
    p->at++;
    return end_tag(p);
}

static ptq_status parse_if(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    PTQI_TRY(parse_expressions(p, 0, &node->a));
    PTQI_TRY(end_tag(p));
    PTQI_TRY(parse_body(p, ends, &node->items));
    while (parser_skip_name(p, "elif")) {
        struct node *nested;
        PTQI_TRY(parser_node(p, NODE_IF, &nested));
        PTQI_TRY(parse_expressions(p, 0, &nested->a));
        PTQI_TRY(end_tag(p));
        PTQI_TRY(parse_body(p, ends, &nested->items));
        node->otherwise = nested;
        node = nested;
    }
    if (parser_skip_name(p, "else"))
        return parse_block(p, "endif", &node->otherwise);
    p->at++;
    return end_tag(p);
}

static ptq_status parse_for(struct parser *p, struct node *node)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    PTQI_TRY(parse_target(p, 0, &node->a));
    if (!parser_skip_name(p, "in"))
        return parser_fail(p, "expected 'in'");
    PTQI_TRY(parse_expressions(p, 0, &node->b));
    if (parser_skip_name(p, "if"))
        PTQI_TRY(parse_expression(p, &node->c));
    if (parser_is_name(p, "recursive"))
        return parser_refuse(p, "a loop that is", p->at->text);
    PTQI_TRY(end_tag(p));
    PTQI_TRY(parse_body(p, ends, &node->items));
    if (parser_skip_name(p, "else"))
        return parse_block(p, "endfor", &node->otherwise);
    p->at++;
    return end_tag(p);
}

/* What a block's text is filtered with; without filters, the text itself. */
static ptq_status parse_block_filters(struct parser *p, int begins_with_name, struct node **out)
{
    struct node *text;
    PTQI_TRY(parser_node(p, NODE_BLOCK_TEXT, &text));
    if (begins_with_name)
        PTQI_TRY(parse_filter(p, text, &text));
    return parse_filters(p, text, out);
}

static ptq_status parse_set(struct parser *p, struct node *node)
{
    PTQI_TRY(parse_target(p, 1, &node->a));
    if (parser_skip_operator(p, "=")) {
        PTQI_TRY(parse_expressions(p, 1, &node->b));
        return end_tag(p);
    }
    node->kind = NODE_SET_BLOCK;
    PTQI_TRY(parse_block_filters(p, 0, &node->b));
    return parse_block(p, "endset", &node->items);
}

static ptq_status parse_filter_block(struct parser *p, struct node *node)
{
    PTQI_TRY(parse_block_filters(p, 1, &node->b));
    return parse_block(p, "endfilter", &node->items);
}

static ptq_status parse_parameters(struct parser *p, struct node **first)
{
    struct node_list list = {0};
    PTQI_TRY(parser_expect_operator(p, "("));
    while (!parser_is_operator(p, ")")) {
        struct node *parameter;
        if (list.first)
            PTQI_TRY(parser_expect_operator(p, ","));
        PTQI_TRY(parser_node(p, NODE_PARAMETER, &parameter));
        PTQI_TRY(parser_take_name(p, &parameter->name));
        if (parser_skip_operator(p, "="))
            PTQI_TRY(parse_expression(p, &parameter->a));
        else if (list.last && list.last->a)
            return parser_fail(p, "parameters with defaults come last");
        node_list_add(&list, parameter);
    }
    *first = list.first;
    return parser_expect_operator(p, ")");
}

static ptq_status parse_macro(struct parser *p, struct node *node)
{
    PTQI_TRY(parser_take_name(p, &node->name));
    PTQI_TRY(parse_parameters(p, &node->b));
    return parse_block(p, "endmacro", &node->items);
}

static ptq_status parse_generation(struct parser *p, struct node *node)
{
    return parse_block(p, "endgeneration", &node->items);
}

static ptq_status parse_word(struct parser *p, struct node *node)
{
    (void)node;
    return end_tag(p);
}

/* The statement behind "{%". */
static ptq_status parse_statement(struct parser *p, struct node **out)
{
    static const struct {
        const char *name;
        enum node_kind kind;
        ptq_status (*parse)(struct parser *p, struct node *node);
    } statements[] = {
        {"if", NODE_IF, parse_if},
        {"for", NODE_FOR, parse_for},
        {"set", NODE_SET, parse_set},
        {"macro", NODE_MACRO, parse_macro},
        {"filter", NODE_FILTER_BLOCK, parse_filter_block},
        {"generation", NODE_GENERATION, parse_generation},
        {"break", NODE_BREAK, parse_word},
        {"continue", NODE_CONTINUE, parse_word},
    };
    PTQI_TRY(parser_node(p, NODE_KINDS, out));
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (parser_skip_name(p, statements[i].name)) {
            (*out)->kind = statements[i].kind;
            return statements[i].parse(p, *out);
        }
    if (p->at->kind != TOKEN_NAME)
        return parser_fail(p, "expected a statement");
    return parser_refuse(p, "the statement", p->at->text);
}

static ptq_status parse_output(struct parser *p, struct node **out)
{
    PTQI_TRY(parser_node(p, NODE_OUTPUT, out));
    PTQI_TRY(parse_expressions(p, 1, &(*out)->a));
    return parser_expect_kind(p, TOKEN_VARIABLE_END, "expected '}}'");
}

static ptq_status parse_data(struct parser *p, struct node **out)
{
    PTQI_TRY(parser_node(p, NODE_DATA, out));
    (*out)->value = value_string(p->at->text.bytes, p->at->text.length);
    p->at++;
    return PTQ_OK;
}

static int is_one_of(const struct parser *p, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (parser_is_name(p, names[i]))
            return 1;
    return 0;
}

/* Statements up to one of these tags, whose name is then the current token. Without ends, up to the
 * end of the template. */
static ptq_status parse_list(struct parser *p, const char *const *ends, struct node **first)
{
    struct node_list list = {0};
    for (;;) {
        struct node *node;
        const enum token_kind kind = p->at->kind;
        if (kind == TOKEN_END) {
            *first = list.first;
            return *ends ? parser_fail(p, "a block is not closed: expected its end") : PTQ_OK;
        }
        if (kind == TOKEN_DATA) {
            PTQI_TRY(parse_data(p, &node));
        } else {
            p->at++;
            *first = list.first;
            if (kind == TOKEN_BLOCK_BEGIN && is_one_of(p, ends))
                return PTQ_OK;
            PTQI_TRY(kind == TOKEN_BLOCK_BEGIN ? parse_statement(p, &node)
                                               : parse_output(p, &node));
        }
        node_list_add(&list, node);
    }
}

static ptq_status parse_body(struct parser *p, const char *const *ends, struct node **first)
{
    PTQI_TRY(parser_enter(p));
    PTQI_TRY(parse_list(p, ends, first));
    parser_leave(p);
    return PTQ_OK;
}

ptq_status parse_template(struct parser *p, struct node **first)
{
    static const char *const none[] = {NULL};
    return parse_body(p, none, first);
}
