/*
 * Perplexity: exp of the mean over windows of each window's mean negative log-likelihood.
 */
#include "eval/perplexity.h"
#include <math.h>
#include "base/context.h"
#include "base/exact.h"
#include "checkpoint/checkpoint.h"
#include "eval/forward.h"
#include "rows/rows.h"

#define LOGIT_ROWS 128 /* rows of logits at a time */

struct scores {
    struct model *model;
    const struct windows *windows;
    struct divergence *divergence; /* or NULL */
    int64_t first;                 /* the window that is sequence 0 of this run */
    float *logits;                 /* [LOGIT_ROWS][vocabulary] */
    double sum;                    /* over windows of the mean negative log-likelihood */
    int64_t tokens;                /* scored */
    double total, squares;         /* over tokens of the negative log-likelihood, and its square */
};

/* Adds rows t0 .. of a window; *sum is over the tokens of the window. */
static ptq_status score_rows(struct scores *s, int64_t window, const float *x, int64_t t0,
                             int64_t rows, double *sum)
{
    const int64_t vocabulary = s->model->config.vocabulary;
    const int32_t *ids = windows_first(s->windows, window);
    double log_sums[LOGIT_ROWS];
    PTQI_TRY(model_logits(s->model, x + t0 * s->model->config.hidden, rows, s->logits));
    for (int64_t t = 0; t < rows; t++) {
        const float *row = s->logits + t * vocabulary;
        log_sums[t] = row_log_sum_exp(s->model->context, row, vocabulary);
        const double loss = log_sums[t] - (double)row[ids[t0 + t + 1]];
        *sum += loss;
        s->total += loss;
        s->squares += loss * loss;
    }
    return s->divergence ? divergence_add(s->divergence, window, t0, rows, s->logits, log_sums)
                         : PTQ_OK;
}

/* Adds the mean negative log-likelihood of the tokens of a window that an earlier one did not have,
 * without the very first. */
static ptq_status score(void *user, int64_t sequence, const float *x)
{
    struct scores *s = user;
    const int64_t length = s->windows->length, old = length - 1 - s->windows->stride;
    const int64_t begin = s->first + sequence && old > 0 ? old : 0;
    double sum = 0;
    s->tokens += length - 1 - begin;
    for (int64_t t0 = begin; t0 < length - 1; t0 += LOGIT_ROWS)
        PTQI_TRY(
            score_rows(s, s->first + sequence, x, t0, ptqi_min(length - 1 - t0, LOGIT_ROWS), &sum));
    s->sum += sum / (double)(length - 1);
    return PTQ_OK;
}

/* The model on all windows, or with a reference on as many at a time as that keeps. */
static ptq_status run_windows(struct scores *s, struct forward *f, struct sequence *sequences)
{
    const int64_t count = s->windows->count;
    const int64_t batch = s->divergence ? s->divergence->batch : count;
    for (int64_t i = 0; i < count; i++)
        sequences[i] = (struct sequence){windows_first(s->windows, i), s->windows->length};
    for (s->first = 0; s->first < count; s->first += batch) {
        if (s->divergence)
            PTQI_TRY(divergence_run_reference(s->divergence, s->windows, s->first, f->progress));
        f->sequences = sequences + s->first;
        f->count = ptqi_min(batch, count - s->first);
        PTQI_TRY(forward_run(f));
    }
    return PTQ_OK;
}

/* The standard error of exp(mean loss), by that of the mean. */
static double standard_error(const struct scores *s, double perplexity)
{
    const double tokens = (double)s->tokens;
    const double mean = s->total / tokens;
    const double variance = tokens > 1 ? (s->squares - tokens * mean * mean) / (tokens - 1) : 0;
    return variance > 0 ? perplexity * sqrt(variance / tokens) : 0;
}

ptq_status perplexity_window(const struct model *m, int64_t *window)
{
    const int64_t longest = m->config.max_positions;
    if (!*window)
        *window = ptqi_min(longest, 2048);
    if (*window <= longest)
        return PTQ_OK;
    return ptqi_fail(m->context, PTQ_ERROR_BOUNDS,
                     "%s: a window of %lld is longer than max_position_embeddings %lld",
                     m->checkpoint->path, (long long)*window, (long long)longest);
}

ptq_status perplexity_measure(struct model *model, const struct windows *windows,
                              int32_t activations, struct divergence *divergence,
                              struct progress *progress, struct perplexity *result)
{
    ptq_context *context = model->context;
    struct scores s = {.model = model, .windows = windows, .divergence = divergence};
    struct forward f = {.model = model,
                        .activations = activations,
                        .progress = progress,
                        .done = score,
                        .user = &s};
    if (windows->length < 2)
        return ptqi_fail(context, PTQ_ERROR_BOUNDS, "a window needs at least two tokens");
    if (divergence)
        PTQI_TRY(divergence_begin(divergence, model, windows, LOGIT_ROWS));
    struct sequence *sequences = ptqi_alloc(context, windows->count, (int64_t)sizeof *sequences);
    s.logits =
        ptqi_alloc(context, LOGIT_ROWS * model->config.vocabulary, (int64_t)sizeof *s.logits);
    ptq_status status = sequences && s.logits ? run_windows(&s, &f, sequences) : PTQ_ERROR_MEMORY;
    ptqi_free(context, sequences);
    ptqi_free(context, s.logits);
    const double mean = windows->stride < windows->length ? s.total / (double)s.tokens
                                                          : s.sum / (double)windows->count;
    result->perplexity = ptqi_exp(mean);
    result->standard_error = standard_error(&s, result->perplexity);
    result->windows = windows->count;
    result->tokens = windows->count * windows->length;
    result->quantized = f.quantized;
    result->linear_seconds = f.linear_seconds;
    if (!status && divergence)
        divergence_finish(divergence);
    return status;
}
