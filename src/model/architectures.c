/*
 * The table of architectures, and config.json: which architecture a model has, what it reads, and
 * what is left over. Settings that this program cannot compute are rejected, not ignored.
 */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "model/architecture.h"
#include "checkpoint/checkpoint.h"

static const struct architecture *const architectures[] = {&llama, &mistral,   &mixtral, &qwen2,
                                                           &qwen3, &qwen3_moe, &gemma2,  &gemma3,
                                                           &phi3,  &gpt2,      &opt,     &bloom};
enum { ARCHITECTURES = sizeof architectures / sizeof *architectures };

/* Members that do not affect what a model computes, or that only training or sampling uses. */
static const char *const harmless[] = {
    "architectures",
    "model_type",
    "transformers_version",
    "cache_implementation",
    "_sliding_window_pattern",
    "transformers.js_config",
    "_name_or_path",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "attn_implementation",
    "torch_dtype",
    "dtype",
    "use_cache",
    "auto_map",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "unk_token_id",
    "sep_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "initializer_range",
    "attention_dropout",
    "hidden_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "pretraining_tp",
    "is_llama_config",
    "max_length",
    "min_length",
    "max_sequence_length",
    "seq_length",
    "do_sample",
    "temperature",
    "top_k",
    "top_p",
    "repetition_penalty",
    "length_penalty",
    "no_repeat_ngram_size",
    "num_beams",
    "num_beam_groups",
    "diversity_penalty",
    "early_stopping",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "return_dict",
    "return_dict_in_generate",
    "return_token_timestamps",
    "tokenizer_class",
    "task_specific_params",
    "problem_type",
    "id2label",
    "label2id",
    "finetuning_task",
    "prefix",
    "is_decoder",
    "is_encoder_decoder",
    "tie_encoder_decoder",
    "output_router_logits",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "add_cross_attention",
    "cross_attention_hidden_size",
    "chunk_size_feed_forward",
    "torchscript",
    "use_bfloat16",
    "unsloth_fixed",
    "unsloth_version",
    "masked_softmax_fusion",
    "bias_dropout_fusion",
    "attention_softmax_in_fp32",
    "slow_but_exact",
    "skip_bias_add",
    "skip_bias_add_qkv",
    "offset_alibi",
    "summary_type",
    "summary_use_proj",
    "summary_activation",
    "summary_proj_to_labels",
    "summary_first_dropout",
    "reorder_and_upcast_attn",
    "dropout",
    "layerdrop",
    "init_std",
    "embed_dropout",
    "n_inner",
    "gradient_checkpointing",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "typical_p",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "encoder_no_repeat_ngram_size",
    "tf_legacy_loss",
};

/* Members with which other models, or other tools' quantization, change the result. */
static const struct config_fixed fixed[] = {
    {"rope_interleaved", 0},
    {"attn_logit_softcapping", 0},
    {"final_logit_softcapping", 0},
    {"logit_scale", 1},
    {"logits_scaling", 1},
    {"embedding_multiplier", 1},
    {"residual_multiplier", 1},
    {"use_qk_norm", 0},
    {"qk_norm", 0},
    {"qk_layernorm", 0},
    {"clip_qkv", 0},
    {"alibi", 0},
    {"attention_multiplier", 0},
    {"partial_rotary_factor", 1},
    {"rotary_pct", 1},
    {"no_rope_layers", 0},
    {"no_rope_layer_interval", 0},
    {"use_bidirectional_attention", 0},
    {"mup_enabled", 0},
    {"scale_emb", 1},
    {"pruned_heads", 0},
    {"parallel_attn", 0},
    {"use_parallel_residual", 0},
    {"num_local_experts", 1},
    {"num_experts", 1},
    {"compression_config", 0},
    {"quantization", 0},
    {NULL, 0},
};

/* quantization_config: of the ptq format, or of another one that the library reads. */
static void read_quantization(struct config_reader *r, const struct checkpoint *checkpoint,
                              struct model_config *c)
{
    int64_t version = 0;
    const struct ptqi_json *q = checkpoint->quantization;
    config_member(r, "quantization_config");
    if (!q || q->kind == PTQI_JSON_NULL)
        return;
    if (q->kind != PTQI_JSON_OBJECT) {
        config_fail(r, "quantization_config", "is not an object");
        return;
    }
    const char *method = ptqi_json_string(ptqi_json_get(q, "quant_method"));
    const int32_t format = method ? ptq_format_from_name(method) : PTQ_FORMAT_GPTQ;
    c->quantized = 1;
    if (!format)
        config_fail(r, "quantization_config", "is of a format that is not supported");
    else if (format == PTQ_FORMAT_PTQ &&
             (!ptqi_json_integer(ptqi_json_get(q, "version"), &version) || version != 1))
        config_fail(r, "quantization_config", "is of a version that is not supported");
}

static int is_harmless(const char *name)
{
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (!strcmp(name, harmless[i]))
            return 1;
    return 0;
}

static void list_unused(const struct config_reader *r, struct unused *unused)
{
    const struct ptqi_json *m;
    for (int64_t at = 0; (m = config_next_unseen(r, &at));)
        if (!is_harmless(m->name))
            unused_add(unused, "config.json's ", m->name);
}

static const struct architecture *find_architecture(const char *type)
{
    for (int i = 0; i < ARCHITECTURES; i++)
        if (type && !strcmp(type, architectures[i]->type))
            return architectures[i];
    return NULL;
}

static ptq_status fail_architecture(const struct config_reader *r, const char *type)
{
    char list[200] = "";
    for (int i = 0; i < ARCHITECTURES; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                 architectures[i]->type);
    return ptqi_fail(r->context, PTQ_ERROR_UNSUPPORTED,
                     "%s: model_type \"%.60s\" is not supported; supported: %s", r->path,
                     type ? type : "", list);
}

static ptq_status read(struct config_reader *r, struct checkpoint *checkpoint,
                       struct model_config *c)
{
    const char *type = ptqi_json_string(config_member(r, "model_type"));
    memset(c, 0, sizeof *c);
    c->architecture = find_architecture(type);
    if (!c->architecture)
        return fail_architecture(r, type);
    c->architecture->read_config(r, c);
    read_quantization(r, checkpoint, c);
    config_check_fixed(r, r->root, fixed);
    if (!config_flag(r, "is_causal", 1))
        config_fail(r, "is_causal", "false is not supported");
    if (!r->status && c->heads * c->head_dim > 131072)
        config_fail(r, "head_dim", "makes the attention too wide");
    if (!r->status)
        list_unused(r, &checkpoint->unused);
    return r->status;
}

ptq_status model_read_config(struct checkpoint *checkpoint, struct model_config *config)
{
    struct config_reader r = {.context = checkpoint->context,
                              .path = checkpoint->config_path,
                              .root = checkpoint->config};
    return read(&r, checkpoint, config);
}
