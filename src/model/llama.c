/*
 * LLaMA (Touvron et al., arXiv 2302.13971; as in Hugging Face's modeling_llama.py):
 *
 *     x += o(attention(rope(q(n)), rope(k(n)), v(n))),   n = rmsnorm(x)
 *     x += down(silu(gate(m)) * up(m)),                  m = rmsnorm(x)
 */
#include "base/context.h"
#include "base/exact.h"
#include "linalg/vector.h"
#include "model/architecture.h"
#include "model/config_reader.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    c->hidden = config_integer(r, "hidden_size", 131072, -1);
    c->intermediate = config_integer(r, "intermediate_size", 131072, -1);
    c->layers = config_integer(r, "num_hidden_layers", 10000, -1);
    c->heads = config_integer(r, "num_attention_heads", 4096, -1);
    c->kv_heads = config_integer(r, "num_key_value_heads", 4096, c->heads);
    c->vocabulary = config_integer(r, "vocab_size", 10000000, -1);
    c->max_positions = config_integer(r, "max_position_embeddings", 100000000, 2048);
    if (r->status)
        return;
    c->head_dim =
        config_integer(r, "head_dim", 4096, c->hidden / c->heads ? c->hidden / c->heads : 1);
    c->norm_epsilon = (float)config_real(r, r->root, "rms_norm_eps", 1e-6);
    c->tied = config_flag(r, "tie_word_embeddings", 0);
    c->attention_bias = config_flag(r, "attention_bias", -1);
    c->mlp_bias = config_flag(r, "mlp_bias", -1);
    config_expect(r, "hidden_act", "silu", "swish");
    c->rope_theta = config_rope_theta(r);
    if (c->heads % c->kv_heads)
        config_fail(r, "num_key_value_heads", "does not divide num_attention_heads");
    if (c->head_dim % 2)
        config_fail(r, "head_dim", "is odd");
}

/* cos and sin of position * theta^(-2i / d), for at least rows positions. */
static ptq_status prepare(struct model *m, int64_t rows)
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

static ptq_status project(const struct model *m, const struct block *b, struct workspace *w,
                          const float *input, int64_t rows, struct attention_input *out)
{
    const struct model_config *c = &m->config;
    const int64_t d = c->head_dim;
    *out = (struct attention_input){.q = w->q,
                                    .k = w->k,
                                    .v = w->v,
                                    .q_row = c->heads * d,
                                    .q_head = d,
                                    .kv_row = c->kv_heads * d,
                                    .kv_head = d};
    int prepared = 0;
    PTQI_TRY(matrix_apply(w, block_find(b, "q_proj"), input, rows, w->q, &prepared));
    PTQI_TRY(matrix_apply(w, block_find(b, "k_proj"), input, rows, w->k, &prepared));
    PTQI_TRY(matrix_apply(w, block_find(b, "v_proj"), input, rows, w->v, &prepared));
    apply_rope(m, w->q, rows, c->heads);
    apply_rope(m, w->k, rows, c->kv_heads);
    return PTQ_OK;
}

static ptq_status mlp(const struct model *m, const struct block *b, struct workspace *w,
                      const float *input, int64_t rows, float *output)
{
    int prepared = 0;
    PTQI_TRY(matrix_apply(w, block_find(b, "gate_proj"), input, rows, w->gate, &prepared));
    PTQI_TRY(matrix_apply(w, block_find(b, "up_proj"), input, rows, w->up, &prepared));
    ptqi_silu_multiply(w->context, w->gate, w->up, output, rows * m->config.intermediate);
    return PTQ_OK;
}

/* transformers computes it anew, too. */
static const char *const buffers[] = {"self_attn.rotary_emb.inv_freq", NULL};

const struct architecture llama = {
    .type = "llama",
    .prefix = "model.",
    .blocks = "layers.",
    .embedding = "embed_tokens.weight",
    .final_norm = "norm",
    .norms = {"input_layernorm", "post_attention_layernorm"},
    .before_output = "v_proj",
    .before_down = "up_proj",
    .matrix_count = 7,
    .matrices = {{"self_attn.k_proj", SITE_ATTENTION, WIDTH_KV, WIDTH_HIDDEN},
                 {"self_attn.v_proj", SITE_ATTENTION, WIDTH_KV, WIDTH_HIDDEN},
                 {"self_attn.q_proj", SITE_ATTENTION, WIDTH_HEADS, WIDTH_HIDDEN},
                 {"self_attn.o_proj", SITE_OUTPUT, WIDTH_HIDDEN, WIDTH_HEADS},
                 {"mlp.up_proj", SITE_MLP, WIDTH_INTERMEDIATE, WIDTH_HIDDEN},
                 {"mlp.gate_proj", SITE_MLP, WIDTH_INTERMEDIATE, WIDTH_HIDDEN},
                 {"mlp.down_proj", SITE_DOWN, WIDTH_HIDDEN, WIDTH_INTERMEDIATE}},
    .buffers = buffers,
    .read_config = read_config,
    .prepare = prepare,
    .project = project,
    .mlp = mlp,
};
