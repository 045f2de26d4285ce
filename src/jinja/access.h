/*
 * object.name, object[key] and object[begin:end:step].
 */
#ifndef JINJA_ACCESS_H
#define JINJA_ACCESS_H

#include "jinja/machine.h"

/* A method comes before a key of the same name; what does not exist is undefined. */
ptq_status access_attribute(struct machine *m, const struct value *object, struct text name,
                            struct value *out);
/* A key comes before a method of the same name. */
ptq_status access_item(struct machine *m, const struct value *object, const struct value *key,
                       struct value *out);
/* The bounds are integers, or None where there is none. */
ptq_status access_slice(struct machine *m, const struct value *object, const struct value bounds[3],
                        struct value *out);

#endif
