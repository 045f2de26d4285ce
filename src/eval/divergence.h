/*
 * How far the predictions of a model are from those of a reference, token by token: the
 * Kullback-Leibler divergence KL(p || q) = sum p log(p / q), where p is the reference's
 * distribution of the next token and q the model's, and how often both have the same first choice.
 */
#ifndef DIVERGENCE_H
#define DIVERGENCE_H

#include "base/json.h"
#include "model/model.h"
#include "console/progress.h"
#include "corpus/windows.h"

struct divergence {
    struct model *reference; /* of the caller */
    double seconds;          /* spent on the reference and the comparison so far */
    /* Results, of tokens 2 .. L of every window. */
    int64_t tokens, same_first;
    double mean, standard_error, median, p99, p999, max;
    /* For the run. */
    float *values; /* [tokens] */
    float *kept;   /* [batch][length][hidden]: the reference's last block */
    float *logits; /* [rows][vocabulary] of the reference */
    int64_t first, batch, length, rows;
    int complete; /* kept has all windows */
};

/* Checks that both models have the same vocabulary, and allocates. rows: of logits at a time. May
 * be called again for another model and the same windows; if all of them fit into memory, the
 * reference is not run again. */
ptq_status divergence_begin(struct divergence *d, const struct model *model,
                            const struct windows *windows, int64_t rows);
/* Runs the reference on d->batch windows from `first` on. */
ptq_status divergence_run_reference(struct divergence *d, const struct windows *windows,
                                    int64_t first, struct progress *progress);
/* Compares logits [rows][vocabulary] of positions t0 .. of a window. log_sums[i] is log(sum exp) of
 * row i. */
ptq_status divergence_add(struct divergence *d, int64_t window, int64_t t0, int64_t rows,
                          const float *logits, const double *log_sums);
/* Computes the results. */
void divergence_finish(struct divergence *d);
/* The share of tokens with the same first choice; and all results as the member "kl". */
double divergence_same_first(const struct divergence *d);
void divergence_add_json(const struct divergence *d, struct ptqi_json_writer *w);
void divergence_free(struct divergence *d);

#endif
