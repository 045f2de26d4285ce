/*
 * GPT-2 (Radford et al. 2019; as in Hugging Face's modeling_gpt2.py):
 *
 *     x += c_proj(attention(q, k, v)),          q, k, v = c_attn(layernorm(x))
 *     x += c_proj(gelu(c_fc(layernorm(x))))
 *
 * Positions are learned and added to the embedding. Weights are stored as [K][N] (Conv1D).
 */
#include "base/context.h"
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    c->hidden = config_either(r, "n_embd", "hidden_size", 131072 / 4);
    c->layers = config_either(r, "n_layer", "num_hidden_layers", 10000);
    c->heads = config_either(r, "n_head", "num_attention_heads", 4096);
    c->max_positions = config_either(r, "n_positions", "max_position_embeddings", 10000000);
    c->vocabulary = config_integer(r, "vocab_size", 10000000, -1);
    c->intermediate = config_integer(r, "n_inner", 131072, 4 * c->hidden);
    c->evaluated = c->max_positions;
    if (r->status)
        return;
    if (c->hidden % c->heads)
        config_fail(r, "n_head", "does not divide n_embd");
    c->kv_heads = c->heads;
    c->head_dim = c->hidden / c->heads;
    c->norm_epsilon = (float)config_real(r, r->root, "layer_norm_epsilon", 1e-5);
    c->tied = config_flag(r, "tie_word_embeddings", 1);
    c->attention_bias = c->output_bias = c->mlp_bias = 1;
    config_expect(r, "activation_function", "gelu_new", "gelu_pytorch_tanh");
    if (!config_flag(r, "scale_attn_weights", 1))
        config_fail(r, "scale_attn_weights", "false is not supported");
    if (config_flag(r, "scale_attn_by_inverse_layer_idx", 0))
        config_fail(r, "scale_attn_by_inverse_layer_idx", "true is not supported");
    if (config_flag(r, "add_cross_attention", 0))
        config_fail(r, "add_cross_attention", "true is not supported");
}

static ptq_status prepare(struct model *m, int64_t rows)
{
    (void)m, (void)rows;
    return PTQ_OK;
}

/* The causal mask. */
static const char *const buffers[] = {"attn.bias", "attn.masked_bias", NULL};

const struct architecture gpt2 = {
    .type = "gpt2",
    .gguf = "gpt2",
    .prefix = "transformer.",
    .blocks = "h.",
    .embedding = "wte.weight",
    .positions = "wpe.weight",
    .final_norm = "ln_f",
    .norms = {[NORM_ATTENTION] = "ln_1", [NORM_MLP] = "ln_2"},
    .norm_bias = 1,
    .transposed = 1,
    .matrix_count = 4,
    .matrices = {{"attn.c_attn", ROLE_QKV},
                 {"attn.c_proj", ROLE_O},
                 {"mlp.c_fc", ROLE_UP},
                 {"mlp.c_proj", ROLE_DOWN}},
    .buffers = buffers,
    .read_config = read_config,
    .prepare = prepare,
    .project = project_fused,
    .mlp = mlp_gelu,
};
