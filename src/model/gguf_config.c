#include "model/gguf_config.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "model/gguf_keys.h"
#include "model/gguf_rope.h"

static int has_in_block(const struct gguf_metadata *m, int64_t block, const char *tensor)
{
    char name[80];
    snprintf(name, sizeof name, "blk.%lld.%s", (long long)block, tensor);
    return ptq_store_has(m->store, name);
}

/* A count in 1 .. 2^53; 0 if it is anything else. */
static int64_t count_of(const struct gguf_metadata *m, const char *key)
{
    const double value = gguf_number(m, key, 0);
    return value >= 1 && value <= 0x1p53 ? (int64_t)value : 0;
}

/* model_type: GGUF has one architecture for LLaMA, Mistral and Mixtral. */
static const char *type_of(const struct gguf_metadata *m, const char *type)
{
    if (strcmp(type, "llama"))
        return type;
    return count_of(m, "expert_count")               ? "mixtral"
           : count_of(m, "attention.sliding_window") ? "mistral"
                                                     : type;
}

/* The class of transformers, which other programs look for in config.json. */
static void write_class(const char *type, struct ptqi_json_writer *w)
{
    static const char *const classes[][2] = {
        {"llama", "LlamaForCausalLM"},     {"mistral", "MistralForCausalLM"},
        {"mixtral", "MixtralForCausalLM"}, {"qwen2", "Qwen2ForCausalLM"},
        {"qwen3", "Qwen3ForCausalLM"},     {"qwen3_moe", "Qwen3MoeForCausalLM"},
        {"gemma2", "Gemma2ForCausalLM"},   {"gemma3_text", "Gemma3ForCausalLM"},
        {"phi3", "Phi3ForCausalLM"},       {"gpt2", "GPT2LMHeadModel"},
        {"bloom", "BloomForCausalLM"},
    };
    ptqi_json_open(w, "architectures", '[');
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (!strcmp(type, classes[i][0]))
            ptqi_json_add_text(w, NULL, classes[i][1]);
    ptqi_json_close(w, ']');
}

/* The width of a head, which is the same for keys and values. */
static ptq_status read_head(const struct gguf_metadata *m, int64_t *head_dim)
{
    const int64_t heads = count_of(m, "attention.head_count");
    const int64_t width = heads ? count_of(m, "embedding_length") / heads : 0;
    *head_dim = gguf_has(m, "attention.key_length") ? count_of(m, "attention.key_length") : width;
    if (gguf_number(m, "attention.value_length", (double)*head_dim) != (double)*head_dim)
        return gguf_refuse(m, "attention.value_length", "differs from key_length");
    return PTQ_OK;
}

/* Without a window, Gemma 3 needs null. */
static void write_window(const struct gguf_metadata *m, int architecture,
                         struct ptqi_json_writer *w)
{
    const int64_t window = count_of(m, "attention.sliding_window");
    if (window)
        ptqi_json_add_integer(w, "sliding_window", window);
    else if (architecture == GGUF_GEMMA3)
        ptqi_json_add_number(w, "sliding_window", (double)NAN, 0);
}

/* Blocks of Qwen3-MoE without a router are dense. */
static void write_experts(const struct gguf_metadata *m, int architecture,
                          struct ptqi_json_writer *w)
{
    const int64_t experts = count_of(m, "expert_count"), blocks = count_of(m, "block_count");
    if (!experts)
        return;
    ptqi_json_add_integer(w, architecture == GGUF_QWEN3MOE ? "num_experts" : "num_local_experts",
                          experts);
    if (architecture != GGUF_QWEN3MOE)
        return;
    ptqi_json_add_bool(w, "norm_topk_prob", 1);
    ptqi_json_open(w, "mlp_only_layers", '[');
    for (int64_t b = 0; b < blocks && b < ptq_store_count(m->store); b++)
        if (!has_in_block(m, b, "ffn_gate_inp.weight"))
            ptqi_json_add_integer(w, NULL, b);
    ptqi_json_close(w, ']');
}

