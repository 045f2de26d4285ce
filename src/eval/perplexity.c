/*
 * Perplexity: exp of the mean over windows of each window's mean negative log-likelihood.
 */
#include "eval/perplexity.h"
#include "base/context.h"
#include "base/exact.h"
#include "eval/forward.h"
#include "rows/rows.h"

#define LOGIT_ROWS 128 /* rows of logits at a time */

struct scores {
    struct model *model;
    const struct windows *windows;
    float *logits; /* [LOGIT_ROWS][vocabulary] */
    double sum;    /* over windows of the mean negative log-likelihood */
};

/* Adds the mean negative log-likelihood of tokens 2 .. L of a window. */
static ptq_status score(void *user, int64_t window, const float *x)
{
    struct scores *s = user;
    const int32_t *ids = windows_first(s->windows, window);
    const int64_t length = s->windows->length, vocabulary = s->model->config.vocabulary;
    double sum = 0;
    for (int64_t t0 = 0; t0 < length - 1; t0 += LOGIT_ROWS) {
        int64_t rows = length - 1 - t0 < LOGIT_ROWS ? length - 1 - t0 : LOGIT_ROWS;
        PTQI_TRY(model_logits(s->model, x + t0 * s->model->config.hidden, rows, s->logits));
        for (int64_t t = 0; t < rows; t++) {
            const float *row = s->logits + t * vocabulary;
            sum += row_log_sum_exp(s->model->context, row, vocabulary) - row[ids[t0 + t + 1]];
        }
    }
    s->sum += sum / (double)(length - 1);
    return PTQ_OK;
}

ptq_status perplexity_measure(struct model *model, const struct windows *windows,
                              int32_t activations, struct progress *progress,
                              struct perplexity *result)
{
    ptq_context *context = model->context;
    struct scores s = {.model = model, .windows = windows};
    if (windows->length < 2)
        return ptqi_fail(context, PTQ_ERROR_BOUNDS, "a window needs at least two tokens");
    struct sequence *sequences = ptqi_alloc(context, windows->count, (int64_t)sizeof *sequences);
    s.logits =
        ptqi_alloc(context, LOGIT_ROWS * model->config.vocabulary, (int64_t)sizeof *s.logits);
    struct forward f = {.model = model,
                        .sequences = sequences,
                        .count = windows->count,
                        .activations = activations,
                        .progress = progress,
                        .done = score,
                        .user = &s};
    for (int64_t i = 0; sequences && i < windows->count; i++)
        sequences[i] = (struct sequence){windows_first(windows, i), windows->length};
    ptq_status status = sequences && s.logits ? forward_run(&f) : PTQ_ERROR_MEMORY;
    ptqi_free(context, sequences);
    ptqi_free(context, s.logits);
    result->perplexity = ptqi_exp(s.sum / (double)windows->count);
    result->windows = windows->count;
    result->tokens = windows->count * windows->length;
    result->quantized = f.quantized;
    result->linear_seconds = f.linear_seconds;
    return status;
}
