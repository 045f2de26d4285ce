/*
 * Values from JSON, as Python's json.loads makes them.
 */
#ifndef JINJA_FROM_JSON_H
#define JINJA_FROM_JSON_H

#include "base/json.h"
#include "jinja/machine.h"

/* The strings are not copied: the document, and the text that it was parsed from, must stay. */
ptq_status value_from_json(struct machine *m, const struct ptqi_json *json, struct value *out);

#endif
