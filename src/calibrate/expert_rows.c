#include "calibrate/expert_rows.h"
#include <stdlib.h>
#include <string.h>
#include "base/context.h"

struct expert_candidate {
    float probability;
    int64_t token;
};

static ptq_status create(const struct calibration *c, struct expert_rows **out)
{
    const int64_t experts = c->model->config.experts;
    const int64_t tokens = c->streams.count * c->streams.length;
    struct expert_rows *r = ptqi_alloc_zero(c->model->context, 1, (int64_t)sizeof *r);
    int64_t numbers;
    *out = r;
    if (!r)
        return PTQ_ERROR_MEMORY;
    r->context = c->model->context;
    if (!ptqi_multiply(tokens, experts, &numbers))
        return ptqi_fail_memory(r->context, INT64_MAX);
    r->experts = experts;
    r->length = c->streams.length;
    r->tokens = tokens;
    r->floor = (c->model->config.hidden + 1) / 2;
    r->floor = r->floor < tokens ? r->floor : tokens;
    r->probabilities = ptqi_alloc(r->context, numbers, (int64_t)sizeof *r->probabilities);
    r->shares = ptqi_alloc(r->context, numbers, (int64_t)sizeof *r->shares);
    r->selected = ptqi_alloc(r->context, tokens, (int64_t)sizeof *r->selected);
    r->others = ptqi_alloc(r->context, tokens, (int64_t)sizeof *r->others);
    return r->probabilities && r->shares && r->selected && r->others ? PTQ_OK : PTQ_ERROR_MEMORY;
}

void expert_rows_free(struct expert_rows *r)
{
    if (!r)
        return;
    ptqi_free(r->context, r->probabilities);
    ptqi_free(r->context, r->shares);
    ptqi_free(r->context, r->selected);
    ptqi_free(r->context, r->others);
    ptqi_free(r->context, r);
}

/* Adds the output of attention to all windows, and routes them if r is not NULL. */
static ptq_status pass_attention(struct calibration *c, const struct block *b,
                                 struct expert_rows *r)
{
    struct workspace *w = c->workspace;
    const int64_t length = c->streams.length;
    for (int64_t i = 0; i < c->streams.count; i++) {
        float *x = streams_residual(&c->streams, i);
        const float *attention = streams_attention(&c->streams, i);
        PTQI_TRY(block_attention_output(c->model, b, w, attention, length, x));
        PTQI_TRY(block_mlp_input(c->model, b, x, length, w->normed));
        const int64_t at = r ? i * length * r->experts : 0;
        if (r)
            PTQI_TRY(experts_route(c->model, b, w->normed, length, r->probabilities + at,
                                   r->shares + at));
        PTQI_TRY(ptqi_check_cancelled(c->model->context));
    }
    return PTQ_OK;
}

ptq_status experts_enter(struct calibration *c, const struct block *b, const struct matrix *m)
{
    if (m->expert < 0 || m->site != SITE_MLP)
        return PTQ_OK;
    if (!c->experts)
        PTQI_TRY(create(c, &c->experts));
    if (m->expert == 0)
        PTQI_TRY(pass_attention(c, b, c->experts));
    if (m->expert == 0 && c->reference)
        PTQI_TRY(pass_attention(c->reference, c->reference_block, NULL));
    expert_rows_select(c->experts, m->expert);
    return PTQ_OK;
}

static int by_probability(const void *left, const void *right)
{
    const struct expert_candidate *a = left, *b = right;
    if (a->probability != b->probability)
        return a->probability > b->probability ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

static int by_token(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* Adds tokens that do not use the expert until there are enough. */
static void add_others(struct expert_rows *r, int64_t expert)
{
    int64_t count = 0;
    for (int64_t t = 0; t < r->tokens; t++) {
        const float p = r->probabilities[t * r->experts + expert];
        if (r->shares[t * r->experts + expert] == 0)
            r->others[count++] = (struct expert_candidate){p == p ? p : 0, t};
    }
    qsort(r->others, (size_t)count, sizeof *r->others, by_probability);
    for (int64_t i = 0; r->count < r->floor; i++)
        r->selected[r->count++] = r->others[i].token;
    qsort(r->selected, (size_t)r->count, sizeof *r->selected, by_token);
}

void expert_rows_select(struct expert_rows *r, int64_t expert)
{
    r->count = 0;
    for (int64_t t = 0; t < r->tokens; t++)
        if (expert < 0 || r->shares[t * r->experts + expert] != 0)
            r->selected[r->count++] = t;
    r->used = r->count;
    if (r->count < r->floor)
        add_others(r, expert);
}

int64_t expert_rows_gather(const struct expert_rows *r, int64_t i, const float *x, int64_t width,
                           float *out)
{
    const int64_t first = i * r->length;
    int64_t from = 0, count = 0, end = r->count;
    while (from < end) { /* the first selected row of this window */
        const int64_t middle = from + (end - from) / 2;
        if (r->selected[middle] < first)
            from = middle + 1;
        else
            end = middle;
    }
    for (; from < r->count && r->selected[from] < first + r->length; from++)
        memcpy(out + count++ * width, x + (r->selected[from] - first) * width,
               (size_t)width * sizeof *x);
    return count;
}
