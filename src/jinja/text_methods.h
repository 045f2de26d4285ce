/*
 * The methods of strings. Some are filters too.
 */
#ifndef JINJA_TEXT_METHODS_H
#define JINJA_TEXT_METHODS_H

#include "jinja/routine.h"

/* NULL if Python's str has no such method. */
const struct routine *text_method_find(struct text name);

/* str.replace: the first `count` occurrences, all if it is negative. */
ptq_status text_replace(struct machine *m, struct text text, struct text old, struct text new,
                        int64_t count, struct text *out);
/* The items of a list with a separator. Other items than strings are converted if converts is 1,
 * else refused. */
ptq_status text_join(struct machine *m, struct text separator, const struct list *list,
                     int converts, struct text *out);

#endif
