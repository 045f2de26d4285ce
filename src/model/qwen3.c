/*
 * Qwen3 (arXiv 2505.09388; as in Hugging Face's modeling_qwen3.py): LLaMA in which each head of q
 * and of k is normalized before it is rotated.
 */
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    llama_read_config(r, c, 128);
    c->attention_bias = c->output_bias = config_flag(r, "attention_bias", 0);
    window_by_layer(r, c, 4096, 28);
}

const struct architecture qwen3 = {
    .type = "qwen3",
    .gguf = "qwen3",
    LLAMA_MEMBERS,
    .norms = {[NORM_ATTENTION] = "input_layernorm",
              [NORM_MLP] = "post_attention_layernorm",
              [NORM_Q] = "self_attn.q_norm",
              [NORM_K] = "self_attn.k_norm"},
    .read_config = read_config,
    .mlp = mlp_swiglu,
};
