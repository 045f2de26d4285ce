#include "gguf/parameters.h"
#include <math.h>
#include <string.h>
#include "base/context.h"
#include "base/exact.h"
#include "checkpoint/config_reader.h"
#include "model/architecture.h"
#include "model/gguf_keys.h"
#include "model/gguf_names.h"

static int set_of(const struct model *m)
{
    const char *type;
    return gguf_architecture_set(gguf_architecture(&m->config), &type);
}

/* A number of config.json, or of the object in it that describes rotary positions. */
static double number(const struct ptqi_json *object, const char *name, double fallback)
{
    const struct ptqi_json *value = config_value(object, name);
    return value && value->kind == PTQI_JSON_NUMBER ? value->number : fallback;
}

static double config_number(const struct model *m, const char *name, double fallback)
{
    return number(m->checkpoint->config, name, fallback);
}

/* As an integer; one that no file can hold if there is none. */
static int64_t whole(double value)
{
    return value >= -0x1p53 && value <= 0x1p53 ? (int64_t)value : INT64_MAX;
}

static const struct ptqi_json *rope_object(const struct model *m)
{
    const struct ptqi_json *config = m->checkpoint->config;
    const struct ptqi_json *rope = config_value(config, "rope_parameters");
    const struct ptqi_json *layered = config_value(rope, "full_attention");
    return layered ? layered : rope ? rope : config_value(config, "rope_scaling");
}

static ptq_status refuse(const struct model *m, const char *what)
{
    return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED, "%s: GGUF has no %s", m->checkpoint->path,
                     what);
}

/* Whether llama.cpp gives a layer a window: Gemma in a pattern of its own, Phi-3 everywhere. Of
 * Mistral's windows it does not know. */
static int has_window(int architecture, int64_t layer)
{
    return architecture == GGUF_GEMMA2   ? layer % 2 == 0
           : architecture == GGUF_GEMMA3 ? layer % 6 != 5
                                         : architecture == GGUF_PHI3;
}

/* Windows as long as all positions are none. */
static int has_other_windows(const struct model *m, int architecture)
{
    const struct model_config *c = &m->config;
    int other = 0, any = 0;
    for (int64_t l = 0; c->windows && l < c->layers; l++) {
        const int is_short = c->windows[l] > 0 && c->windows[l] < c->max_positions;
        any |= is_short;
        other |= is_short != has_window(architecture, l);
    }
    return any && other && strcmp(c->architecture->type, "mistral");
}

static int has_dense_blocks(const struct model_config *c)
{
    int found = 0;
    for (int64_t l = 0; c->experts && c->has_experts && l < c->layers; l++)
        found |= !c->has_experts[l];
    return found;
}

ptq_status gguf_check_model(const struct model *m)
{
    const struct model_config *c = &m->config;
    const int architecture = set_of(m);
    if (!architecture)
        return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: llama.cpp does not know the architecture %s", m->checkpoint->path,
                         c->architecture->type);
    if (c->rope.kind == ROPE_DYNAMIC)
        return refuse(m, "dynamic scaling of rotary positions");
    if (c->rope.kind == ROPE_YARN && (c->rope.mscale > 0 || c->rope.mscale_all_dim > 0 ||
                                      c->rope.attention_factor > 0 || c->rope.keep_fractions))
        return refuse(m, "place for this kind of YaRN (mscale, attention_factor, truncate)");
    if (has_other_windows(m, architecture))
        return refuse(m, "place for the windows of these layers (sliding_window)");
    if (has_dense_blocks(c))
        return refuse(m, "place for dense blocks between those with experts");
    const int64_t scalar =
        gguf_query_scalar(architecture, c->layers, c->hidden, c->heads, c->head_dim);
    if (architecture & GGUF_GEMMA &&
        config_number(m, "query_pre_attn_scalar", 256) != (double)scalar)
        return refuse(m, "place for this query_pre_attn_scalar");
    return PTQ_OK;
}

static void put_sizes(const struct model *m, int architecture, struct gguf_pairs *p)
{
    const struct model_config *c = &m->config;
    const int rotary = architecture & GGUF_ROTARY;
    const double context = architecture == GGUF_BLOOM
                               ? config_number(m, "seq_length", (double)c->hidden)
                               : (double)c->max_positions;
    gguf_put_integer(p, ".block_count", c->layers);
    gguf_put_integer(p, ".context_length", whole(context));
    gguf_put_integer(p, ".embedding_length", c->hidden);
    gguf_put_integer(p, ".feed_forward_length",
                     rotary ? whole(config_number(m, "intermediate_size", (double)c->intermediate))
                            : 4 * c->hidden);
    gguf_put_integer(p, ".attention.head_count", c->heads);
    if (architecture != GGUF_GPT2)
        gguf_put_integer(p, ".attention.head_count_kv", c->kv_heads);
    gguf_put_real(p, rotary ? ".attention.layer_norm_rms_epsilon" : ".attention.layer_norm_epsilon",
                  (double)c->norm_epsilon);
}

