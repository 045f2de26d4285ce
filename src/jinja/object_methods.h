/*
 * The methods of strings, lists and dicts.
 */
#ifndef JINJA_OBJECT_METHODS_H
#define JINJA_OBJECT_METHODS_H

#include "jinja/routine.h"

/* NULL if Python's type has no such method. One that is known but not supported fails when it is
 * called. */
const struct routine *method_find(const struct value *object, struct text name);

#endif
