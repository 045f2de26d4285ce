/*
 * The filter tojson, as transformers defines it: json.dumps.
 */
#ifndef JINJA_TO_JSON_H
#define JINJA_TO_JSON_H

#include "jinja/routine.h"

#define TO_JSON_PARAMETERS "ensure_ascii indent separators sort_keys"

ptq_status to_json(const struct call *c);

#endif
