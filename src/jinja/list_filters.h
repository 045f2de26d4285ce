/*
 * Filters of lists and dicts.
 */
#ifndef JINJA_LIST_FILTERS_H
#define JINJA_LIST_FILTERS_H

#include "jinja/routine.h"

const struct routine *list_filter_find(struct text name);

/* What a path such as "function.name" or an index finds in a value. What does not exist on the way
 * is replaced by the fallback, if that is not NULL. */
ptq_status follow_path(struct machine *m, const struct value *v, const struct value *path,
                       const struct value *fallback, struct value *out);

#endif
