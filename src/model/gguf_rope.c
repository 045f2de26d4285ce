/*
 * Scaling of rotary positions: by one factor, by YaRN, or by a factor for each pair. For llama3,
 * the converter writes the factors that its rule gives (rope_freqs), and for longrope those of
 * config.json (rope_factors_short and _long). Both become longrope.
 */
#include "model/gguf_rope.h"
#include <string.h>
#include "base/context.h"

static const char all[] = "rope_freqs.weight";
static const char shorter[] = "rope_factors_short.weight", longer[] = "rope_factors_long.weight";

int gguf_is_rope_tensor(const char *name)
{
    return !strcmp(name, all) || !strcmp(name, shorter) || !strcmp(name, longer);
}

static ptq_status write_factors(const struct gguf_metadata *m, const char *tensor,
                                const char *member, struct ptqi_json_writer *w)
{
    ptq_tensor *t;
    PTQI_TRY(ptq_store_tensor(m->store, tensor, &t));
    const float *factors = ptq_tensor_data(t);
    ptq_status status = PTQ_OK;
    if (ptq_tensor_dtype(t) != PTQ_DTYPE_F32 || ptq_tensor_rank(t) != 1)
        status = ptqi_fail(m->context, PTQ_ERROR_FORMAT, "%s: %s is not a vector in F32", m->path,
                           tensor);
    ptqi_json_open(w, member, '[');
    for (int64_t i = 0; !status && i < ptq_tensor_size(t, 0); i++)
        ptqi_json_add_number(w, NULL, (double)factors[i], 17);
    ptqi_json_close(w, ']');
    ptq_tensor_free(t);
    return status;
}

/* The factors of `first` count up to the original number of positions. part: of a head that is
 * rotated. */
static ptq_status write_longrope(const struct gguf_metadata *m, const char *first,
                                 const char *second, double part, struct ptqi_json_writer *w)
{
    const double original =
        gguf_number(m, "rope.scaling.original_context_length", gguf_number(m, "context_length", 0));
    ptqi_json_open(w, "rope_scaling", '{');
    ptqi_json_add_text(w, "rope_type", "longrope");
    ptqi_json_add_number(w, "partial_rotary_factor", part, 17);
    ptqi_json_add_number(w, "attention_factor", gguf_number(m, "rope.scaling.attn_factor", 1), 17);
    ptqi_json_add_number(w, "original_max_position_embeddings", original, 17);
    PTQI_TRY(write_factors(m, first, "short_factor", w));
    PTQI_TRY(write_factors(m, second, "long_factor", w));
    ptqi_json_close(w, '}');
    ptqi_json_add_number(w, "original_max_position_embeddings", original, 17);
    return PTQ_OK;
}

static void write_linear(const struct gguf_metadata *m, struct ptqi_json_writer *w)
{
    ptqi_json_open(w, "rope_scaling", '{');
    ptqi_json_add_text(w, "rope_type", "linear");
    ptqi_json_add_number(w, "factor", gguf_number(m, "rope.scaling.factor", 1), 17);
    ptqi_json_close(w, '}');
}

static void write_yarn(const struct gguf_metadata *m, struct ptqi_json_writer *w)
{
    static const char *const names[][2] = {
        {"rope.scaling.factor", "factor"},
        {"rope.scaling.original_context_length", "original_max_position_embeddings"},
        {"rope.scaling.yarn_beta_fast", "beta_fast"},
        {"rope.scaling.yarn_beta_slow", "beta_slow"},
    };
    ptqi_json_open(w, "rope_scaling", '{');
    ptqi_json_add_text(w, "rope_type", "yarn");
    for (int i = 0; i < 4; i++)
        if (gguf_has(m, names[i][0]))
            ptqi_json_add_number(w, names[i][1], gguf_number(m, names[i][0], 0), 17);
    ptqi_json_close(w, '}');
}

static ptq_status write_scaling(const struct gguf_metadata *m, double part,
                                struct ptqi_json_writer *w)
{
    const char *kind = gguf_text(m, "rope.scaling.type");
    const int linear = kind && !strcmp(kind, "linear"), yarn = kind && !strcmp(kind, "yarn");
    const int long_kind = kind && !strcmp(kind, "longrope");
    const int has_short = ptq_store_has(m->store, shorter), has_all = ptq_store_has(m->store, all);
    if (kind && !linear && !yarn && !long_kind && strcmp(kind, "none"))
        return gguf_refuse(m, "rope.scaling.type", "has a value that is not supported");
    if (linear + yarn + has_short + has_all > 1 || has_short != ptq_store_has(m->store, longer))
        return ptqi_fail(m->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: rotary positions are scaled in a way that is not supported", m->path);
    if (long_kind && !has_short && !has_all)
        return gguf_refuse(m, "rope.scaling.type", "is longrope, but there are no factors");
    if (has_short || has_all)
        return write_longrope(m, has_all ? all : shorter, has_all ? all : longer, part, w);
    if (linear)
        write_linear(m, w);
    if (yarn)
        write_yarn(m, w);
    return PTQ_OK;
}

ptq_status gguf_write_rope(const struct gguf_metadata *m, int64_t head_dim,
                           struct ptqi_json_writer *w)
{
    const double rotated = gguf_number(m, "rope.dimension_count", (double)head_dim);
    if (rotated != (double)head_dim && strcmp(m->architecture, "phi3"))
        return gguf_refuse(m, "rope.dimension_count", "differs from the width of a head");
    if (rotated != (double)head_dim)
        ptqi_json_add_number(w, "partial_rotary_factor", rotated / (double)head_dim, 17);
    if (!gguf_has(m, "rope.freq_base"))
        ptqi_json_add_integer(w, "rope_theta", 10000);
    return write_scaling(m, rotated / (double)head_dim, w);
}
