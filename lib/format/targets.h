/* config_groups of compressed-tensors: which matrices are quantized how. */
#ifndef PTQI_TARGETS_H
#define PTQI_TARGETS_H

#include "store/store.h"

/* The group that has the matrix. With several, the first whose targets name it, by its whole name,
 * the class "Linear" or "re:" and a regular expression. */
ptq_status ptqi_find_target(const ptq_store *store, const char *prefix,
                            const struct ptqi_json **group);

/* Whether a regular expression matches the beginning of a text, as Python's re.match. Sets *known
 * to 0 if it has anything but plain characters, ".", "*", "+", "?", "^", "$", "\" before a
 * punctuation mark, "\d", classes in brackets, and alternatives in parentheses. */
int ptqi_match(const char *pattern, const char *text, int *known);

#endif
