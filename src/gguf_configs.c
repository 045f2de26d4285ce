/*
 * Q4_K and Q5_K are what llama-quantize makes under these names: v and down of every third block,
 * and of the first and last eighth, get Q6_K. Q4_K_S and Q5_K_S are K types in all blocks.
 *
 * K types need rows of whole blocks of 256 columns, the others of 32. Other rows get the type that
 * llama-quantize falls back to, which is a little larger; in the end that is F16.
 */
#include "gguf_configs.h"
#include <string.h>
#include "base/context.h"

struct setting {
    int32_t parameter;
    int64_t value;
};

static const struct type {
    const char *name, *form;
    const char *more; /* the form of some v and down; NULL: the same */
} types[] = {
    {"Q4_0", "Q4_0", NULL},   {"Q4_1", "Q4_1", NULL},   {"Q5_0", "Q5_0", NULL},
    {"Q5_1", "Q5_1", NULL},   {"Q8_0", "Q8_0", NULL},   {"Q4_K", "Q4_K", "Q6_K"},
    {"Q4_K_S", "Q4_K", NULL}, {"Q5_K", "Q5_K", "Q6_K"}, {"Q5_K_S", "Q5_K", NULL},
    {"Q6_K", "Q6_K", NULL},
};
enum { TYPES = sizeof types / sizeof *types, FORMS = 8 };

/* Settings of all types. */
static const struct setting shared[] = {{PTQ_PARAM_SCALE_DTYPE, PTQ_DTYPE_F16},
                                        {PTQ_PARAM_SYMMETRIC, 1},
                                        {PTQ_PARAM_ROTATE, 0},
                                        {PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_F32}};

struct gguf_configs {
    struct matrix_configs base; /* first */
    const struct model *model;
    const struct type *type;
    struct {
        const struct gguf_form *form;
        ptq_config *config;
    } made[FORMS];
    int count;
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

/* NULL: F16. */
static const struct gguf_form *form_of(const struct gguf_configs *c, int64_t block,
                                       const struct matrix *m)
{
    const int wants_more = m->role == ROLE_V || m->role == ROLE_QKV || m->role == ROLE_DOWN;
    const int more = c->type->more && wants_more && has_more(block, c->model->config.layers);
    return gguf_form_for(gguf_form(more ? c->type->more : c->type->form), m->k);
}

/* The config of a form; NULL if there is none. */
static ptq_config *find_config(const struct gguf_configs *c, const struct gguf_form *form)
{
    for (int i = 0; i < c->count; i++)
        if (c->made[i].form == form)
            return c->made[i].config;
    return NULL;
}

static ptq_config *config_of(const struct matrix_configs *self, int64_t block,
                             const struct matrix *m)
{
    const struct gguf_configs *c = (const struct gguf_configs *)(const void *)self;
    return find_config(c, form_of(c, block, m));
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
                            const struct gguf_form *form, ptq_config *config)
{
    const struct setting own[] = {
        {PTQ_PARAM_BITS, form->bits}, {PTQ_PARAM_SCALES, form->scales}, {PTQ_PARAM_GROUP, 32}};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        PTQI_TRY(apply(o, c, &shared[i], config));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        PTQI_TRY(apply(o, c, &own[i], config));
    return ptq_config_check(config);
}

/* Makes the config of a matrix, unless it exists or none is needed. */
static ptq_status add_config(struct gguf_configs *c, const ptq_config *base, int64_t block,
                             const struct matrix *m)
{
    const struct gguf_form *form = form_of(c, block, m);
    if (!form || find_config(c, form))
        return PTQ_OK;
    c->made[c->count].form = form;
    PTQI_TRY(ptq_config_copy(base, &c->made[c->count].config));
    return configure(NULL, c, form, c->made[c->count++].config);
}

static ptq_status fill(const struct options *o, struct gguf_configs *c, ptq_config *config)
{
    struct matrix matrix;
    PTQI_TRY(configure(o, c, gguf_form(c->type->form), config));
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

const char *gguf_configs_main(const struct gguf_configs *configs)
{
    return configs->type->form;
}

void gguf_configs_free(struct gguf_configs *configs)
{
    if (!configs)
        return;
    for (int i = 0; i < configs->count; i++)
        ptq_config_free(configs->made[i].config);
    ptqi_free(configs->model->context, configs);
}
