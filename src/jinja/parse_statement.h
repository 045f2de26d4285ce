/*
 * The parser of statements, and of a whole template.
 */
#ifndef JINJA_PARSE_STATEMENT_H
#define JINJA_PARSE_STATEMENT_H

#include "jinja/parser.h"

/* The statements of a template, in a list. */
ptq_status parse_template(struct parser *p, struct node **first);

#endif
