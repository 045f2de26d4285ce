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
    .gguf = "llama",
    .gguf_pairs = 1,
    LLAMA_MEMBERS,
    .norms = {[NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"},
    .read_config = read_config,
    .mlp = mlp_swiglu,
};
