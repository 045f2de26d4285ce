/*
 * Running the statements of a template.
 */
#ifndef JINJA_EXECUTE_H
#define JINJA_EXECUTE_H

#include "jinja/machine.h"

/* Appends to m->out what the statements in a list print. */
ptq_status execute_template(struct machine *m, const struct node *first);

#endif
