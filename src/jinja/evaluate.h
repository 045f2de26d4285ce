/*
 * The values of expressions.
 */
#ifndef JINJA_EVALUATE_H
#define JINJA_EVALUATE_H

#include "jinja/machine.h"

ptq_status evaluate(struct machine *m, const struct node *node, struct value *out);
/* Whether an expression is true. */
ptq_status evaluate_truth(struct machine *m, const struct node *node, int *truth);

#endif
