/* Perplexity as GPTQ, AWQ and FPTQ report it. */
#ifndef PERPLEXITY_H
#define PERPLEXITY_H

#include "model/model.h"
#include "console/progress.h"
#include "text/windows.h"

struct perplexity {
    double perplexity;
    int64_t windows, tokens; /* tokens run: all tokens of every window */
    int64_t quantized;       /* matrices that ran quantized */
    double linear_seconds;   /* time spent in the matrices of the blocks */
};

/* exp of the mean over windows of each window's mean negative log-likelihood of its tokens 2 .. L.
 * activations as in model_load_block. */
ptq_status perplexity_measure(struct model *model, const struct windows *windows,
                              int32_t activations, struct progress *progress,
                              struct perplexity *result);

#endif