/* The width of a head: in LLaMA's case also the numbers of it that are rotated. */
static void put_heads(const struct model *m, int architecture, struct gguf_pairs *p)
{
    const struct model_config *c = &m->config;
    const int always = GGUF_QWEN3 | GGUF_QWEN3MOE | GGUF_GEMMA;
    const int is_mixtral = c->experts > 0 && architecture == GGUF_LLAMA;
    if (architecture & always || (architecture == GGUF_LLAMA && !is_mixtral) ||
        config_number(m, "head_dim", 0) > 0) {
        gguf_put_integer(p, ".attention.key_length", c->head_dim);
        gguf_put_integer(p, ".attention.value_length", c->head_dim);
    }
    if (architecture == GGUF_LLAMA)
        gguf_put_integer(p, ".vocab_size", c->vocabulary);
    if (architecture & (GGUF_LLAMA | GGUF_PHI3))
        gguf_put_integer(p, ".rope.dimension_count", c->rope_dimensions);
}

static void put_yarn(const struct model *m, struct gguf_pairs *p)
{
    static const char *const betas[][2] = {{"beta_fast", ".rope.scaling.yarn_beta_fast"},
                                           {"beta_slow", ".rope.scaling.yarn_beta_slow"}};
    gguf_put_text(p, ".rope.scaling.type", "yarn");
    gguf_put_real(p, ".rope.scaling.factor", m->config.rope.factor);
    gguf_put_integer(p, ".rope.scaling.original_context_length",
                     whole(m->config.rope.original_positions));
    for (int i = 0; i < 2; i++)
        if (number(rope_object(m), betas[i][0], 0) > 0)
            gguf_put_real(p, betas[i][1], number(rope_object(m), betas[i][0], 0));
}

/* What the rotation of Phi-3 is multiplied by in long texts. */
static double long_factor(const struct model_config *c)
{
    const double scale = (double)c->max_positions / c->rope.original_positions;
    return scale > 1 ? sqrt(1 + ptqi_log(scale) / ptqi_log(c->rope.original_positions)) : 1;
}

static void put_rope(const struct model *m, int architecture, struct gguf_pairs *p)
{
    const struct model_config *c = &m->config;
    if (architecture != GGUF_GEMMA2)
        gguf_put_real(p, ".rope.freq_base", c->rope.theta);
    if (architecture == GGUF_GEMMA3)
        gguf_put_real(p, ".rope.freq_base_swa", c->local_rope.theta);
    if (architecture == GGUF_PHI3)
        gguf_put_integer(p, ".rope.scaling.original_context_length",
                         whole(c->rope.original_positions > 0
                                   ? c->rope.original_positions
                                   : config_number(m, "original_max_position_embeddings", 4096)));
    if (architecture == GGUF_PHI3 && c->rope.kind == ROPE_LONGROPE)
        gguf_put_real(p, ".rope.scaling.attn_factor", long_factor(c));
    if (c->rope.kind == ROPE_YARN)
        put_yarn(m, p);
    if (c->rope.kind == ROPE_LINEAR) {
        gguf_put_text(p, ".rope.scaling.type", "linear");
        gguf_put_real(p, ".rope.scaling.factor", c->rope.factor);
    }
}

/* Phi-3 has 0 for no window, which distinguishes its successors. */
static void put_attention(const struct model *m, int architecture, struct gguf_pairs *p)
{
    const struct model_config *c = &m->config;
    const double usual = architecture & GGUF_GEMMA ? 4096 : 0;
    const int64_t window = whole(config_number(m, "sliding_window", usual));
    if (architecture == GGUF_PHI3 || (architecture & GGUF_GEMMA && window > 0))
        gguf_put_integer(p, ".attention.sliding_window", window);
    if (c->attention_cap > 0)
        gguf_put_real(p, ".attn_logit_softcapping", (double)c->attention_cap);
    if (c->final_cap > 0)
        gguf_put_real(p, ".final_logit_softcapping", (double)c->final_cap);
}

ptq_status gguf_put_parameters(const struct model *m, struct gguf_pairs *p)
{
    const struct model_config *c = &m->config;
    const int architecture = set_of(m);
    put_sizes(m, architecture, p);
    if (architecture & GGUF_ROTARY) {
        put_heads(m, architecture, p);
        put_rope(m, architecture, p);
        put_attention(m, architecture, p);
    }
    if (c->experts) {
        gguf_put_integer(p, ".expert_count", c->experts);
        gguf_put_integer(p, ".expert_used_count", c->experts_used);
    }
    if (architecture == GGUF_QWEN3MOE)
        gguf_put_integer(p, ".expert_feed_forward_length", c->expert_width);
    return p->status;
}
