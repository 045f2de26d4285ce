/*
 * OPT (Zhang et al., arXiv 2205.01068; as in Hugging Face's modeling_opt.py):
 *
 *     x += out_proj(attention(q(n), k(n), v(n))),          n = layernorm(x)
 *     x += fc2(relu(fc1(layernorm(x))))
 *
 * Positions are learned and added to the embedding; their first two rows are not used.
 */
#include "base/context.h"
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    c->hidden = config_integer(r, "hidden_size", 131072, -1);
    c->intermediate = config_integer(r, "ffn_dim", 131072, -1);
    c->layers = config_integer(r, "num_hidden_layers", 10000, -1);
    c->heads = config_integer(r, "num_attention_heads", 4096, -1);
    c->vocabulary = config_integer(r, "vocab_size", 10000000, -1);
    c->max_positions = config_integer(r, "max_position_embeddings", 10000000, 2048);
    c->first_position = 2;
    c->evaluated = c->max_positions;
    if (r->status)
        return;
    if (c->hidden % c->heads)
        config_fail(r, "num_attention_heads", "does not divide hidden_size");
    c->kv_heads = c->heads;
    c->head_dim = c->hidden / c->heads;
    c->norm_epsilon = 1e-5f;
    c->tied = config_flag(r, "tie_word_embeddings", 1);
    c->attention_bias = c->output_bias = c->mlp_bias = config_flag(r, "enable_bias", 1);
    config_expect(r, "activation_function", "relu", "relu");
    if (!config_flag(r, "do_layer_norm_before", 1))
        config_fail(r, "do_layer_norm_before", "false is not supported");
    if (config_flag(r, "_remove_final_layer_norm", 0))
        config_fail(r, "_remove_final_layer_norm", "true is not supported");
    if (!config_flag(r, "layer_norm_elementwise_affine", 1))
        config_fail(r, "layer_norm_elementwise_affine", "false is not supported");
    if (config_integer(r, "word_embed_proj_dim", 131072, c->hidden) != c->hidden)
        config_fail(r, "word_embed_proj_dim", "differs from hidden_size, which is not supported");
}

static ptq_status prepare(struct model *m, int64_t rows)
{
    (void)m, (void)rows;
    return PTQ_OK;
}

const struct architecture opt = {
    .type = "opt",
    .prefix = "model.decoder.",
    .blocks = "layers.",
    .embedding = "embed_tokens.weight",
    .positions = "embed_positions.weight",
    .final_norm = "final_layer_norm",
    .norms = {[NORM_ATTENTION] = "self_attn_layer_norm", [NORM_MLP] = "final_layer_norm"},
    .norm_bias = 1,
    .matrix_count = 6,
    .matrices = {{"self_attn.k_proj", ROLE_K},
                 {"self_attn.v_proj", ROLE_V},
                 {"self_attn.q_proj", ROLE_Q},
                 {"self_attn.out_proj", ROLE_O},
                 {"fc1", ROLE_UP},
                 {"fc2", ROLE_DOWN}},
    .buffers = (const char *const[]){NULL},
    .read_config = read_config,
    .prepare = prepare,
    .project = project_separately,
    .mlp = mlp_relu,
};
