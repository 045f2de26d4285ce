/*
 * Causal attention, one head after the other. For a strip of rows of q: scores against all keys up
 * to the strip's end, softmax over the keys that each row may see, and the weighted sum of the
 * values. Heads are divided among threads.
 */
#include <math.h>
#include <stdatomic.h>
#include "base/context.h"
#include "base/team.h"
#include "linalg/matmul.h"
#include "model/architecture.h"
#include "rows/rows.h"

#define STRIP 64 /* rows of q at a time: the scores stay in the L2 cache */

struct job {
    ptq_context *context;
    const struct model_config *c;
    const struct attention_input *in;
    float *out;
    int64_t rows, parts;
    atomic_int failed;
};

/* The first key that position t sees. */
static int64_t first_key(const struct attention_input *in, int64_t t)
{
    return in->window && t >= in->window ? t - in->window + 1 : 0;
}

/* Computes scores [count][keys] of count rows of one head, at positions t0, t0 + step, ..., and
 * turns them into probabilities of keys key0 .. key0 + keys - 1. Probabilities are 0 for keys that
 * a position does not see: future ones, and those before its window. */
static ptq_status probabilities(const struct job *j, int64_t head, const float *q, const float *k,
                                int64_t t0, int64_t step, int64_t count, int64_t key0, int64_t keys,
                                float *scores)
{
    const struct attention_input *in = j->in;
    const int64_t d = j->c->head_dim;
    const float slope = in->slopes ? in->slopes[head] : 0.0f;
    const float scale = j->c->attention_scale > 0 ? j->c->attention_scale : 1.0f / sqrtf((float)d);
    struct ptqi_matrix queries = {q + t0 * in->q_row, step * in->q_row, 1};
    struct ptqi_matrix transposed = {k + key0 * in->kv_row, 1, in->kv_row};
    PTQI_TRY(
        ptqi_matmul(j->context, count, keys, d, queries, transposed, scores, keys, PTQI_SERIAL));
    for (int64_t i = 0; i < count; i++) {
        const int64_t t = in->position + t0 + i * step, begin = first_key(in, t) - key0,
                      end = t + 1 - key0;
        float *row = scores + i * keys;
        for (int64_t s = begin; s < end; s++)
            row[s] *= scale;
        row_soft_cap(j->c->attention_cap, row + begin, end - begin);
        for (int64_t s = begin; in->slopes && s < end; s++)
            row[s] += slope * (float)(s + key0 - t);
        row_softmax(j->context, row + begin, end - begin);
        for (int64_t s = 0; s < begin; s++)
            row[s] = 0.0f;
        for (int64_t s = end; s < keys; s++)
            row[s] = 0.0f;
    }
    return PTQ_OK;
}

static ptq_status run_head(const struct job *j, int64_t head, float *scores)
{
    const struct attention_input *in = j->in;
    const int64_t d = j->c->head_dim, width = j->c->heads * d;
    const int64_t kv_head = head / (j->c->heads / j->c->kv_heads);
    const float *q = in->q + head * in->q_head, *k = in->k + kv_head * in->kv_head;
    const float *v = in->v + kv_head * in->kv_head;
    for (int64_t t0 = 0; t0 < j->rows; t0 += STRIP) {
        int64_t t1 = t0 + STRIP < j->rows ? t0 + STRIP : j->rows;
        const int64_t key0 = first_key(in, in->position + t0), keys = in->position + t1 - key0;
        PTQI_TRY(probabilities(j, head, q, k, t0, 1, t1 - t0, key0, keys, scores));
        struct ptqi_matrix weights = {scores, keys, 1};
        struct ptqi_matrix values = {v + key0 * in->kv_row, in->kv_row, 1};
        PTQI_TRY(ptqi_matmul(j->context, t1 - t0, d, keys, weights, values,
                             j->out + t0 * width + head * d, width, PTQI_SERIAL));
    }
    return PTQ_OK;
}

static ptq_status finish(struct job *j)
{
    ptq_status status = atomic_load(&j->failed);
    return status ? ptqi_fail(j->context, status, "attention: %s", ptq_status_sentence(status))
                  : PTQ_OK;
}

/* Strips of one head, to compute rows of A_h x. */
struct mix_job {
    struct job job;
    const float *x;
    int64_t head, width, step;
};

/* Rows i0 .. i1 of the output. */
static ptq_status mix_strip(const struct mix_job *m, int64_t i0, int64_t i1, float *scores)
{
    const struct attention_input *in = m->job.in;
    const int64_t kv_head = m->head / (m->job.c->heads / m->job.c->kv_heads);
    const int64_t key0 = first_key(in, i0 * m->step), keys = (i1 - 1) * m->step + 1 - key0;
    PTQI_TRY(probabilities(&m->job, m->head, in->q + m->head * in->q_head,
                           in->k + kv_head * in->kv_head, i0 * m->step, m->step, i1 - i0, key0,
                           keys, scores));
    struct ptqi_matrix weights = {scores, keys, 1};
    struct ptqi_matrix values = {m->x + key0 * m->width, m->width, 1};
    return ptqi_matmul(m->job.context, i1 - i0, m->width, keys, weights, values,
                       m->job.out + i0 * m->width, m->width, PTQI_SERIAL);
}

static void mix_part(void *argument, int64_t part)
{
    struct mix_job *m = argument;
    struct job *j = &m->job;
    const int64_t rows = (j->rows + m->step - 1) / m->step;
    float *scores = ptqi_alloc(j->context, STRIP * j->rows, (int64_t)sizeof *scores);
    ptq_status status = scores ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t i0 = part * STRIP; i0 < rows && !status; i0 += j->parts * STRIP)
        status = mix_strip(m, i0, i0 + STRIP < rows ? i0 + STRIP : rows, scores);
    if (status)
        atomic_store(&j->failed, status);
    ptqi_free(j->context, scores);
}

ptq_status attention_mix(ptq_context *context, const struct model_config *c,
                         const struct attention_input *input, int64_t head, const float *x,
                         int64_t width, int64_t rows, int64_t step, float *out)
{
    struct mix_job m = {.job = {.context = context,
                                .c = c,
                                .in = input,
                                .out = out,
                                .rows = rows,
                                .parts = ptqi_threads(context)},
                        .x = x,
                        .head = head,
                        .width = width,
                        .step = step};
    atomic_init(&m.job.failed, 0);
    ptqi_parallel(context, m.job.parts, mix_part, &m);
    return finish(&m.job);
}

static void run_part(void *argument, int64_t part)
{
    struct job *j = argument;
    float *scores =
        ptqi_alloc(j->context, STRIP * (j->in->position + j->rows), (int64_t)sizeof *scores);
    ptq_status status = scores ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t head = part; head < j->c->heads && !status; head += j->parts)
        status = run_head(j, head, scores);
    if (status)
        atomic_store(&j->failed, status);
    ptqi_free(j->context, scores);
}

ptq_status attention(ptq_context *context, const struct model_config *c,
                     const struct attention_input *input, int64_t rows, float *out)
{
    struct job j = {.context = context,
                    .c = c,
                    .in = input,
                    .out = out,
                    .rows = rows,
                    .parts = ptqi_threads(context)};
    atomic_init(&j.failed, 0);
    ptqi_parallel(context, j.parts, run_part, &j);
    return finish(&j);
}
