/*
 * Runs many sequences of tokens through a model, block by block: a batch of them passes through one
 * block before the next is loaded, so memory holds only one block and the residual streams of a
 * batch.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include "model/model.h"
#include "console/progress.h"

struct sequence {
    const int32_t *ids;
    int64_t length;
};

/* Receives the residual stream x [length][hidden] of a sequence after the last block. */
typedef ptq_status (*forward_done)(void *user, int64_t sequence, const float *x);

struct forward {
    struct model *model;
    const struct sequence *sequences;
    int64_t count;
    int32_t activations; /* as in model_load_block */
    struct progress *progress;
    forward_done done;
    void *user;
    /* Set by forward_run. */
    int64_t quantized;     /* matrices that ran quantized */
    double linear_seconds; /* time spent in the matrices of the blocks */
};

ptq_status forward_run(struct forward *f);

#endif