/* Ids of tokens that end a text, for ptq generate. */
static void write_tokens(const struct gguf_metadata *m, struct ptqi_json_writer *w)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id"};
    double id;
    ptqi_json_open(w, "eos_token_id", '[');
    for (int i = 0; i < 2; i++) {
        const char *text = ptq_store_metadata(m->store, keys[i]);
        if (text && ptqi_parse_number(text, (int64_t)strlen(text), &id))
            ptqi_json_add_number(w, NULL, id, 17);
    }
    ptqi_json_close(w, ']');
}

/* What the tensors say. */
static ptq_status write_from_tensors(const struct gguf_metadata *m, int architecture,
                                     struct ptqi_json_writer *w)
{
    const int64_t embedding = ptq_store_find(m->store, "token_embd.weight");
    if (embedding < 0)
        return ptqi_fail(m->context, PTQ_ERROR_MISSING, "%s: no tensor \"token_embd.weight\"",
                         m->path);
    ptqi_json_add_integer(w, "vocab_size", ptq_store_size(m->store, embedding, 0));
    if (architecture == GGUF_GPT2)
        ptqi_json_add_integer(
            w, "n_inner",
            ptq_store_size(m->store, ptq_store_find(m->store, "blk.0.ffn_up.weight"), 0));
    ptqi_json_add_bool(w, "tie_word_embeddings", !ptq_store_has(m->store, "output.weight"));
    if (architecture & (GGUF_QWEN3 | GGUF_QWEN3MOE | GGUF_GEMMA))
        ptqi_json_add_bool(w, "attention_bias", has_in_block(m, 0, "attn_q.bias"));
    return PTQ_OK;
}

static ptq_status write_members(const struct gguf_metadata *m, int architecture, const char *type,
                                struct ptqi_json_writer *w)
{
    int64_t head_dim = 0;
    write_class(type_of(m, type), w);
    ptqi_json_add_text(w, "model_type", type_of(m, type));
    PTQI_TRY(gguf_write_members(m, architecture, w));
    PTQI_TRY(write_from_tensors(m, architecture, w));
    write_tokens(m, w);
    const char *epsilon = architecture & GGUF_ROTARY ? "attention.layer_norm_rms_epsilon"
                                                     : "attention.layer_norm_epsilon";
    if (!gguf_has(m, epsilon))
        return gguf_refuse(m, epsilon, "is missing");
    if (architecture & GGUF_LAYER_NORM)
        return PTQ_OK;
    PTQI_TRY(read_head(m, &head_dim));
    ptqi_json_add_integer(w, "head_dim", head_dim);
    write_window(m, architecture, w);
    write_experts(m, architecture, w);
    if (architecture & GGUF_GEMMA)
        ptqi_json_add_integer(w, "query_pre_attn_scalar",
                              gguf_query_scalar(architecture, count_of(m, "block_count"),
                                                count_of(m, "embedding_length"),
                                                count_of(m, "attention.head_count"), head_dim));
    return gguf_write_rope(m, head_dim, w);
}

/* Adapters, vocabularies and parts of a model are GGUF files too. */
static ptq_status check_kind(const struct gguf_metadata *m)
{
    const char *kind = ptq_store_metadata(m->store, "general.type");
    const char *parts = ptq_store_metadata(m->store, "split.count");
    if (kind && strcmp(kind, "model"))
        return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: general.type \"%.60s\" is not supported", m->path, kind);
    if (parts && strcmp(parts, "0") && strcmp(parts, "1"))
        return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: a model in several GGUF files is not supported; llama-gguf-split "
                         "--merge joins them",
                         m->path);
    return PTQ_OK;
}

ptq_status gguf_write_config(ptq_context *context, const ptq_store *store, const char *path,
                             struct ptqi_json_writer *w)
{
    const char *name = ptq_store_metadata(store, "general.architecture"), *type = NULL;
    const struct gguf_metadata m = {context, store, path, name ? name : ""};
    const int architecture = gguf_architecture_set(name, &type);
    PTQI_TRY(check_kind(&m));
    if (!architecture)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                         "%s: general.architecture \"%.60s\" is not supported", path,
                         m.architecture);
    ptqi_json_begin(w, context);
    ptqi_json_open(w, NULL, '{');
    PTQI_TRY(write_members(&m, architecture, type, w));
    ptqi_json_close(w, '}');
    return ptqi_json_finish(w);
}
