/*
 * Filters of texts and numbers.
 */
#ifndef JINJA_TEXT_FILTERS_H
#define JINJA_TEXT_FILTERS_H

#include "jinja/routine.h"

const struct routine *text_filter_find(struct text name);

#endif
