/* Perplexity as GPTQ, AWQ and FPTQ report it. */
#ifndef PERPLEXITY_H
#define PERPLEXITY_H

#include "model/model.h"
#include "console/progress.h"
#include "eval/divergence.h"
#include "corpus/windows.h"

struct perplexity {
    double perplexity, standard_error; /* the latter as if tokens were independent */
    int64_t windows, tokens;           /* tokens run: all tokens of every window */
    int64_t quantized;                 /* matrices that ran quantized */
    double linear_seconds;             /* time spent in the matrices of the blocks */
};

/* The length of windows: the given one, or if it is 0, the model's longest up to 2048. Fails if the
 * model cannot take it. */
ptq_status perplexity_window(const struct model *model, int64_t *window);
/* exp of the mean over windows of each window's mean negative log-likelihood of its tokens 2 .. L.
 * If windows overlap, exp of the mean over all tokens, each scored in the first window that has it.
 * activations as in model_load_block. If divergence is not NULL, it is measured too. */
ptq_status perplexity_measure(struct model *model, const struct windows *windows,
                              int32_t activations, struct divergence *divergence,
                              struct progress *progress, struct perplexity *result);

#endif
