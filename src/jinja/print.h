/*
 * Values as text: Python's str and repr.
 */
#ifndef JINJA_PRINT_H
#define JINJA_PRINT_H

#include "jinja/machine.h"

/* Appends str(value). */
ptq_status print_value(struct machine *m, const struct value *v, struct builder *out);
/* str(value) as a text. */
ptq_status text_of(struct machine *m, const struct value *v, struct text *text);

/* Appends repr of a number as Python spells it: the shortest that reads back as the same. */
ptq_status print_real(struct builder *out, double value);
ptq_status print_integer(struct builder *out, int64_t value);

#endif
