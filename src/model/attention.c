/*
 * Causal attention in strips. A strip is some rows of q, for which three steps are taken: scores
 * against all keys that any of them sees, softmax over the keys that each row sees, and the
 * weighted sum of the values. In a prompt, a strip has rows of one head; when a single token is
 * processed, it has the heads that share keys and values. Threads take one strip after the other.
 */
#include <math.h>
#include <stdatomic.h>
#include "base/context.h"
#include "base/team.h"
#include "linalg/matmul.h"
#include "model/architecture.h"
#include "rows/rows.h"

#define STRIP 64     /* rows of q at a time: the scores stay in the L2 cache */
#define PARALLEL 2e5 /* products below which waking other threads costs more than it saves */

struct job {
    ptq_context *context;
    const struct model_config *c;
    const struct attention_input *in;
    float *out;
    int64_t rows, parts;
    int64_t strips;    /* per head */
    atomic_llong next; /* strip to process, of those of all heads */
    atomic_int failed;
};

/* Row i is head + i * head_step at position t0 + i * step. The rows see keys key0 .. key0 + keys.
 */
struct strip {
    int64_t head, head_step, t0, step, count, key0, keys;
};

/* The first key that position t sees. */
static int64_t first_key(const struct attention_input *in, int64_t t)
{
    return in->window && t >= in->window ? t - in->window + 1 : 0;
}

static int64_t kv_head(const struct job *j, int64_t head)
{
    return head / (j->c->heads / j->c->kv_heads);
}

/* Turns the scores of row i into probabilities. They are 0 for keys that the row does not see:
 * future ones, and those before its window. */
static void normalize(const struct job *j, const struct strip *p, int64_t i, float *row)
{
    const struct attention_input *in = j->in;
    const float scale =
        j->c->attention_scale > 0 ? j->c->attention_scale : 1.0f / sqrtf((float)j->c->head_dim);
    const float slope = in->slopes ? in->slopes[p->head + i * p->head_step] : 0.0f;
    const int64_t t = in->position + p->t0 + i * p->step;
    const int64_t begin = first_key(in, t) - p->key0, end = t + 1 - p->key0;
    for (int64_t s = begin; s < end; s++)
        row[s] *= scale;
    row_soft_cap(j->c->attention_cap, row + begin, end - begin);
    for (int64_t s = begin; in->slopes && s < end; s++)
        row[s] += slope * (float)(s + p->key0 - t);
    row_softmax(j->context, row + begin, end - begin);
    for (int64_t s = 0; s < begin; s++)
        row[s] = 0.0f;
    for (int64_t s = end; s < p->keys; s++)
        row[s] = 0.0f;
}

/* scores [count][keys]: the probabilities of a strip. */
static ptq_status probabilities(const struct job *j, const struct strip *p, float *scores)
{
    const struct attention_input *in = j->in;
    const struct ptqi_matrix q = {in->q + p->head * in->q_head + p->t0 * in->q_row,
                                  p->head_step * in->q_head + p->step * in->q_row, 1};
    const struct ptqi_matrix k = {in->k + kv_head(j, p->head) * in->k_head + p->key0 * in->k_row,
                                  in->k_column, in->k_row};
    PTQI_TRY(ptqi_matmul(j->context, p->count, p->keys, j->c->head_dim, q, k, scores, p->keys,
                         PTQI_SERIAL));
    for (int64_t i = 0; i < p->count; i++)
        normalize(j, p, i, scores + i * p->keys);
    return PTQ_OK;
}

static ptq_status run_strip(const struct job *j, const struct strip *p, float *scores)
{
    const struct attention_input *in = j->in;
    const int64_t d = j->c->head_dim, width = j->c->heads * d;
    const struct ptqi_matrix weights = {scores, p->keys, 1};
    const struct ptqi_matrix v = {in->v + kv_head(j, p->head) * in->v_head + p->key0 * in->v_row,
                                  in->v_row, 1};
    PTQI_TRY(probabilities(j, p, scores));
    return ptqi_matmul(j->context, p->count, d, p->keys, weights, v,
                       j->out + p->t0 * width + p->head * d, p->head_step * d + p->step * width,
                       PTQI_SERIAL);
}

/* Strip number i of all heads. The longest come first, so that the threads finish together. */
static struct strip rows_strip(const struct job *j, int64_t i)
{
    const int64_t t0 = (j->strips - 1 - i / j->c->heads) * STRIP;
    const int64_t count = ptqi_min(STRIP, j->rows - t0),
                  key0 = first_key(j->in, j->in->position + t0);
    return (struct strip){.head = i % j->c->heads,
                          .t0 = t0,
                          .step = 1,
                          .count = count,
                          .key0 = key0,
                          .keys = j->in->position + t0 + count - key0};
}

/* A strip of heads of one token, from first up to end, as far as they share keys. */
static struct strip heads_strip(const struct job *j, int64_t first, int64_t end)
{
    const int64_t share = j->c->heads / j->c->kv_heads;
    const int64_t key0 = first_key(j->in, j->in->position);
    end = ptqi_min(ptqi_min(end, (first / share + 1) * share), first + STRIP);
    return (struct strip){.head = first,
                          .head_step = 1,
                          .count = end - first,
                          .key0 = key0,
                          .keys = j->in->position + 1 - key0};
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
    const int64_t key0 = first_key(in, i0 * m->step), keys = (i1 - 1) * m->step + 1 - key0;
    const struct strip p = {.head = m->head,
                            .t0 = i0 * m->step,
                            .step = m->step,
                            .count = i1 - i0,
                            .key0 = key0,
                            .keys = keys};
    PTQI_TRY(probabilities(&m->job, &p, scores));
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

static ptq_status run_rows(struct job *j, float *scores)
{
    int64_t i;
    while ((i = atomic_fetch_add(&j->next, 1)) < j->strips * j->c->heads) {
        const struct strip p = rows_strip(j, i);
        PTQI_TRY(run_strip(j, &p, scores));
    }
    return PTQ_OK;
}

static ptq_status run_heads(const struct job *j, int64_t part, float *scores)
{
    int64_t head, end;
    ptqi_split(j->c->heads, 1, part, j->parts, &head, &end);
    while (head < end) {
        const struct strip p = heads_strip(j, head, end);
        PTQI_TRY(run_strip(j, &p, scores));
        head += p.count;
    }
    return PTQ_OK;
}

static void run_part(void *argument, int64_t part)
{
    struct job *j = argument;
    const int64_t height = ptqi_min(STRIP, j->rows > 1 ? j->rows : j->c->heads / j->c->kv_heads);
    float *scores =
        ptqi_alloc(j->context, height * (j->in->position + j->rows), (int64_t)sizeof *scores);
    ptq_status status = PTQ_ERROR_MEMORY;
    if (scores)
        status = j->rows > 1 ? run_rows(j, scores) : run_heads(j, part, scores);
    if (status)
        atomic_store(&j->failed, status);
    ptqi_free(j->context, scores);
}

ptq_status attention(ptq_context *context, const struct model_config *c,
                     const struct attention_input *input, int64_t rows, float *out)
{
    const int64_t keys = input->position + rows;
    const double products = (double)rows * (double)keys * (double)(c->heads * c->head_dim);
    struct job j = {.context = context,
                    .c = c,
                    .in = input,
                    .out = out,
                    .rows = rows,
                    .parts = products > PARALLEL ? ptqi_threads(context) : 1,
                    .strips = (rows + STRIP - 1) / STRIP};
    atomic_init(&j.next, 0);
    atomic_init(&j.failed, 0);
    ptqi_parallel(context, j.parts, run_part, &j);
    return finish(&j);
}
