/*
 * Mixtral (Jiang et al., arXiv 2401.04088; as in Hugging Face's modeling_mixtral.py): Mistral in
 * which the MLP of every block consists of experts.
 */
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    llama_read_sizes(r, c, 0);
    config_expect(r, "hidden_act", "silu", "swish");
    c->norm_epsilon = (float)config_real(r, r->root, "rms_norm_eps", 1e-5);
    rope_read_config(r, c, 1e6);
    window_of_all(r, c, 0);
    experts_read_config(r, c, "intermediate_size");
    c->experts_normalized = 1;
}

const struct architecture mixtral = {
    .type = "mixtral",
    .gguf = "llama",
    .gguf_pairs = 1,
    LLAMA_FRAME,
    .norms = {[NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"},
    .router = "block_sparse_moe.gate",
    .matrix_count = 7,
    .matrices = {LLAMA_ATTENTION,
                 {"block_sparse_moe.experts.*.w3", ROLE_UP},
                 {"block_sparse_moe.experts.*.w1", ROLE_GATE},
                 {"block_sparse_moe.experts.*.w2", ROLE_DOWN}},
    .read_config = read_config,
    .mlp = mlp_swiglu,
};
