/*
 * Mistral (Jiang et al., arXiv 2310.06825; as in Hugging Face's modeling_mistral.py): LLaMA in
 * which each query sees a window of keys.
 */
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    llama_read_config(r, c, 0);
    window_of_all(r, c, 4096);
}

const struct architecture mistral = {
    .type = "mistral",
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
