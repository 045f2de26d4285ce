#include "jinja/parser.h"
#include <string.h>

/* Each level takes a few hundred bytes of the stack for each of ten functions. */
enum { DEEPEST = 100 };

static const char *describe(const struct token *token)
{
    static const char *const names[] = {
        [TOKEN_DATA] = "text",       [TOKEN_BLOCK_BEGIN] = "{%",
        [TOKEN_BLOCK_END] = "%}",    [TOKEN_VARIABLE_BEGIN] = "{{",
        [TOKEN_VARIABLE_END] = "}}", [TOKEN_STRING] = "a string",
        [TOKEN_NUMBER] = "a number", [TOKEN_END] = "the end of the template"};
    return names[token->kind] ? names[token->kind] : "";
}

ptq_status parser_fail(struct parser *p, const char *problem)
{
    const struct token *t = p->at;
    ptq_context *context = p->arena->context;
    if (t->kind == TOKEN_NAME || t->kind == TOKEN_OPERATOR)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "line %d: %s, not '%.*s'", t->line, problem,
                         (int)ptqi_min(t->text.length, 40), t->text.bytes);
    return ptqi_fail(context, PTQ_ERROR_FORMAT, "line %d: %s, not %s", t->line, problem,
                     describe(t));
}

ptq_status parser_refuse(struct parser *p, const char *what, struct text name)
{
    return ptqi_fail(p->arena->context, PTQ_ERROR_UNSUPPORTED,
                     "line %d: %s '%.*s' is not supported", p->at->line, what,
                     (int)ptqi_min(name.length, 40), name.bytes);
}

ptq_status parser_enter(struct parser *p)
{
    if (p->depth == DEEPEST)
        return ptqi_fail(p->arena->context, PTQ_ERROR_BOUNDS, "line %d: nested too deeply",
                         p->at->line);
    p->depth++;
    return PTQ_OK;
}

void parser_leave(struct parser *p)
{
    p->depth--;
}

int parser_is_name(const struct parser *p, const char *name)
{
    return p->at->kind == TOKEN_NAME && text_is(p->at->text, name);
}

int parser_is_operator(const struct parser *p, const char *op)
{
    return p->at->kind == TOKEN_OPERATOR && text_is(p->at->text, op);
}

int parser_skip_name(struct parser *p, const char *name)
{
    const int is = parser_is_name(p, name);
    p->at += is;
    return is;
}

int parser_skip_operator(struct parser *p, const char *op)
{
    const int is = parser_is_operator(p, op);
    p->at += is;
    return is;
}

ptq_status parser_expect_operator(struct parser *p, const char *op)
{
    char problem[32] = "expected '";
    if (parser_skip_operator(p, op))
        return PTQ_OK;
    strcat(strcat(problem, op), "'");
    return parser_fail(p, problem);
}

ptq_status parser_expect_kind(struct parser *p, enum token_kind kind, const char *what)
{
    if (p->at->kind != kind)
        return parser_fail(p, what);
    p->at++;
    return PTQ_OK;
}

ptq_status parser_take_name(struct parser *p, struct text *name)
{
    *name = p->at->text;
    return parser_expect_kind(p, TOKEN_NAME, "expected a name");
}

ptq_status parser_node(struct parser *p, enum node_kind kind, struct node **node)
{
    struct node *new = arena_alloc(p->arena, 1, (int64_t)sizeof *new);
    if (!new)
        return p->arena->status;
    memset(new, 0, sizeof *new);
    new->kind = kind;
    new->line = p->at->line;
    *node = new;
    return PTQ_OK;
}

void node_list_add(struct node_list *list, struct node *node)
{
    if (list->last)
        list->last->next = node;
    else
        list->first = node;
    list->last = node;
}
