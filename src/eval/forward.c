#include "eval/forward.h"
#include "base/context.h"

#define BATCH_BYTES ((int64_t)512 << 20) /* of residual streams */

struct batch {
    struct forward *f;
    struct workspace *workspace;
    float *x;
    int64_t first, count; /* first sequence, and number of sequences */
    double before, share; /* fractions of all tokens: before the batch, and in it */
};

static int64_t longest(const struct forward *f)
{
    int64_t most = 0;
    for (int64_t i = 0; i < f->count; i++)
        most = f->sequences[i].length > most ? f->sequences[i].length : most;
    return most;
}

/* Runs one block on all sequences of the batch. */
static ptq_status run_block(struct batch *b, const struct block *block)
{
    struct model *m = b->f->model;
    float *x = b->x;
    for (int64_t i = b->first; i < b->first + b->count; i++) {
        int64_t length = b->f->sequences[i].length;
        PTQI_TRY(block_forward(m, block, b->workspace, x, length));
        x += length * m->config.hidden;
        double within = (double)(i - b->first + 1) / (double)b->count;
        progress_show(
            b->f->progress,
            b->before + b->share * ((double)block->index + within) / (double)m->config.layers,
            "block %lld of %lld", (long long)block->index + 1, (long long)m->config.layers);
    }
    return PTQ_OK;
}

static ptq_status run_batch(struct batch *b)
{
    struct model *m = b->f->model;
    float *x = b->x;
    for (int64_t i = b->first; i < b->first + b->count; i++) {
        PTQI_TRY(model_embed(m, b->f->sequences[i].ids, 0, b->f->sequences[i].length, x));
        x += b->f->sequences[i].length * m->config.hidden;
    }
    b->f->quantized = 0;
    for (int64_t l = 0; l < m->config.layers; l++) {
        struct block *block;
        int quantized;
        PTQI_TRY(model_load_block(m, NULL, l, b->f->activations, &block, &quantized));
        b->f->quantized += quantized;
        ptq_status status = run_block(b, block);
        block_free(block);
        if (status)
            return status;
    }
    x = b->x;
    for (int64_t i = b->first; i < b->first + b->count; i++) {
        PTQI_TRY(b->f->done(b->f->user, i, x));
        x += b->f->sequences[i].length * m->config.hidden;
    }
    return PTQ_OK;
}

static ptq_status run_batches(struct forward *f, struct batch *b, int64_t rows, double tokens)
{
    for (b->first = 0; b->first < f->count; b->first += b->count) {
        int64_t taken = 0;
        b->before += b->share;
        for (b->count = 0; b->first + b->count < f->count; b->count++) {
            int64_t length = f->sequences[b->first + b->count].length;
            if (taken + length > rows)
                break;
            taken += length;
        }
        b->share = (double)taken / tokens;
        PTQI_TRY(run_batch(b));
    }
    return PTQ_OK;
}

ptq_status forward_run(struct forward *f)
{
    ptq_context *context = f->model->context;
    const int64_t hidden = f->model->config.hidden, length = longest(f);
    struct batch b = {.f = f};
    int64_t rows = BATCH_BYTES / 4 / hidden, tokens = 0;
    for (int64_t i = 0; i < f->count; i++)
        tokens += f->sequences[i].length;
    rows = rows < length ? length : rows > tokens ? tokens : rows;
    ptq_status status = workspace_create(f->model, length, &b.workspace);
    if (!status && !(b.x = ptqi_alloc(context, rows * hidden, (int64_t)sizeof *b.x)))
        status = PTQ_ERROR_MEMORY;
    if (!status)
        status = run_batches(f, &b, rows, (double)tokens);
    f->linear_seconds = b.workspace ? b.workspace->linear_seconds : 0;
    workspace_free(b.workspace);
    ptqi_free(context, b.x);
    return status;
}
