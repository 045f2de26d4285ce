#include "model/gguf_keys.h"
#include <string.h>
#include "base/context.h"

static const struct {
    const char *name, *type;
    int set;
} architectures[] = {
    {"llama", "llama", GGUF_LLAMA},    {"qwen2", "qwen2", GGUF_QWEN2},
    {"qwen3", "qwen3", GGUF_QWEN3},    {"qwen3moe", "qwen3_moe", GGUF_QWEN3MOE},
    {"gemma2", "gemma2", GGUF_GEMMA2}, {"gemma3", "gemma3_text", GGUF_GEMMA3},
    {"phi3", "phi3", GGUF_PHI3},       {"gpt2", "gpt2", GGUF_GPT2},
    {"bloom", "bloom", GGUF_BLOOM},
};
enum { ARCHITECTURES = sizeof architectures / sizeof *architectures };

/* Keys with a number, and the member that it becomes; NULL: gguf_config.c or gguf_rope.c reads it,
 * or it has no effect. Only these architectures may have the key. */
static const struct {
    const char *key, *member;
    int architectures;
} numbers[] = {
    {"block_count", "num_hidden_layers", GGUF_ALL},
    {"context_length", "max_position_embeddings", GGUF_ALL},
    {"embedding_length", "hidden_size", GGUF_ALL},
    {"feed_forward_length", "intermediate_size", GGUF_ROTARY},
    {"feed_forward_length", NULL, GGUF_LAYER_NORM}, /* the converter writes 4 * hidden_size */
    {"attention.head_count", "num_attention_heads", GGUF_ALL},
    {"attention.head_count_kv", "num_key_value_heads", GGUF_ROTARY},
    {"attention.head_count_kv", NULL, GGUF_LAYER_NORM},
    {"attention.key_length", NULL, GGUF_ROTARY},
    {"attention.value_length", NULL, GGUF_ROTARY},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", GGUF_ROTARY},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", GGUF_LAYER_NORM},
    {"attention.sliding_window", NULL, GGUF_LLAMA | GGUF_GEMMA | GGUF_PHI3},
    {"attention.sliding_window_pattern", "sliding_window_pattern", GGUF_GEMMA3},
    {"attn_logit_softcapping", "attn_logit_softcapping", GGUF_GEMMA},
    {"final_logit_softcapping", "final_logit_softcapping", GGUF_GEMMA},
    {"rope.freq_base", "rope_theta", GGUF_ROTARY},
    {"rope.freq_base_swa", "rope_local_base_freq", GGUF_GEMMA3},
    {"rope.dimension_count", NULL, GGUF_ROTARY},
    {"rope.scaling.factor", NULL, GGUF_ROTARY},
    {"rope.scaling.attn_factor", NULL, GGUF_ROTARY},
    {"rope.scaling.original_context_length", NULL, GGUF_ROTARY},
    {"rope.scaling.yarn_beta_fast", NULL, GGUF_ROTARY},
    {"rope.scaling.yarn_beta_slow", NULL, GGUF_ROTARY},
    {"rope.scaling.finetuned", NULL, GGUF_ROTARY},
    {"expert_count", NULL, GGUF_ALL},
    {"expert_used_count", "num_experts_per_tok", GGUF_EXPERTS},
    {"expert_feed_forward_length", "moe_intermediate_size", GGUF_QWEN3MOE},
    {"vocab_size", NULL, GGUF_ALL}, /* the embedding says it */
};

/* Numbers and bools that must have one of two values: any other describes another model. */
static const struct {
    const char *key;
    double value, other;
} fixed[] = {
    {"attention.causal", 1, 1},
    {"attention.max_alibi_bias", 8, 8},
    {"attention.clamp_kqv", 0, 0},
    {"attention.scale", 0, 0},
    {"pooling_type", 0, 0},
    {"logit_scale", 0, 1},
    {"residual_scale", 0, 1},
    {"embedding_scale", 0, 1},
    {"expert_shared_count", 0, 0},
    {"expert_group_count", 0, 1},
    {"expert_group_used_count", 0, 1},
    {"expert_gating_func", 0, 1},
    {"expert_weights_norm", 1, 1},
    {"expert_weights_scale", 0, 1},
    {"leading_dense_block_count", 0, 0},
    {"rope.scale_linear", 0, 1},
    {"rope.scaling.yarn_ext_factor", 1, 1},
    {"rope.scaling.yarn_attn_factor", 1, 1},
    {"rope.scaling.yarn_log_multiplier", 0, 0},
    {"use_parallel_residual", 0, 0},
};

int gguf_architecture_set(const char *name, const char **type)
{
    for (int i = 0; name && i < ARCHITECTURES; i++)
        if (!strcmp(name, architectures[i].name)) {
            *type = architectures[i].type;
            return architectures[i].set;
        }
    return 0;
}

/* A number with its member, which may be none. */
static ptq_status write_number(const struct gguf_metadata *m, const char *key, const char *member,
                               struct ptqi_json_writer *w)
{
    static const double none = -1e300;
    const double value = gguf_number(m, key, none);
    if (value == none)
        return gguf_refuse(m, key, "is not a single number, and so not supported");
    if (member)
        ptqi_json_add_number(w, member, value, 17);
    return PTQ_OK;
}

static ptq_status write_key(const struct gguf_metadata *m, int architecture, const char *key,
                            struct ptqi_json_writer *w)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].architectures & architecture && !strcmp(key, numbers[i].key))
            return write_number(m, key, numbers[i].member, w);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const double value = strcmp(key, fixed[i].key) ? -1 : gguf_number(m, key, -1);
        if (value == fixed[i].value || value == fixed[i].other)
            return PTQ_OK;
    }
    return strcmp(key, "rope.scaling.type") ? gguf_refuse(m, key, "is not supported") : PTQ_OK;
}

ptq_status gguf_write_members(const struct gguf_metadata *m, int architecture,
                              struct ptqi_json_writer *w)
{
    const size_t length = strlen(m->architecture);
    const char *key;
    for (int64_t i = 0; (key = ptq_store_metadata_key(m->store, i)); i++)
        if (!strncmp(key, m->architecture, length) && key[length] == '.')
            PTQI_TRY(write_key(m, architecture, key + length + 1, w));
    return w->status;
}

int64_t gguf_query_scalar(int architecture, int64_t blocks, int64_t hidden, int64_t heads,
                          int64_t head_dim)
{
    const int64_t largest = architecture == GGUF_GEMMA2 ? 46 : 62; /* blocks of the 27 B model */
    return blocks == largest && heads ? hidden / heads : head_dim;
}
