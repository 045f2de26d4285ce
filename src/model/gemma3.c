/*
 * Gemma 3 (arXiv 2503.19786; as in Hugging Face's modeling_gemma3.py), its text model: Gemma 2 with
 * norms of q and k in place of soft caps. Five of six layers see only a window of keys, and rotate
 * with a theta of their own.
 */
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    gemma_read_config(r, c);
    c->attention_cap = (float)config_optional(r, "attn_logit_softcapping", 0);
    c->final_cap = (float)config_optional(r, "final_logit_softcapping", 0);
    window_by_pattern(r, c, 4096, config_integer(r, "sliding_window_pattern", 10000, 6));
    rope_read_layered(r, c, 1e6, 1e4);
}

const struct architecture gemma3 = {
    .type = "gemma3_text",
    .gguf = "gemma3",
    LLAMA_MEMBERS,
    .norms = {[NORM_ATTENTION] = "input_layernorm",
              [NORM_AFTER_ATTENTION] = "post_attention_layernorm",
              [NORM_MLP] = "pre_feedforward_layernorm",
              [NORM_AFTER_MLP] = "post_feedforward_layernorm",
              [NORM_Q] = "self_attn.q_norm",
              [NORM_K] = "self_attn.k_norm"},
    .norm_plus_one = 1,
    .read_config = read_config,
    .mlp = mlp_geglu,
};
