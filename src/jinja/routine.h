/*
 * Filters, tests, methods and functions: tables of C functions with named parameters.
 */
#ifndef JINJA_ROUTINE_H
#define JINJA_ROUTINE_H

#include "jinja/machine.h"

/* What a routine computes from the value that it is applied to and its arguments. */
struct call {
    struct machine *m;
    const struct value *self;
    /* If the routine has a list of parameters, values has one for each, VALUE_ABSENT if it is not
     * given, and there are no keywords. */
    struct arguments arguments;
    struct value *result;
};

struct routine {
    const char *name;
    ptq_status (*run)(const struct call *c); /* NULL: known, but not supported */
    /* Names separated by spaces; "": none; NULL: takes all arguments as they are. */
    const char *parameters;
    int required; /* of the parameters */
};

enum { ROUTINE_PARAMETERS = 6 };

/* NULL if the table has no such name. */
const struct routine *routine_find(const struct routine *table, int count, struct text name);
/* what: "the filter" and so on, for messages. */
ptq_status routine_call(struct machine *m, const char *what, const struct routine *routine,
                        const struct value *self, const struct arguments *arguments,
                        struct value *result);

/* The arguments of a routine with parameters. Each fails if its type is wrong. */
int call_has(const struct call *c, int i); /* given, and not None */
ptq_status call_text(const struct call *c, int i, struct text *text);
ptq_status call_integer(const struct call *c, int i, int64_t *integer);
int call_flag(const struct call *c, int i); /* whether it is given and true */

#endif
