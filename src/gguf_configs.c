/*
 * Q4_K and Q5_K are what llama-quantize makes under these names: v and down of every third block,
 * and of the first and last eighth, get Q6_K. Q4_K_S and Q5_K_S are K types in all blocks.
 *
 * K types need rows of whole blocks of 256 columns. Other rows get the type that llama-quantize
 * falls back to, which is a little larger.
 */
#include "gguf_configs.h"
#include <string.h>
#include "base/context.h"

enum { SETTINGS = 3 };

struct setting {
    int32_t parameter;
    int64_t value;
};

static const struct type {
    const char *name;
    const char *more;     /* the type of some v and down; NULL: the same */
    const char *fallback; /* for rows that are not whole blocks of 256 columns; NULL: none needed */
    const char *like;     /* has the settings of this type */
    struct setting settings[SETTINGS];
} types[] = {
#define FORM(bits, scales)                                                                         \
    {                                                                                              \
        {PTQ_PARAM_BITS, bits}, {PTQ_PARAM_SCALES, scales},                                        \
        {                                                                                          \
            PTQ_PARAM_GROUP, 32                                                                    \
        }                                                                                          \
    }
    {"Q4_0", NULL, NULL, NULL, FORM(4, PTQ_SCALES_SIGNED)},
    {"Q4_1", NULL, NULL, NULL, FORM(4, PTQ_SCALES_MINIMA)},
    {"Q5_0", NULL, NULL, NULL, FORM(5, PTQ_SCALES_SIGNED)},
    {"Q5_1", NULL, NULL, NULL, FORM(5, PTQ_SCALES_MINIMA)},
    {"Q8_0", NULL, NULL, NULL, FORM(8, PTQ_SCALES_PLAIN)},
    {"Q4_K", "Q6_K", "Q5_0", NULL, FORM(4, PTQ_SCALES_SUPER)},
    {"Q4_K_S", NULL, "Q5_0", "Q4_K", FORM(4, PTQ_SCALES_SUPER)},
    {"Q5_K", "Q6_K", "Q5_1", NULL, FORM(5, PTQ_SCALES_SUPER)},
    {"Q5_K_S", NULL, "Q5_1", "Q5_K", FORM(5, PTQ_SCALES_SUPER)},
    {"Q6_K", NULL, "Q8_0", NULL, FORM(6, PTQ_SCALES_SUPER)},
#undef FORM
};
enum { TYPES = sizeof types / sizeof *types };

/* Settings of all types. */
static const struct setting shared[] = {{PTQ_PARAM_SCALE_DTYPE, PTQ_DTYPE_F16},
                                        {PTQ_PARAM_SYMMETRIC, 1},
                                        {PTQ_PARAM_ROTATE, 0},
                                        {PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_F32}};

struct gguf_configs {
    struct matrix_configs base; /* first */
    const struct model *model;
    const struct type *type;
    ptq_config *configs[TYPES]; /* by type; NULL: not used */
};

const char *gguf_type_name(int i)
{
    return i >= 0 && i < TYPES ? types[i].name : NULL;
}

static const struct type *find(const char *name)
{
    const struct type *type = types;
    while (strcmp(type->name, name))
        type++;
    return type;
}

/* The blocks that llama-quantize gives more bits. */
static int has_more(int64_t block, int64_t blocks)
{
    return block < blocks / 8 || block >= 7 * blocks / 8 || (block - blocks / 8) % 3 == 2;
}

static const struct type *type_of(const struct gguf_configs *c, int64_t block,
                                  const struct matrix *m)
{
    const int wants_more = m->role == ROLE_V || m->role == ROLE_QKV || m->role == ROLE_DOWN;
    const struct type *type = c->type;
    if (type->more && wants_more && has_more(block, c->model->config.layers))
        type = find(type->more);
    if (type->fallback && m->k % 256)
        type = find(type->fallback);
    return type->like ? find(type->like) : type;
}

static ptq_config *config_of(const struct matrix_configs *self, int64_t block,
                             const struct matrix *m)
{
    const struct gguf_configs *c = (const struct gguf_configs *)(const void *)self;
    return c->configs[type_of(c, block, m) - types];
}

/* A setting that was given must be the type's; of plain and signed scales, both are Q4_0's. */
static ptq_status apply(const struct options *o, const struct gguf_configs *c,
                        const struct setting *s, ptq_config *config)
{
    int64_t value;
    PTQI_TRY(ptq_config_get_int(config, s->parameter, &value));
    const int given = o && setting_given(o, s->parameter);
    if (given && s->value == PTQ_SCALES_SIGNED && value == PTQ_SCALES_PLAIN &&
        s->parameter == PTQ_PARAM_SCALES)
        return PTQ_OK;
    if (given && value != PTQ_AUTO && value != s->value)
        return ptqi_fail(c->model->context, PTQ_ERROR_CONFLICT,
                         "the type %s of GGUF cannot hold what --%s asks for", c->type->name,
                         ptq_config_parameter_name(s->parameter));
    return ptq_config_set_int(config, s->parameter, s->value);
}

static ptq_status configure(const struct options *o, const struct gguf_configs *c,
                            const struct type *type, ptq_config *config)
{
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        PTQI_TRY(apply(o, c, &shared[i], config));
    for (int i = 0; i < SETTINGS; i++)
        PTQI_TRY(apply(o, c, &type->settings[i], config));
    return ptq_config_check(config);
}

/* Makes the config of a matrix, unless it exists. */
static ptq_status add_config(struct gguf_configs *c, const ptq_config *base, int64_t block,
                             const struct matrix *m)
{
    const struct type *type = type_of(c, block, m);
    ptq_config **config = &c->configs[type - types];
    if (m->k % 32)
        return ptqi_fail(c->model->context, PTQ_ERROR_UNSUPPORTED,
                         "%s: blocks of GGUF have 32 columns, which do not divide the rows of %lld",
                         m->name, (long long)m->k);
    if (*config)
        return PTQ_OK;
    PTQI_TRY(ptq_config_copy(base, config));
    return configure(NULL, c, type, *config);
}

static ptq_status fill(const struct options *o, struct gguf_configs *c, ptq_config *config)
{
    struct matrix matrix;
    PTQI_TRY(configure(o, c, c->type, config));
    for (int64_t b = 0; b < c->model->config.layers; b++)
        for (int i = 0; model_describe_matrix(c->model, b, i, &matrix); i++)
            PTQI_TRY(add_config(c, config, b, &matrix));
    return PTQ_OK;
}

ptq_status gguf_configs_create(const struct options *o, const struct model *m, const char *type,
                               ptq_config *config, struct gguf_configs **configs)
{
    struct gguf_configs *c = ptqi_alloc_zero(m->context, 1, (int64_t)sizeof *c);
    *configs = c; /* freed by the caller, on failure too */
    if (!c)
        return PTQ_ERROR_MEMORY;
    c->base.of = config_of;
    c->model = m;
    c->type = find(type);
    return fill(o, c, config);
}

const struct matrix_configs *gguf_configs_of(const struct gguf_configs *configs)
{
    return &configs->base;
}

void gguf_configs_free(struct gguf_configs *configs)
{
    if (!configs)
        return;
    for (int i = 0; i < TYPES; i++)
        ptq_config_free(configs->configs[i]);
    ptqi_free(configs->model->context, configs);
}
