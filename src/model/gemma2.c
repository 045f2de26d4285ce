/*
 * Gemma 2 (arXiv 2408.00118; as in Hugging Face's modeling_gemma2.py):
 *
 *     x += norm(o(attention(...))),                    attention of n = norm(x)
 *     x += norm(down(gelu(gate(m)) * up(m))),          m = norm(x)
 *
 * Norms multiply by 1 + weight. The embedding is multiplied by sqrt(hidden). Scores and logits have
 * soft caps. Every second layer sees only a window of keys.
 */
#include <math.h>
#include "model/architecture.h"

void gemma_read_config(struct config_reader *r, struct model_config *c)
{
    llama_read_sizes(r, c, 256);
    c->tied = config_flag(r, "tie_word_embeddings", 1);
    c->attention_bias = c->output_bias = config_flag(r, "attention_bias", 0);
    config_expect(r, "hidden_activation", "gelu_pytorch_tanh", "gelu_pytorch_tanh");
    config_expect(r, "hidden_act", "gelu_pytorch_tanh", "gelu"); /* has no effect */
    c->embedding_scale = (float)sqrt((double)c->hidden);
    c->attention_scale =
        (float)(1.0 / sqrt(config_real(r, r->root, "query_pre_attn_scalar", 256.0)));
}

static void read_config(struct config_reader *r, struct model_config *c)
{
    gemma_read_config(r, c);
    c->attention_cap = (float)config_optional(r, "attn_logit_softcapping", 50);
    c->final_cap = (float)config_optional(r, "final_logit_softcapping", 30);
    window_by_pattern(r, c, 4096, 2);
    rope_read_config(r, c, 10000);
}

const struct architecture gemma2 = {
    .type = "gemma2",
    .gguf = "gemma2",
    LLAMA_MEMBERS,
    .norms = {[NORM_ATTENTION] = "input_layernorm",
              [NORM_AFTER_ATTENTION] = "post_attention_layernorm",
              [NORM_MLP] = "pre_feedforward_layernorm",
              [NORM_AFTER_MLP] = "post_feedforward_layernorm"},
    .norm_plus_one = 1,
    .read_config = read_config,
    .mlp = mlp_geglu,
};
