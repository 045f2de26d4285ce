/*
 * Qwen2 and Qwen2.5 (arXiv 2407.10671; as in Hugging Face's modeling_qwen2.py): LLaMA with biases
 * of q, k and v. Later layers may see only a window of keys.
 */
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    llama_read_config(r, c, 0);
    c->attention_bias = 1;
    window_by_layer(r, c, 4096, 28);
}

const struct architecture qwen2 = {
    .type = "qwen2",
    .gguf = "qwen2",
    LLAMA_MEMBERS,
    .norms = {[NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"},
    .read_config = read_config,
    .mlp = mlp_swiglu,
};
