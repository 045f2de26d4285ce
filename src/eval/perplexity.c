/*
 * Perplexity, block by block: a batch of windows goes through one block of the model before the next
 * is loaded, so that memory holds one block and the residual streams of a batch.
 */
#include "eval/perplexity.h"
#include "base/context.h"
#include "base/exact.h"
#include "linalg/vector.h"

#define BATCH_BYTES ((int64_t)512 << 20) /* of residual streams */
#define LOGIT_ROWS 128                   /* rows of logits at a time */

struct run {
    struct model *model;
    const struct windows *windows;
    int32_t activations;
    struct progress *progress;
    struct workspace *workspace;
    float *x, *logits;
    double sum; /* over windows of the mean negative log-likelihood */
    int64_t done, quantized;
};

static ptq_status run_blocks(struct run *r, int64_t first, int64_t count)
{
    const int64_t length = r->windows->length, hidden = r->model->config.hidden;
    const int64_t layers = r->model->config.layers;
    for (int64_t i = 0; i < count; i++)
        PTQI_TRY(model_embed(r->model, windows_first(r->windows, first + i), length,
                             r->x + i * length * hidden));
    r->quantized = 0;
    for (int64_t l = 0; l < layers; l++) {
        struct block *block;
        int quantized;
        PTQI_TRY(model_load_block(r->model, NULL, l, r->activations, &block, &quantized));
        r->quantized += quantized;
        ptq_status status = PTQ_OK;
        for (int64_t i = 0; i < count && !status; i++) {
            status = block_forward(r->model, block, r->workspace, r->x + i * length * hidden, length);
            progress_show(r->progress,
                          ((double)first + (double)(l * count + i) / (double)layers) /
                              (double)r->windows->count,
                          "block %lld of %lld", (long long)l + 1, (long long)layers);
        }
        block_free(block);
        if (status)
            return status;
    }
    return PTQ_OK;
}

/* The mean negative log-likelihood of tokens 2 .. L of a window with final residual stream x. */
static ptq_status score(struct run *r, const float *x, const int32_t *ids, double *mean)
{
    const int64_t length = r->windows->length, vocabulary = r->model->config.vocabulary;
    double sum = 0;
    for (int64_t t0 = 0; t0 < length - 1; t0 += LOGIT_ROWS) {
        int64_t rows = length - 1 - t0 < LOGIT_ROWS ? length - 1 - t0 : LOGIT_ROWS;
        PTQI_TRY(model_logits(r->model, x + t0 * r->model->config.hidden, rows, r->logits));
        for (int64_t t = 0; t < rows; t++) {
            const float *row = r->logits + t * vocabulary;
            sum += ptqi_log_sum_exp(r->model->context, row, vocabulary) - row[ids[t0 + t + 1]];
        }
    }
    *mean = sum / (double)(length - 1);
    return PTQ_OK;
}

static ptq_status run_batch(struct run *r, int64_t first, int64_t count)
{
    const int64_t stride = r->windows->length * r->model->config.hidden;
    PTQI_TRY(run_blocks(r, first, count));
    for (int64_t i = 0; i < count; i++) {
        double mean;
        PTQI_TRY(score(r, r->x + i * stride, windows_first(r->windows, first + i), &mean));
        r->sum += mean;
        progress_show(r->progress, (double)(first + count) / (double)r->windows->count,
                      "scoring window %lld of %lld", (long long)(first + i) + 1,
                      (long long)r->windows->count);
    }
    return PTQ_OK;
}

static ptq_status run_all(struct run *r)
{
    ptq_context *context = r->model->context;
    const int64_t window = r->windows->length * r->model->config.hidden;
    int64_t batch = BATCH_BYTES / 4 / window;
    batch = batch < 1 ? 1 : batch > r->windows->count ? r->windows->count : batch;
    PTQI_TRY(workspace_create(r->model, r->windows->length, &r->workspace));
    r->x = ptqi_alloc(context, batch * window, (int64_t)sizeof *r->x);
    r->logits = ptqi_alloc(context, LOGIT_ROWS * r->model->config.vocabulary,
                           (int64_t)sizeof *r->logits);
    if (!r->x || !r->logits)
        return PTQ_ERROR_MEMORY;
    for (int64_t first = 0; first < r->windows->count; first += batch) {
        int64_t left = r->windows->count - first;
        PTQI_TRY(run_batch(r, first, left < batch ? left : batch));
    }
    return PTQ_OK;
}

ptq_status perplexity_measure(struct model *model, const struct windows *windows,
                              int32_t activations, struct progress *progress,
                              struct perplexity *result)
{
    struct run r = {.model = model, .windows = windows, .activations = activations,
                    .progress = progress};
    ptq_status status = windows->length < 2
                            ? ptqi_fail(model->context, PTQ_ERROR_BOUNDS,
                                        "a window needs at least two tokens")
                            : run_all(&r);
    workspace_free(r.workspace);
    ptqi_free(model->context, r.x);
    ptqi_free(model->context, r.logits);
    result->perplexity = ptqi_exp(r.sum / (double)windows->count);
    result->windows = windows->count;
    result->tokens = windows->count * windows->length;
    result->quantized = r.quantized;
    return status;
}
