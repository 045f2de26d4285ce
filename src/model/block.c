/*
 * The block that all architectures have in common: pre-norm residual steps around attention and
 * MLP.
 */
#include "base/context.h"
#include "model/architecture.h"
#include "rows/rows.h"

void norm_rows(const struct model *m, const struct norm *norm, const float *x, int64_t rows,
               float *out)
{
    const int64_t length = norm->weight.length;
    const float epsilon = m->config.norm_epsilon;
    const float *weight = norm->applied ? norm->applied : norm->weight.values;
    const float *bias = norm->bias.values;
    for (int64_t t = 0; t < rows; t++, x += length, out += length) {
        if (bias)
            row_layer_norm(m->context, x, weight, bias, epsilon, out, length);
        else
            row_rms_norm(m->context, x, weight, epsilon, out, length);
    }
}

ptq_status block_attention_input(const struct model *m, const struct block *b, const float *x,
                                 int64_t rows, float *input)
{
    norm_rows(m, &b->norms[NORM_ATTENTION], x, rows, input);
    return PTQ_OK;
}

ptq_status block_project(struct model *m, const struct block *b, struct workspace *w,
                         const float *input, int64_t rows, struct attention_input *out)
{
    const struct architecture *a = m->config.architecture;
    PTQI_TRY(a->prepare(m, w->position + rows));
    PTQI_TRY(a->project(m, b, w, input, rows, out));
    out->window = m->config.windows ? m->config.windows[b->index] : 0;
    if (!w->cache)
        return PTQ_OK;
    return cache_append(w->cache, b->index, w->position, rows, &m->config, out);
}

ptq_status block_attention(struct model *m, const struct block *b, struct workspace *w,
                           const float *input, int64_t rows, float *output)
{
    struct attention_input in;
    PTQI_TRY(block_project(m, b, w, input, rows, &in));
    return attention(m->context, &m->config, &in, rows, output);
}

/* x += norm(matrix(input)), for a site with one matrix; without the norm if there is none */
static ptq_status add_output(const struct model *model, const struct block *b, enum site site,
                             const struct norm *norm, struct workspace *w, const float *input,
                             int64_t rows, float *x)
{
    int i = 0;
    while (b->matrices[i].site != site)
        i++;
    const struct matrix *m = &b->matrices[i];
    PTQI_TRY(matrix_apply(w, m, input, rows, w->out));
    if (norm->weight.values)
        norm_rows(model, norm, w->out, rows, w->out);
    for (int64_t j = 0; j < rows * m->n; j++)
        x[j] += w->out[j];
    return PTQ_OK;
}

ptq_status block_attention_output(const struct model *m, const struct block *b, struct workspace *w,
                                  const float *input, int64_t rows, float *x)
{
    return add_output(m, b, SITE_OUTPUT, &b->norms[NORM_AFTER_ATTENTION], w, input, rows, x);
}

ptq_status block_mlp_input(const struct model *m, const struct block *b, const float *x,
                           int64_t rows, float *input)
{
    norm_rows(m, &b->norms[NORM_MLP], x, rows, input);
    return PTQ_OK;
}

ptq_status block_mlp(const struct model *m, const struct block *b, struct workspace *w,
                     const float *input, int64_t rows, float *output)
{
    return m->config.architecture->mlp(m, b, w, input, rows, output);
}

ptq_status block_mlp_output(const struct model *m, const struct block *b, struct workspace *w,
                            const float *input, int64_t rows, float *x)
{
    return add_output(m, b, SITE_DOWN, &b->norms[NORM_AFTER_MLP], w, input, rows, x);
}

ptq_status block_forward(struct model *m, const struct block *b, struct workspace *w, float *x,
                         int64_t rows)
{
    PTQI_TRY(block_attention_input(m, b, x, rows, w->normed));
    /* the inputs of o and down may replace q and gate, which are no longer needed */
    PTQI_TRY(block_attention(m, b, w, w->normed, rows, w->q));
    PTQI_TRY(block_attention_output(m, b, w, w->q, rows, x));
    PTQI_TRY(block_mlp_input(m, b, x, rows, w->normed));
    if (b->experts)
        return experts_output(m, b, w, w->normed, rows, x);
    PTQI_TRY(block_mlp(m, b, w, w->normed, rows, w->gate));
    return block_mlp_output(m, b, w, w->gate, rows, x);
}
