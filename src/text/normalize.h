/*
 * The normalizer of a tokenizer.json: a chain of changes of the text.
 */
#ifndef TEXT_NORMALIZE_H
#define TEXT_NORMALIZE_H

#include "base/json.h"
#include "buffer.h"
#include "compose.h"
#include "split.h"

#define NORMALIZE_STEPS 16

struct normalizer;

struct normalize_step {
    ptq_status (*apply)(const struct normalizer *n, const struct normalize_step *step,
                        const struct buffer *in, struct buffer *out);
    struct regex regex;    /* what is replaced */
    int form;              /* of Unicode */
    struct buffer content; /* what is put there or in front */
};

struct normalizer {
    ptq_context *context;
    struct normalize_step steps[NORMALIZE_STEPS];
    int count;
    struct composer composer;
};

/* Loads the value of "normalizer". n may be freed even if this failed. Messages do not name the
 * file. */
ptq_status normalizer_load(ptq_context *context, const struct ptqi_json *json,
                           struct normalizer *n);
void normalizer_free(struct normalizer *n);

/* Changes valid UTF-8 in text; other is memory for it. */
ptq_status normalize(const struct normalizer *n, struct buffer *text, struct buffer *other);

#endif
