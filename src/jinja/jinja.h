/*
 * Chat templates: the part of Jinja that they use, rendered as jinja2 3.1 does with the settings of
 * transformers. README.md lists what is supported.
 *
 * A template is a program from a file that nobody has checked. What it may do is bounded: the steps
 * and the memory of a rendering, and the nesting of everything. A template that reaches a bound, or
 * uses what is not supported, ends with an error; it never gives another text.
 */
#ifndef JINJA_H
#define JINJA_H

#include <time.h>
#include "base/json.h"

struct jinja_template;

/* A variable that a template is given. */
struct jinja_variable {
    const char *name;
    const struct ptqi_json *value; /* NULL: None */
};

/* Parses a template. The messages of this function and the next begin with the line, if there is
 * one. */
ptq_status jinja_parse(ptq_context *context, const char *text, int64_t length,
                       struct jinja_template **out);
/* NULL is allowed. */
void jinja_free(struct jinja_template *t);

/* Sets the bounds of a rendering, which are otherwise those of a long conversation: steps, each an
 * operation or a few bytes of work, and bytes of memory. */
void jinja_limit(struct jinja_template *t, int64_t steps, int64_t memory);

/*
 * The text that a template makes, zero-terminated; the caller frees *text with ptqi_free. now is
 * what strftime_now tells. Any number of threads may render a template at once.
 */
ptq_status jinja_render(const struct jinja_template *t, const struct jinja_variable *variables,
                        int count, const struct tm *now, char **text, int64_t *length);

#endif
