/*
 * An MLP that is a mixture of experts (Shazeer et al., arXiv 1701.06538; as in Hugging Face's
 * modeling_mixtral.py and modeling_qwen3_moe.py):
 *
 *     p = softmax(router(n)),   x += sum over the largest p_e of p_e down_e(silu(gate_e(n)) *
 * up_e(n))
 *
 * Each expert runs once, on the rows that use it. The outputs of a row are added in the order of
 * the experts, whatever other rows there are, so a row's result depends on that row alone.
 */
#include <string.h>
#include "base/context.h"
#include "linalg/matmul.h"
#include "model/architecture.h"
#include "rows/rows.h"

void experts_read_config(struct config_reader *r, struct model_config *c, const char *width)
{
    c->experts = config_either(r, "num_local_experts", "num_experts", MAX_EXPERTS);
    c->experts_used = config_integer(r, "num_experts_per_tok", MAX_EXPERTS, -1);
    c->expert_width = config_integer(r, width, 131072, -1);
    if (!r->status && c->experts_used > c->experts)
        config_fail(r, "num_experts_per_tok", "exceeds the number of experts");
    if (r->status)
        return;
    c->has_experts = ptqi_alloc(r->context, c->layers, (int64_t)sizeof *c->has_experts);
    if (c->has_experts)
        memset(c->has_experts, 1, (size_t)c->layers);
    else
        r->status = PTQ_ERROR_MEMORY;
}

/* The largest number that comes after number `last` if all are sorted from large to small, equal
 * ones by their index; last -1: the largest. -1 if there is none, because they are not numbers. */
static int64_t next_largest(const float *x, int64_t n, int64_t last)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++) {
        const int after = last < 0 || x[i] < x[last] || (x[i] == x[last] && i > last);
        if (after && x[i] == x[i] && (best < 0 || x[i] > x[best]))
            best = i;
    }
    return best;
}

/* shares [experts]: the largest of the probabilities p, and 0 for the others. */
static void choose(const struct model_config *c, const float *p, float *shares)
{
    float sum = 0;
    memset(shares, 0, (size_t)c->experts * sizeof *shares);
    int64_t expert = -1;
    for (int64_t i = 0; i < c->experts_used; i++) {
        expert = next_largest(p, c->experts, expert);
        if (expert < 0) { /* the router overflowed; so must the result */
            memcpy(shares, p, (size_t)c->experts * sizeof *shares);
            return;
        }
        shares[expert] = p[expert];
        sum += p[expert];
    }
    for (int64_t e = 0; c->experts_normalized && e < c->experts; e++)
        shares[e] /= sum;
}

ptq_status experts_route(const struct model *m, const struct block *b, const float *input,
                         int64_t rows, float *probabilities, float *shares)
{
    const struct model_config *c = &m->config;
    PTQI_TRY(ptqi_matmul_linear(m->context, rows, c->experts, c->hidden, input, b->router.values,
                                probabilities));
    for (int64_t t = 0; t < rows; t++) {
        row_softmax(m->context, probabilities + t * c->experts, c->experts);
        choose(c, probabilities + t * c->experts, shares + t * c->experts);
    }
    return PTQ_OK;
}

ptq_status experts_inner(const struct block *b, struct workspace *w, int64_t expert,
                         const float *input, int64_t rows, float *output)
{
    return mlp_swiglu_by(w, block_matrix(b, ROLE_GATE, expert), block_matrix(b, ROLE_UP, expert),
                         input, rows, output);
}

/* Adds an expert's outputs to the rows of w->mixed that use it. share [rows] has the given step. */
static ptq_status add_expert(const struct block *b, struct workspace *w, int64_t expert,
                             const float *input, int64_t rows, const float *share, int64_t step)
{
    const struct matrix *down = block_matrix(b, ROLE_DOWN, expert);
    const int64_t hidden = down->n;
    int64_t taken = 0;
    for (int64_t t = 0; t < rows; t++)
        if (share[t * step] != 0)
            memcpy(w->gathered + taken++ * hidden, input + t * hidden,
                   (size_t)hidden * sizeof *input);
    if (!taken)
        return PTQ_OK;
    PTQI_TRY(experts_inner(b, w, expert, w->gathered, taken, w->gate));
    PTQI_TRY(matrix_apply(w, down, w->gate, taken, w->out));
    const float *out = w->out;
    for (int64_t t = 0; t < rows; t++) {
        if (share[t * step] == 0)
            continue;
        for (int64_t i = 0; i < hidden; i++)
            w->mixed[t * hidden + i] += share[t * step] * out[i];
        out += hidden;
    }
    return PTQ_OK;
}

ptq_status experts_output(const struct model *m, const struct block *b, struct workspace *w,
                          const float *input, int64_t rows, float *x)
{
    const int64_t count = rows * m->config.hidden;
    PTQI_TRY(experts_route(m, b, input, rows, w->probabilities, w->shares));
    memset(w->mixed, 0, (size_t)count * sizeof *w->mixed);
    for (int64_t e = 0; e < b->experts; e++)
        PTQI_TRY(add_expert(b, w, e, input, rows, w->shares + e, b->experts));
    for (int64_t i = 0; i < count; i++)
        x[i] += w->mixed[i];
    return PTQ_OK;
}
