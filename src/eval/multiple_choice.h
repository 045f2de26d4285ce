/* Multiple choice, as EleutherAI's lm-evaluation-harness scores it. */
#ifndef CHOICES_H
#define CHOICES_H

#include "model/model.h"
#include "console/progress.h"

struct choices_result {
    int64_t items;
    double acc, acc_stderr;           /* the largest log-likelihood */
    double acc_norm, acc_norm_stderr; /* divided by the choice's length in characters */
    int64_t tokens, quantized;
};

/*
 * Each line of the file is {"context": "...", "choices": ["...", ...], "answer": index}. The score
 * of a choice is the sum of the log-likelihoods of its tokens after the context; context and choice
 * are tokenized together, as one text. Sequences too long for the model lose their beginning.
 */
ptq_status choices_measure(struct model *model, const char *path, int32_t activations,
                           struct progress *progress, struct choices_result *result);

#endif
