/*
 * The functions that chat templates may call.
 */
#ifndef JINJA_FUNCTIONS_H
#define JINJA_FUNCTIONS_H

#include "jinja/routine.h"

/* NULL if there is no such function. */
const struct routine *function_find(struct text name);

#endif
