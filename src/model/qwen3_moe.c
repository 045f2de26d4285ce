/*
 * Qwen3-MoE (arXiv 2505.09388; as in Hugging Face's modeling_qwen3_moe.py): Qwen3 in which the MLPs
 * of all or some blocks consist of experts.
 */
#include "model/architecture.h"

/* A block has experts if mlp_only_layers does not name it, and decoder_sparse_step divides its
 * number, counted from 1. */
static void read_sparse_blocks(struct config_reader *r, struct model_config *c)
{
    const int64_t step = config_integer(r, "decoder_sparse_step", INT64_MAX, 1);
    const struct ptqi_json *dense = config_member(r, "mlp_only_layers");
    if (r->status)
        return;
    for (int64_t l = 0; l < c->layers; l++)
        c->has_experts[l] = (l + 1) % step == 0;
    if (dense && dense->kind != PTQI_JSON_ARRAY)
        config_fail(r, "mlp_only_layers", "is not a list");
    for (const struct ptqi_json *item = dense ? dense->first : NULL; item; item = item->next) {
        int64_t l;
        if (!ptqi_json_integer(item, &l))
            config_fail(r, "mlp_only_layers", "has an entry that is not an integer");
        else if (l >= 0 && l < c->layers)
            c->has_experts[l] = 0;
    }
}

static void read_config(struct config_reader *r, struct model_config *c)
{
    llama_read_config(r, c, 0);
    c->attention_bias = c->output_bias = config_flag(r, "attention_bias", 0);
    /* the window counts only if it is used; which layers have it is not read, as in transformers */
    if (config_flag(r, "use_sliding_window", 0))
        window_of_all(r, c, 4096);
    config_member(r, "sliding_window");
    config_member(r, "max_window_layers");
    experts_read_config(r, c, "moe_intermediate_size");
    c->experts_normalized = config_flag(r, "norm_topk_prob", 0);
    read_sparse_blocks(r, c);
}

const struct architecture qwen3_moe = {
    .type = "qwen3_moe",
    .gguf = "qwen3moe",
    LLAMA_FRAME,
    .norms = {[NORM_ATTENTION] = "input_layernorm",
              [NORM_MLP] = "post_attention_layernorm",
              [NORM_Q] = "self_attn.q_norm",
              [NORM_K] = "self_attn.k_norm"},
    .router = "mlp.gate",
    .matrix_count = 10,
    .matrices = {LLAMA_ATTENTION,
                 LLAMA_MLP,
                 {"mlp.experts.*.up_proj", ROLE_UP},
                 {"mlp.experts.*.gate_proj", ROLE_GATE},
                 {"mlp.experts.*.down_proj", ROLE_DOWN}},
    .read_config = read_config,
    .mlp = mlp_swiglu,
};
