/* Multiple choice, as EleutherAI's lm-evaluation-harness scores it. */
#ifndef CHOICES_H
#define CHOICES_H

#include "model/model.h"
#include "console/progress.h"

struct choices_result {
    int64_t items;
    double acc, acc_stderr;           /* the largest log-likelihood */
    double acc_norm, acc_norm_stderr; /* divided by the choice's length in bytes */
    int64_t tokens, quantized;
};

/*
 * Each line of the file is {"context": "...", "choices": ["...", ...], "answer": index}. A choice
 * is scored by the sum of the log-likelihoods of its tokens behind the context's; context and
 * choice are tokenized together, as one text. Contexts longer than the model are cut at their
 * beginning.
 */
ptq_status choices_measure(struct model *model, const char *path, int32_t activations,
                           struct progress *progress, struct choices_result *result);

#endif
