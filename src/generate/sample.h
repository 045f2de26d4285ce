/* Choosing the next token from logits. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "ptq/context.h"

struct sampling {
    double temperature; /* 0: always the first choice */
    int64_t top_k;      /* only the k likeliest tokens; 0: all */
    double top_p;       /* only the likeliest tokens that together reach this probability; 1: all */
    double min_p;       /* only tokens with this share of the likeliest one's probability; 0: all */
    double repetition_penalty; /* divides positive logits of tokens that occurred; 1: none */
    uint64_t seed;
};

struct sampler;

ptq_status sampler_create(ptq_context *context, const struct sampling *sampling, int64_t vocabulary,
                          struct sampler **sampler);
void sampler_free(struct sampler *sampler);
/* Marks a token as having occurred. */
void sampler_note(struct sampler *sampler, int32_t id);
/* The next token; changes logits [vocabulary]. The penalty, the temperature, top-k, top-p and min-p
 * are applied in this order, as in transformers. Equal logits are ordered by id. */
int32_t sampler_next(struct sampler *sampler, float *logits);

#endif
