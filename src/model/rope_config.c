/*
 * The settings of rotary positions in config.json, in all spellings of transformers.
 */
#include <string.h>
#include "base/context.h"
#include "model/architecture.h"

static const struct {
    const char *name;
    enum rope_kind kind;
} kinds[] = {{"default", ROPE_DEFAULT}, {"linear", ROPE_LINEAR}, {"dynamic", ROPE_DYNAMIC},
             {"yarn", ROPE_YARN},       {"llama3", ROPE_LLAMA3}, {"longrope", ROPE_LONGROPE},
             {"su", ROPE_LONGROPE}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* The numbers that a kind of scaling has. */
enum { REQUIRED = -1, OPTIONAL = 0 };
static const struct {
    enum rope_kind kind;
    const char *name;
    size_t field;
    double fallback; /* REQUIRED, or what an absent member means */
} numbers[] = {
#define NUMBER(kind, name, fallback)                                                               \
    {                                                                                              \
        kind, #name, offsetof(struct rope, name), fallback                                         \
    }
    NUMBER(ROPE_LINEAR, factor, REQUIRED),
    NUMBER(ROPE_DYNAMIC, factor, REQUIRED),
    NUMBER(ROPE_LLAMA3, factor, REQUIRED),
    NUMBER(ROPE_LLAMA3, low_freq_factor, REQUIRED),
    NUMBER(ROPE_LLAMA3, high_freq_factor, REQUIRED),
    NUMBER(ROPE_YARN, factor, OPTIONAL),
    NUMBER(ROPE_YARN, attention_factor, OPTIONAL),
    NUMBER(ROPE_YARN, beta_fast, 32),
    NUMBER(ROPE_YARN, beta_slow, 1),
    NUMBER(ROPE_YARN, mscale, OPTIONAL),
    NUMBER(ROPE_YARN, mscale_all_dim, OPTIONAL),
    NUMBER(ROPE_LONGROPE, factor, OPTIONAL),
    NUMBER(ROPE_LONGROPE, attention_factor, OPTIONAL),
#undef NUMBER
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static const char original[] = "original_max_position_embeddings";
static const char partial[] = "partial_rotary_factor";

/* Finds an object member by name; NULL if there is none. */
static const struct ptqi_json *rope_object(struct config_reader *r, const char *name)
{
    const struct ptqi_json *value = config_member(r, name);
    if (value && value->kind != PTQI_JSON_OBJECT)
        config_fail(r, name, "is not an object");
    return value && value->kind == PTQI_JSON_OBJECT && value->count ? value : NULL;
}

/* rope_type, or type, its older name. */
static enum rope_kind read_kind(struct config_reader *r, const char *object_name,
                                const struct ptqi_json *object)
{
    static const char *const names[] = {"type", "rope_type"};
    enum rope_kind kind = ROPE_DEFAULT;
    for (int n = 0; n < 2; n++) {
        const struct ptqi_json *value = config_value(object, names[n]);
        const char *text = ptqi_json_string(value);
        int i = 0;
        while (value && i < KINDS && (!text || strcmp(text, kinds[i].name)))
            i++;
        if (i == KINDS)
            config_fail(r, object_name, "asks for a kind of RoPE scaling that is not supported");
        else if (value)
            kind = kinds[i].kind;
    }
    return kind;
}

static int uses_original(enum rope_kind kind)
{
    return kind == ROPE_YARN || kind == ROPE_LLAMA3 || kind == ROPE_LONGROPE;
}

/* Members that do nothing with these values. */
static const struct config_fixed fixed_by_default[] = {
    {"factor", 1}, {"attention_factor", 1}, {NULL, 0}};

static int is_fixed(const struct config_fixed *list, const char *name)
{
    for (; list->name; list++)
        if (!strcmp(name, list->name))
            return 1;
    return 0;
}

static int is_known(enum rope_kind kind, const char *name)
{
    static const char *const always[] = {"rope_type", "type", "rope_theta", partial};
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, always[i]))
            return 1;
    for (int i = 0; i < NUMBERS; i++)
        if (numbers[i].kind == kind && !strcmp(name, numbers[i].name))
            return 1;
    return (kind == ROPE_DEFAULT && is_fixed(fixed_by_default, name)) ||
           (uses_original(kind) && !strcmp(name, original)) ||
           (kind == ROPE_YARN && !strcmp(name, "truncate")) ||
           (kind == ROPE_LONGROPE &&
            (!strcmp(name, "short_factor") || !strcmp(name, "long_factor")));
}

/* A list of positive numbers, one for each pair of rotated numbers. */
static const struct ptqi_json *read_factors(struct config_reader *r, const struct model_config *c,
                                            const struct ptqi_json *object, const char *name)
{
    const struct ptqi_json *list = config_value(object, name);
    int valid = list && list->kind == PTQI_JSON_ARRAY && list->count == c->rope_dimensions / 2;
    for (const struct ptqi_json *m = valid ? list->first : NULL; m; m = m->next)
        valid &= m->kind == PTQI_JSON_NUMBER && m->number > 0;
    if (!valid)
        config_fail(r, name, "is not a list of a positive number for each pair that is rotated");
    return list;
}

int64_t rope_rotated(const struct model_config *c, double factor)
{
    return factor <= 1 ? (int64_t)((double)c->head_dim * factor) : 0;
}

/* Only architectures that set rope_dimensions before rotate a part of a head. */
static void check_partial(struct config_reader *r, const struct model_config *c,
                          const struct ptqi_json *object)
{
    const double factor = config_real(r, object, partial, 1);
    if (rope_rotated(c, factor) != c->rope_dimensions)
        config_fail(r, partial, "has a value that is not supported");
}

