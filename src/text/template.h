/*
 * The post-processor of a tokenizer.json: the ids put around those of a text, such as <s>.
 */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include "base/json.h"

#define TEMPLATE_IDS 32

struct template
{
    int32_t before[TEMPLATE_IDS], behind[TEMPLATE_IDS];
    int before_count, behind_count;
};

/* Loads the value of "post_processor". Messages do not name the file. */
ptq_status template_load(ptq_context *context, const struct ptqi_json *json, struct template *t);

#endif
