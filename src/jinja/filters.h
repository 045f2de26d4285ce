/*
 * Filters: input | name(arguments).
 */
#ifndef JINJA_FILTERS_H
#define JINJA_FILTERS_H

#include "jinja/routine.h"

/* Fails if there is no such filter. */
ptq_status filter(struct machine *m, struct text name, const struct value *input,
                  const struct arguments *arguments, struct value *result);

#endif
