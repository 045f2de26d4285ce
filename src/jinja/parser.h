/*
 * What the parsers of expressions and statements share: the tokens, new nodes and messages.
 */
#ifndef JINJA_PARSER_H
#define JINJA_PARSER_H

#include "jinja/lexer.h"
#include "jinja/node.h"

struct parser {
    struct arena *arena;
    const struct token *at; /* the current token; the last one is TOKEN_END */
    int depth;              /* of nested expressions and statements */
};

/* A list of nodes that grows at its end. */
struct node_list {
    struct node *first, *last;
};

/* "line N: problem, not 'token'". */
ptq_status parser_fail(struct parser *p, const char *problem);
/* PTQ_ERROR_UNSUPPORTED: "line N: what 'name' is not supported". */
ptq_status parser_refuse(struct parser *p, const char *what, struct text name);
/* Around everything that nests; fails if that is too deep. */
ptq_status parser_enter(struct parser *p);
void parser_leave(struct parser *p);

int parser_is_name(const struct parser *p, const char *name);
int parser_is_operator(const struct parser *p, const char *op);
/* Skips the token if it is this one; returns whether it was. */
int parser_skip_name(struct parser *p, const char *name);
int parser_skip_operator(struct parser *p, const char *op);
/* Skips the token, or fails if it is another. */
ptq_status parser_expect_operator(struct parser *p, const char *op);
ptq_status parser_expect_kind(struct parser *p, enum token_kind kind, const char *what);
ptq_status parser_take_name(struct parser *p, struct text *name);

/* A new node at the current line. */
ptq_status parser_node(struct parser *p, enum node_kind kind, struct node **node);
void node_list_add(struct node_list *list, struct node *node);

#endif
