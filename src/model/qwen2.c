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
    .prefix = "model.",
    .blocks = "layers.",
    .embedding = "embed_tokens.weight",
    .final_norm = "norm",
    .norms = {[NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"},
    .matrix_count = 7,
    .matrices = LLAMA_MATRICES,
    .buffers = (const char *const[]){"self_attn.rotary_emb.inv_freq", NULL},
    .read_config = read_config,
    .prepare = rope_prepare,
    .project = llama_project,
    .mlp = mlp_swiglu,
};
