/*
 * The parser of expressions: jinja2's grammar, by recursive descent.
 */
#ifndef JINJA_PARSE_EXPRESSION_H
#define JINJA_PARSE_EXPRESSION_H

#include "jinja/parser.h"

ptq_status parse_expression(struct parser *p, struct node **out);
/* An expression, or several with commas as a tuple. Without conditions, `a if b` is not taken as
 * one expression: what follows `for x in` and `if`. */
ptq_status parse_expressions(struct parser *p, int conditions, struct node **out);
/* A name, a tuple of names, or a member of a namespace if members is 1: what can be assigned to. */
ptq_status parse_target(struct parser *p, int members, struct node **out);
/* What follows a filter's name, applied to input. */
ptq_status parse_filter(struct parser *p, struct node *input, struct node **out);
/* `| filter` any number of times. */
ptq_status parse_filters(struct parser *p, struct node *input, struct node **out);

#endif
