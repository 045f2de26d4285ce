/*
 * The LLaMA block (Touvron et al., arXiv 2302.13971; as in Hugging Face's modeling_llama.py):
 *
 *     x += o(attention(rope(q(n)), rope(k(n)), v(n))),   n = rmsnorm(x)
 *     x += down(silu(gate(m)) * up(m)),                  m = rmsnorm(x)
 */
#include "base/context.h"
#include "base/exact.h"
#include "linalg/matmul.h"
#include "linalg/vector.h"
#include "model/model.h"

/* Prepares x for the quantized matrices of a site that m is one of. */
static ptq_status prepare(struct workspace *w, const struct matrix *m, const float *x, int64_t rows)
{
    int64_t bytes = ptq_linear_prepared_bytes(m->linear, rows);
    if (bytes > w->prepared_bytes) {
        ptqi_free(w->context, w->prepared);
        w->prepared_bytes = 0;
        w->prepared = ptqi_alloc(w->context, bytes, 1);
        if (!w->prepared)
            return PTQ_ERROR_MEMORY;
        w->prepared_bytes = bytes;
    }
    return ptq_linear_prepare(m->linear, x, PTQ_F32, rows, m->k, w->prepared);
}

/* y [rows][n] = m(x); *prepared tells whether the workspace holds x prepared already. */
static ptq_status apply(struct workspace *w, const struct matrix *m, const float *x, int64_t rows,
                        float *y, int *prepared)
{
    if (m->linear) {
        if (!*prepared)
            PTQI_TRY(prepare(w, m, x, rows));
        *prepared = 1;
        return ptq_linear_forward_prepared(m->linear, w->prepared, y, PTQ_F32, m->n, NULL);
    }
    PTQI_TRY(ptqi_matmul_linear(w->context, rows, m->n, m->k, x, m->weight, y));
    for (int64_t i = 0; m->bias && i < rows * m->n; i++)
        y[i] += m->bias[i % m->n];
    return PTQ_OK;
}

static void norm_rows(const struct model *m, const float *weight, const float *x, int64_t rows,
                      float *out)
{
    const int64_t hidden = m->config.hidden;
    for (int64_t t = 0; t < rows; t++)
        ptqi_rms_norm(m->context, x + t * hidden, weight, m->config.norm_epsilon, out + t * hidden,
                      hidden);
}

/* cos and sin of position * theta^(-2i / d), for at least rows positions. */
static ptq_status grow_rope(struct model *m, int64_t rows)
{
    const int64_t half = m->config.head_dim / 2;
    if (rows <= m->rope_rows)
        return PTQ_OK;
    ptqi_free(m->context, m->rope_cos);
    ptqi_free(m->context, m->rope_sin);
    m->rope_rows = 0;
    m->rope_cos = ptqi_alloc(m->context, rows * half, (int64_t)sizeof(float));
    m->rope_sin = ptqi_alloc(m->context, rows * half, (int64_t)sizeof(float));
    if (!m->rope_cos || !m->rope_sin)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < half; i++) {
        double frequency = ptqi_pow(m->config.rope_theta, -(double)i / (double)half);
        for (int64_t t = 0; t < rows; t++) {
            m->rope_cos[t * half + i] = (float)ptqi_cos((double)t * frequency);
            m->rope_sin[t * half + i] = (float)ptqi_sin((double)t * frequency);
        }
    }
    m->rope_rows = rows;
    return PTQ_OK;
}

/* Rotates pairs (i, i + d/2) of each head: the "rotate half" form. */
static void apply_rope(const struct model *m, float *x, int64_t rows, int64_t heads)
{
    const int64_t d = m->config.head_dim, half = d / 2;
    for (int64_t t = 0; t < rows; t++)
        for (int64_t h = 0; h < heads; h++) {
            float *low = x + (t * heads + h) * d, *high = low + half;
            const float *c = m->rope_cos + t * half, *s = m->rope_sin + t * half;
            for (int64_t i = 0; i < half; i++) {
                float a = low[i], b = high[i];
                low[i] = a * c[i] - b * s[i];
                high[i] = b * c[i] + a * s[i];
            }
        }
}

ptq_status block_attention_input(const struct model *m, const struct block *b, const float *x,
                                 int64_t rows, float *input)
{
    norm_rows(m, b->attention_norm, x, rows, input);
    return PTQ_OK;
}

ptq_status block_attention(struct model *m, const struct block *b, struct workspace *w,
                           const float *input, int64_t rows, float *output)
{
    int prepared = 0;
    PTQI_TRY(grow_rope(m, rows));
    PTQI_TRY(apply(w, block_find(b, "q_proj"), input, rows, w->q, &prepared));
    PTQI_TRY(apply(w, block_find(b, "k_proj"), input, rows, w->k, &prepared));
    PTQI_TRY(apply(w, block_find(b, "v_proj"), input, rows, w->v, &prepared));
    apply_rope(m, w->q, rows, m->config.heads);
    apply_rope(m, w->k, rows, m->config.kv_heads);
    return attention(m->context, &m->config, w->q, w->k, w->v, rows, output);
}

/* x += m(input) */
static ptq_status add_output(struct workspace *w, const struct matrix *m, const float *input,
                             int64_t rows, float *x)
{
    int prepared = 0;
    PTQI_TRY(apply(w, m, input, rows, w->out, &prepared));
    for (int64_t i = 0; i < rows * m->n; i++)
        x[i] += w->out[i];
    return PTQ_OK;
}

ptq_status block_attention_output(const struct block *b, struct workspace *w, const float *input,
                                  int64_t rows, float *x)
{
    return add_output(w, block_find(b, "o_proj"), input, rows, x);
}

ptq_status block_mlp_input(const struct model *m, const struct block *b, const float *x,
                           int64_t rows, float *input)
{
    norm_rows(m, b->mlp_norm, x, rows, input);
    return PTQ_OK;
}

ptq_status block_mlp(const struct block *b, struct workspace *w, const float *input, int64_t rows,
                     float *output)
{
    const struct matrix *gate = block_find(b, "gate_proj"), *up = block_find(b, "up_proj");
    int prepared = 0;
    PTQI_TRY(apply(w, gate, input, rows, w->gate, &prepared));
    PTQI_TRY(apply(w, up, input, rows, w->up, &prepared));
    ptqi_silu_multiply(w->context, w->gate, w->up, output, rows * gate->n);
    return PTQ_OK;
}

ptq_status block_mlp_output(const struct block *b, struct workspace *w, const float *input,
                            int64_t rows, float *x)
{
    return add_output(w, block_find(b, "down_proj"), input, rows, x);
}

ptq_status block_forward(struct model *m, const struct block *b, struct workspace *w, float *x,
                         int64_t rows)
{
    PTQI_TRY(block_attention_input(m, b, x, rows, w->normed));
    /* the inputs of o and down may take the place of q and gate, which are not needed any more */
    PTQI_TRY(block_attention(m, b, w, w->normed, rows, w->q));
    PTQI_TRY(block_attention_output(b, w, w->q, rows, x));
    PTQI_TRY(block_mlp_input(m, b, x, rows, w->normed));
    PTQI_TRY(block_mlp(b, w, w->normed, rows, w->gate));
    return block_mlp_output(b, w, w->gate, rows, x);
}
