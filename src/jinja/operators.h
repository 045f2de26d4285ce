/*
 * Python's operators: arithmetic, concatenation, comparison.
 */
#ifndef JINJA_OPERATORS_H
#define JINJA_OPERATORS_H

#include "jinja/machine.h"

/* op: + - * / // % ** ~ */
ptq_status operate(struct machine *m, struct text op, const struct value *a, const struct value *b,
                   struct value *out);
ptq_status negate(struct machine *m, const struct value *a, struct value *out);
/* op: == != < <= > >= in, or anything else for `not in` */
ptq_status compare(struct machine *m, struct text op, const struct value *a, const struct value *b,
                   int *truth);
ptq_status are_equal(struct machine *m, const struct value *a, const struct value *b, int *equal);
/* a in b */
ptq_status is_in(struct machine *m, const struct value *a, const struct value *b, int *truth);
/* Negative, zero or positive; fails if the values have no order. */
ptq_status order_of(struct machine *m, const struct value *a, const struct value *b, int *order);
/* A list sorted by keys [list->count], which have an order; equal ones keep their places. */
ptq_status sort_by(struct machine *m, const struct list *list, const struct value *keys,
                   int descending, struct value *out);

#endif
