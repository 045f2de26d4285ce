/*
 * Tests: x is name(arguments).
 */
#ifndef JINJA_CHECKS_H
#define JINJA_CHECKS_H

#include "jinja/routine.h"

/* Fails if there is no such test. */
ptq_status check(struct machine *m, struct text name, const struct value *v,
                 const struct arguments *arguments, int *truth);

#endif
