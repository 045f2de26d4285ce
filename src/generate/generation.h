/*
 * Continuing a text: all blocks of a model in memory, with the keys and values of the text so far.
 */
#ifndef GENERATION_H
#define GENERATION_H

#include "model/model.h"

struct generation {
    struct model *model;
    struct block **blocks; /* [layers] */
    struct workspace *workspace;
    struct cache *cache;
    float *x;          /* [rows at a time][hidden] */
    float *logits;     /* [vocabulary], of the token that follows the text */
    int64_t quantized; /* matrices */
};

/* For texts of up to capacity tokens. */
ptq_status generation_begin(struct generation *g, struct model *model, int32_t activations,
                            int64_t capacity);
/* Runs tokens that continue the text, and computes the logits of the next one. */
ptq_status generation_run(struct generation *g, const int32_t *ids, int64_t count);
void generation_free(struct generation *g);

/* Adds the ids that end a text, by config.json and generation_config.json: at most limit. Returns
 * their number. */
int generation_end_ids(const struct model *model, int32_t *ids, int limit);

#endif
