/*
 * Rotary position embeddings (Su et al., arXiv 2104.09864): pairs of numbers of a head are rotated
 * by position * theta^(-2i / d).
 */
#include <string.h>
#include "base/context.h"
#include "base/exact.h"
#include "model/architecture.h"

/* Finds an object member by name; NULL if there is none. */
static const struct ptqi_json *rope_object(struct config_reader *r, const char *name)
{
    const struct ptqi_json *value = config_member(r, name);
    if (value && value->kind != PTQI_JSON_OBJECT)
        config_fail(r, name, "is not an object");
    return value && value->kind == PTQI_JSON_OBJECT && value->count ? value : NULL;
}

static void check_rope_type(struct config_reader *r, const char *object_name,
                            const struct ptqi_json *object, const char *name)
{
    const struct ptqi_json *value = config_value(object, name);
    const char *text = ptqi_json_string(value);
    if (value && (!text || strcmp(text, "default")))
        config_fail(r, object_name, "asks for a kind of RoPE scaling that is not supported");
}

/* Every member of the object must be known, since an unknown one might change the result. */
static void check_rope_object(struct config_reader *r, const char *name,
                              const struct ptqi_json *object)
{
    static const struct config_fixed fixed[] = {
        {"factor", 1}, {"attention_factor", 1}, {"partial_rotary_factor", 1}, {NULL, 0}};
    check_rope_type(r, name, object, "rope_type");
    check_rope_type(r, name, object, "type");
    config_check_fixed(r, object, fixed);
    for (const struct ptqi_json *m = object->first; m; m = m->next) {
        int known = !strcmp(m->name, "rope_type") || !strcmp(m->name, "type") ||
                    !strcmp(m->name, "rope_theta") || m->kind == PTQI_JSON_NULL;
        for (int i = 0; fixed[i].name; i++)
            known |= !strcmp(m->name, fixed[i].name);
        if (!known)
            config_fail(r, name, "has a member that is not supported");
    }
}

/* rope_theta is at the top level, in rope_parameters (transformers 5) or in rope_scaling, which
 * transformers treats as rope_parameters. If it occurs more than once, the values must agree. */
void rope_read_config(struct config_reader *r, struct model_config *c)
{
    static const char *const objects[] = {"rope_parameters", "rope_scaling"};
    double theta = config_real(r, r->root, "rope_theta", 0);
    for (int i = 0; i < 2; i++) {
        const struct ptqi_json *object = rope_object(r, objects[i]);
        if (!object)
            continue;
        check_rope_object(r, objects[i], object);
        const double own = config_real(r, object, "rope_theta", 0);
        if (own > 0 && theta > 0 && own != theta)
            config_fail(r, objects[i], "has a rope_theta that contradicts another one");
        theta = own > 0 ? own : theta;
    }
    c->rope_theta = theta > 0 ? theta : 10000.0;
}

/* cos and sin of position * theta^(-2i / d), for at least rows positions. */
ptq_status rope_prepare(struct model *m, int64_t rows)
{
    const int64_t half = m->config.head_dim / 2;
    if (rows <= m->rope_rows)
        return PTQ_OK;
    ptqi_free(m->context, m->rope_cos);
    ptqi_free(m->context, m->rope_sin);
    m->rope_rows = 0;
    m->rope_cos = ptqi_alloc(m->context, rows * half, (int64_t)sizeof(float));
    m->rope_sin = ptqi_alloc(m->context, rows * half, (int64_t)sizeof(float));
    if (!m->rope_cos || !m->rope_sin)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < half; i++) {
        double frequency = ptqi_pow(m->config.rope_theta, -(double)i / (double)half);
        for (int64_t t = 0; t < rows; t++) {
            m->rope_cos[t * half + i] = (float)ptqi_cos((double)t * frequency);
            m->rope_sin[t * half + i] = (float)ptqi_sin((double)t * frequency);
        }
    }
    m->rope_rows = rows;
    return PTQ_OK;
}

/* Rotates pairs (i, i + d/2) of each head: the "rotate half" form. */
void rope_apply(const struct model *m, float *x, int64_t rows, int64_t heads)
{
    const int64_t d = m->config.head_dim, half = d / 2;
    for (int64_t t = 0; t < rows; t++)
        for (int64_t h = 0; h < heads; h++) {
            float *low = x + (t * heads + h) * d, *high = low + half;
            const float *c = m->rope_cos + t * half, *s = m->rope_sin + t * half;
            for (int64_t i = 0; i < half; i++) {
                float a = low[i], b = high[i];
                low[i] = a * c[i] - b * s[i];
                high[i] = b * c[i] + a * s[i];
            }
        }
}
