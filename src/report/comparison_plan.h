/* The ways to quantize a model that ptq compare shows. */
#ifndef COMPARISON_PLAN_H
#define COMPARISON_PLAN_H

#include "report/comparison.h"

/* Creates the rows, full precision first. methods: a comma-separated list; NULL: all. bits and
 * group apply to the rows that are not W8A8. */
ptq_status comparison_plan(struct comparison *c, const char *methods, int64_t bits, int64_t group);

#endif
