/*
 * LLaMA (Touvron et al., arXiv 2302.13971; as in Hugging Face's modeling_llama.py):
 *
 *     x += o(attention(rope(q(n)), rope(k(n)), v(n))),   n = rmsnorm(x)
 *     x += down(silu(gate(m)) * up(m)),                  m = rmsnorm(x)
 */
#include "base/context.h"
#include "model/architecture.h"

/* lm-evaluation-harness uses this before max_position_embeddings, which every LLaMA has. */
static const char *const lengths[] = {"n_positions", NULL};

void llama_read_sizes(struct config_reader *r, struct model_config *c, int64_t head_dim)
{
    c->hidden = config_integer(r, "hidden_size", 131072, -1);
    c->intermediate = config_integer(r, "intermediate_size", 131072, -1);
    c->layers = config_integer(r, "num_hidden_layers", 10000, -1);
    c->heads = config_integer(r, "num_attention_heads", 4096, -1);
    c->kv_heads = config_integer(r, "num_key_value_heads", 4096, c->heads);
    c->vocabulary = config_integer(r, "vocab_size", 10000000, -1);
    c->max_positions = config_integer(r, "max_position_embeddings", 100000000, 2048);
    c->evaluated = config_first(r, lengths, 100000000, c->max_positions);
    if (r->status)
        return;
    if (!head_dim)
        head_dim = c->hidden / c->heads ? c->hidden / c->heads : 1;
    c->head_dim = config_integer(r, "head_dim", 4096, head_dim);
    c->norm_epsilon = (float)config_real(r, r->root, "rms_norm_eps", 1e-6);
    c->tied = config_flag(r, "tie_word_embeddings", 0);
    if (c->heads % c->kv_heads)
        config_fail(r, "num_key_value_heads", "does not divide num_attention_heads");
    if (c->head_dim % 2)
        config_fail(r, "head_dim", "is odd");
    c->rope_dimensions = c->head_dim;
}

void llama_read_config(struct config_reader *r, struct model_config *c, int64_t head_dim)
{
    llama_read_sizes(r, c, head_dim);
    config_expect(r, "hidden_act", "silu", "swish");
    rope_read_config(r, c, 10000);
}

static void read_config(struct config_reader *r, struct model_config *c)
{
    llama_read_config(r, c, 0);
    c->attention_bias = c->output_bias = config_flag(r, "attention_bias", -1);
    c->mlp_bias = config_flag(r, "mlp_bias", -1);
}

ptq_status llama_project(const struct model *m, const struct block *b, struct workspace *w,
                         const float *input, int64_t rows, struct attention_input *out)
{
    PTQI_TRY(project_separately(m, b, w, input, rows, out));
    if (b->norms[NORM_Q].weight.values)
        norm_rows(m, &b->norms[NORM_Q], w->q, rows * m->config.heads, w->q);
    if (b->norms[NORM_K].weight.values)
        norm_rows(m, &b->norms[NORM_K], w->k, rows * m->config.kv_heads, w->k);
    rope_apply(m, b, w->position, w->q, rows, m->config.heads, out->q_row);
    rope_apply(m, b, w->position, w->k, rows, m->config.kv_heads, out->k_row);
    return PTQ_OK;
}

/* transformers recomputes this too */
const char *const llama_buffers[] = {"self_attn.rotary_emb.inv_freq", NULL};

const struct architecture llama = {
    .type = "llama",
    .gguf = "llama",
    .gguf_pairs = 1,
    LLAMA_MEMBERS,
    .norms = {[NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"},
    .read_config = read_config,
    .mlp = mlp_swiglu,
};
