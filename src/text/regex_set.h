/*
 * Parsing the single characters and classes of a regular expression.
 */
#ifndef TEXT_REGEX_SET_H
#define TEXT_REGEX_SET_H

#include "regex.h"

struct regex_parser {
    struct regex *r;
    const char *begin, *at, *end;
    int depth; /* of groups or classes */
    int fold;  /* inside (?i: ) */
};

/* Refuses the expression because of what is at p->at. */
ptq_status regex_refuse(struct regex_parser *p, const char *what);
/* Whether text comes next; then it is skipped. */
int regex_accept(struct regex_parser *p, const char *text);
/* Parses one character, escape or class and adds it as a class. */
ptq_status regex_parse_set(struct regex_parser *p, int32_t *index);
/* Computes the ASCII members, after everything else in the class is known. */
void regex_finish_class(struct regex *r, int32_t index);

#endif
