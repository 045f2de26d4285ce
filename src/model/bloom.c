/*
 * BLOOM (BigScience, arXiv 2211.05100; as in Hugging Face's modeling_bloom.py):
 *
 *     x += dense(attention(q, k, v)),          q, k, v = query_key_value(layernorm(x))
 *     x += dense_4h_to_h(gelu(dense_h_to_4h(layernorm(x))))
 *
 * query_key_value gives [rows][heads][q, k, v][head_dim]. Positions enter by ALiBi (Press et al.,
 * arXiv 2108.12409): a slope for each head, times the distance, is added to the scores.
 */
#include "base/context.h"
#include "base/exact.h"
#include "model/architecture.h"

/* BLOOM has none of these, but lm-evaluation-harness uses them if config.json contains them. */
static const char *const lengths[] = {"n_positions", "max_position_embeddings", "n_ctx", NULL};

static void read_config(struct config_reader *r, struct model_config *c)
{
    c->hidden = config_either(r, "n_embed", "hidden_size", 131072 / 4);
    c->layers = config_either(r, "num_hidden_layers", "n_layer", 10000);
    c->heads = config_either(r, "num_attention_heads", "n_head", 4096);
    c->vocabulary = config_integer(r, "vocab_size", 10000000, -1);
    if (r->status)
        return;
    if (c->hidden % c->heads)
        config_fail(r, "n_head", "does not divide hidden_size");
    if (config_flag(r, "apply_residual_connection_post_layernorm", 0))
        config_fail(r, "apply_residual_connection_post_layernorm", "true is not supported");
    c->intermediate = 4 * c->hidden;
    c->kv_heads = c->heads;
    c->head_dim = c->hidden / c->heads;
    c->max_positions = 1 << 20; /* ALiBi has no limit */
    c->evaluated = config_first(r, lengths, 100000000, 0);
    c->norm_epsilon = (float)config_real(r, r->root, "layer_norm_epsilon", 1e-5);
    c->tied = config_flag(r, "tie_word_embeddings", 1);
    c->attention_bias = c->output_bias = c->mlp_bias = 1;
}

/*
 * For a power of two of heads, slope h is 2^(-8 (h + 1) / heads). Otherwise the slopes are those
 * for the next lower power of two, followed by every second one for twice that power.
 */
static ptq_status prepare(struct model *m, int64_t rows)
{
    const int64_t heads = m->config.heads;
    int64_t power = 1;
    (void)rows;
    if (m->slopes)
        return PTQ_OK;
    m->slopes = ptqi_alloc(m->context, heads, (int64_t)sizeof *m->slopes);
    if (!m->slopes)
        return PTQ_ERROR_MEMORY;
    while (2 * power <= heads)
        power *= 2;
    for (int64_t h = 0; h < heads; h++) {
        double exponent = h < power ? (double)(h + 1) / (double)power
                                    : (double)(2 * (h - power) + 1) / (double)(2 * power);
        m->slopes[h] = (float)ptqi_pow(2.0, -8.0 * exponent);
    }
    return PTQ_OK;
}

static ptq_status project(const struct model *m, const struct block *b, struct workspace *w,
                          const float *input, int64_t rows, struct attention_input *out)
{
    PTQI_TRY(project_fused(m, b, w, input, rows, out));
    out->slopes = m->slopes;
    return PTQ_OK;
}

const struct architecture bloom = {
    .type = "bloom",
    .gguf = "bloom",
    .prefix = "transformer.",
    .blocks = "h.",
    .embedding = "word_embeddings.weight",
    .embedding_norm = "word_embeddings_layernorm",
    .final_norm = "ln_f",
    .norms = {[NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"},
    .norm_bias = 1,
    .qkv_by_head = 1,
    .matrix_count = 4,
    .matrices = {{"self_attention.query_key_value", ROLE_QKV},
                 {"self_attention.dense", ROLE_O},
                 {"mlp.dense_h_to_4h", ROLE_UP},
                 {"mlp.dense_4h_to_h", ROLE_DOWN}},
    .buffers = (const char *const[]){NULL},
    .read_config = read_config,
    .prepare = prepare,
    .project = project,
    .mlp = mlp_gelu,
};
