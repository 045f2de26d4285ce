/* Where two JSON texts differ. */
#ifndef DIFFERENCE_H
#define DIFFERENCE_H

#include <stdint.h>
#include "ptq/context.h"

/*
 * Writes the path of the first member that differs between the objects a and b to where, such as
 * "settings.bits", or "" if there is none. The order of members does not matter. what names a in
 * messages; b is known to be JSON.
 */
ptq_status find_difference(ptq_context *context, const char *what, const char *a, int64_t length,
                           const char *b, char *where, int64_t capacity);

#endif