double rope_partial_factor(struct config_reader *r)
{
    static const char *const objects[] = {"rope_parameters", "rope_scaling"};
    double factor = 1;
    for (int i = 0; i < 2; i++) {
        const struct ptqi_json *object = rope_object(r, objects[i]);
        if (object)
            factor = config_real(r, object, partial, factor);
    }
    return factor;
}

/* Reads the members of an object. All must be known, since an unknown one might change the result.
 */
static void read_object(struct config_reader *r, const struct model_config *c, const char *name,
                        const struct ptqi_json *object, struct rope *rope)
{
    memset(rope, 0, sizeof *rope); /* they are compared as bytes */
    rope->kind = read_kind(r, name, object);
    if (rope->kind == ROPE_DEFAULT)
        config_check_fixed(r, object, fixed_by_default);
    for (const struct ptqi_json *m = object->first; m; m = m->next)
        if (m->kind != PTQI_JSON_NULL && !is_known(rope->kind, m->name))
            config_fail(r, name, "has a member that is not supported");
    rope->theta = config_real(r, object, "rope_theta", 0);
    for (int i = 0; i < NUMBERS; i++) {
        double *field = (double *)(void *)((char *)rope + numbers[i].field);
        if (numbers[i].kind != rope->kind)
            continue;
        *field = config_real(r, object, numbers[i].name, numbers[i].fallback);
        if (*field < 0)
            config_fail(r, name, "lacks a number that its kind of RoPE scaling needs");
    }
    if (uses_original(rope->kind))
        rope->original_positions = config_real(r, object, original, 0);
    const struct ptqi_json *truncate = config_value(object, "truncate");
    if (truncate && truncate->kind != PTQI_JSON_BOOL)
        config_fail(r, name, "has a truncate that is neither true nor false");
    rope->keep_fractions = rope->kind == ROPE_YARN && truncate && truncate->number == 0;
    check_partial(r, c, object);
    if (rope->kind == ROPE_LONGROPE) {
        rope->short_factor = read_factors(r, c, object, "short_factor");
        rope->long_factor = read_factors(r, c, object, "long_factor");
    }
}

/* A number beside the objects has precedence; without any, it is max_position_embeddings. */
static void complete(struct config_reader *r, const struct model_config *c, struct rope *rope)
{
    if (!uses_original(rope->kind))
        return;
    const double own = config_real(r, r->root, original, 0);
    if (own > 0)
        rope->original_positions = own;
    if (rope->original_positions <= 0)
        rope->original_positions = (double)c->max_positions;
    if (rope->factor <= 0)
        rope->factor = (double)c->max_positions / rope->original_positions;
    if (rope->kind == ROPE_LLAMA3 && rope->high_freq_factor <= rope->low_freq_factor)
        config_fail(r, "high_freq_factor", "is not above low_freq_factor");
}

/* rope_theta is at the top level, in rope_parameters (transformers 5) or in rope_scaling, which
 * transformers treats as rope_parameters. What occurs more than once must agree. */
void rope_read_config(struct config_reader *r, struct model_config *c, double fallback)
{
    static const char *const objects[] = {"rope_parameters", "rope_scaling"};
    double theta = config_real(r, r->root, "rope_theta", 0);
    struct rope rope, own;
    memset(&rope, 0, sizeof rope);
    for (int i = 0, found = 0; i < 2; i++) {
        const struct ptqi_json *object = rope_object(r, objects[i]);
        if (!object)
            continue;
        read_object(r, c, objects[i], object, &own);
        if (own.theta > 0 && theta > 0 && own.theta != theta)
            config_fail(r, objects[i], "has a rope_theta that contradicts another one");
        theta = own.theta > 0 ? own.theta : theta;
        own.theta = 0;
        if (found && memcmp(&own, &rope, sizeof rope))
            config_fail(r, objects[i], "contradicts rope_parameters");
        rope = own;
        found = 1;
    }
    c->rope = rope;
    c->rope.theta = theta > 0 ? theta : fallback;
    complete(r, c, &c->rope);
}

/* Settings of one kind of layer in a rope_parameters that has an object for each. */
static void read_layer(struct config_reader *r, const struct model_config *c,
                       const struct ptqi_json *parameters, const char *name, double fallback,
                       struct rope *rope)
{
    const struct ptqi_json *object = config_value(parameters, name);
    memset(rope, 0, sizeof *rope);
    if (object && object->kind != PTQI_JSON_OBJECT)
        config_fail(r, name, "is not an object");
    else if (object)
        read_object(r, c, name, object, rope);
    rope->theta = rope->theta > 0 ? rope->theta : fallback;
    complete(r, c, rope);
}

/* Older files have rope_theta and rope_scaling for layers that see all keys, and
 * rope_local_base_freq for the others. */
void rope_read_layered(struct config_reader *r, struct model_config *c, double theta,
                       double local_theta)
{
    static const char full[] = "full_attention", sliding[] = "sliding_attention";
    const struct ptqi_json *parameters = rope_object(r, "rope_parameters");
    if (!parameters || (!config_value(parameters, full) && !config_value(parameters, sliding))) {
        rope_read_config(r, c, theta);
        c->local_rope.theta = config_real(r, r->root, "rope_local_base_freq", local_theta);
        return;
    }
    for (const struct ptqi_json *m = parameters->first; m; m = m->next)
        if (strcmp(m->name, full) && strcmp(m->name, sliding))
            config_fail(r, "rope_parameters", "has a member that is not supported");
    read_layer(r, c, parameters, full, theta, &c->rope);
    read_layer(r, c, parameters, sliding, local_theta, &c->local_rope);
}
