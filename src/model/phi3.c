/*
 * Phi-3, Phi-3.5 and Phi-4 (arXiv 2404.14219; as in Hugging Face's modeling_phi3.py): LLaMA with q,
 * k and v in one matrix, gate and up in another, and LongRoPE. A part of each head may be rotated.
 */
#include "base/context.h"
#include "model/architecture.h"

static void read_config(struct config_reader *r, struct model_config *c)
{
    static const char original[] = "original_max_position_embeddings";
    llama_read_sizes(r, c, 0);
    config_expect(r, "hidden_act", "silu", "swish");
    c->norm_epsilon = (float)config_real(r, r->root, "rms_norm_eps", 1e-5);
    const double part = config_real(r, r->root, "partial_rotary_factor", rope_partial_factor(r));
    c->rope_dimensions = rope_rotated(c, part);
    if (c->rope_dimensions < 2 || c->rope_dimensions % 2)
        config_fail(r, "partial_rotary_factor", "has a value that is not supported");
    window_of_all(r, c, 0);
    rope_read_config(r, c, 10000);
    if (c->rope.kind != ROPE_DEFAULT && c->rope.kind != ROPE_LONGROPE)
        config_fail(r, "rope_scaling", "is of a kind that this architecture does not have");
    if (config_member(r, original) || c->rope.kind != ROPE_LONGROPE)
        return;
    c->rope.original_positions = 4096; /* as transformers has it, whatever rope_parameters says */
    const struct ptqi_json *parameters = config_member(r, "rope_parameters");
    if (!parameters || !config_value(parameters, "factor"))
        c->rope.factor = (double)c->max_positions / c->rope.original_positions;
}

static ptq_status project(const struct model *m, const struct block *b, struct workspace *w,
                          const float *input, int64_t rows, struct attention_input *out)
{
    const struct model_config *c = &m->config;
    PTQI_TRY(project_fused(m, b, w, input, rows, out));
    rope_apply(m, b, w->position, w->fused, rows, c->heads + c->kv_heads,
               out->q_row); /* k follows q */
    return PTQ_OK;
}

const struct architecture phi3 = {
    .type = "phi3",
    .gguf = "phi3",
    .prefix = "model.",
    .blocks = "layers.",
    .embedding = "embed_tokens.weight",
    .final_norm = "norm",
    .norms = {[NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"},
    .matrix_count = 4,
    .matrices = {{"self_attn.qkv_proj", ROLE_QKV},
                 {"self_attn.o_proj", ROLE_O},
                 {"mlp.gate_up_proj", ROLE_GATE_UP},
                 {"mlp.down_proj", ROLE_DOWN}},
    .buffers = (const char *const[]){"self_attn.rotary_emb.inv_freq", NULL},
    .read_config = read_config,
    .prepare = rope_prepare,
    .project = project,
    .mlp = mlp_swiglu_fused,
};
