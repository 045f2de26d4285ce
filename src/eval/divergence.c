#include "eval/divergence.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/exact.h"
#include "checkpoint/checkpoint.h"
#include "console/clock.h"
#include "eval/forward.h"
#include "rows/rows.h"

#define KEPT_BYTES ((int64_t)256 << 20)

ptq_status divergence_begin(struct divergence *d, const struct model *model,
                            const struct windows *windows, int64_t rows)
{
    struct model *r = d->reference;
    ptq_context *context = r->context;
    const int64_t tokens = windows->count * (windows->length - 1);
    if (r->config.vocabulary != model->config.vocabulary)
        return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                         "%s has %lld tokens, and %s has %lld: they cannot be compared",
                         model->checkpoint->path, (long long)model->config.vocabulary,
                         r->checkpoint->path, (long long)r->config.vocabulary);
    if (windows->length > r->config.max_positions)
        return ptqi_fail(context, PTQ_ERROR_BOUNDS,
                         "%s: a window of %lld is longer than max_position_embeddings %lld",
                         r->checkpoint->path, (long long)windows->length,
                         (long long)r->config.max_positions);
    d->tokens = d->same_first = 0;
    if (d->values)
        return PTQ_OK;
    d->length = windows->length;
    d->rows = rows;
    d->batch = KEPT_BYTES / 4 / r->config.hidden / d->length;
    d->batch = d->batch < 1 ? 1 : ptqi_min(d->batch, windows->count);
    d->values = ptqi_alloc(context, tokens, (int64_t)sizeof *d->values);
    d->kept =
        ptqi_alloc(context, d->batch * d->length * r->config.hidden, (int64_t)sizeof *d->kept);
    d->logits = ptqi_alloc(context, rows * r->config.vocabulary, (int64_t)sizeof *d->logits);
    return d->values && d->kept && d->logits ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static ptq_status keep(void *user, int64_t sequence, const float *x)
{
    struct divergence *d = user;
    const int64_t count = d->length * d->reference->config.hidden;
    memcpy(d->kept + sequence * count, x, (size_t)count * sizeof *x);
    return PTQ_OK;
}

ptq_status divergence_run_reference(struct divergence *d, const struct windows *windows,
                                    int64_t first, struct progress *progress)
{
    struct model *r = d->reference;
    const double start = clock_seconds();
    if (d->complete)
        return PTQ_OK;
    const int64_t count = ptqi_min(d->batch, windows->count - first);
    struct sequence *sequences = ptqi_alloc(r->context, count, (int64_t)sizeof *sequences);
    struct forward f = {.model = r,
                        .sequences = sequences,
                        .count = count,
                        .activations = ACTIVATIONS_OWN,
                        .progress = progress,
                        .done = keep,
                        .user = d};
    for (int64_t i = 0; sequences && i < count; i++)
        sequences[i] = (struct sequence){windows_first(windows, first + i), windows->length};
    d->first = first;
    const ptq_status status = sequences ? forward_run(&f) : PTQ_ERROR_MEMORY;
    ptqi_free(r->context, sequences);
    d->complete = !status && count == windows->count;
    d->seconds += clock_seconds() - start;
    return status;
}

/* sum p log(p / q), given log(sum exp) of both rows. */
static double compare(const float *p, double log_p, const float *q, double log_q, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        const double own = (double)p[i] - log_p;
        sum += (double)ptqi_expf((float)own) * (own - ((double)q[i] - log_q));
    }
    return sum > 0 ? sum : 0; /* rounding may take it below */
}

ptq_status divergence_add(struct divergence *d, int64_t window, int64_t t0, int64_t rows,
                          const float *logits, const double *log_sums)
{
    struct model *r = d->reference;
    const int64_t vocabulary = r->config.vocabulary;
    const float *x = d->kept + ((window - d->first) * d->length + t0) * r->config.hidden;
    const double start = clock_seconds();
    PTQI_TRY(model_logits(r, x, rows, d->logits));
    for (int64_t t = 0; t < rows; t++) {
        const float *p = d->logits + t * vocabulary, *q = logits + t * vocabulary;
        const double log_p = row_log_sum_exp(r->context, p, vocabulary);
        d->values[d->tokens++] = (float)compare(p, log_p, q, log_sums[t], vocabulary);
        d->same_first += row_largest(p, vocabulary) == row_largest(q, vocabulary);
    }
    d->seconds += clock_seconds() - start;
    return PTQ_OK;
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The value that a share of all values does not exceed. */
static double quantile(const struct divergence *d, double share)
{
    const int64_t i = (int64_t)ceil(share * (double)d->tokens) - 1;
    return (double)d->values[i < 0 ? 0 : i];
}

void divergence_finish(struct divergence *d)
{
    double sum = 0, squares = 0;
    const double count = (double)d->tokens;
    for (int64_t i = 0; i < d->tokens; i++)
        sum += (double)d->values[i];
    d->mean = sum / count;
    for (int64_t i = 0; i < d->tokens; i++)
        squares += ((double)d->values[i] - d->mean) * ((double)d->values[i] - d->mean);
    d->standard_error = d->tokens > 1 ? sqrt(squares / (count - 1) / count) : 0;
    qsort(d->values, (size_t)d->tokens, sizeof *d->values, ascending);
    d->median = quantile(d, 0.5);
    d->p99 = quantile(d, 0.99);
    d->p999 = quantile(d, 0.999);
    d->max = quantile(d, 1.0);
}

double divergence_same_first(const struct divergence *d)
{
    return (double)d->same_first / (double)d->tokens;
}

void divergence_add_json(const struct divergence *d, struct ptqi_json_writer *w)
{
    ptqi_json_open(w, "kl", '{');
    ptqi_json_add_number(w, "mean", d->mean, 9);
    ptqi_json_add_number(w, "standard_error", d->standard_error, 9);
    ptqi_json_add_number(w, "median", d->median, 9);
    ptqi_json_add_number(w, "p99", d->p99, 9);
    ptqi_json_add_number(w, "p999", d->p999, 9);
    ptqi_json_add_number(w, "max", d->max, 9);
    ptqi_json_add_number(w, "same_first_choice", divergence_same_first(d), 9);
    ptqi_json_close(w, '}');
}

void divergence_free(struct divergence *d)
{
    if (!d->reference)
        return;
    ptqi_free(d->reference->context, d->values);
    ptqi_free(d->reference->context, d->kept);
    ptqi_free(d->reference->context, d->logits);
}
