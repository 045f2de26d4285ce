/*
 * ptq_config: setters, bounds, names and texts all use one table of parameters.
 */
#include "config.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "activations.h"
#include "base/json.h"
#include "ptq/tensor.h"

enum kind { INT32, INT64, FLOAT };

struct choice {
    const char *name;
    int32_t value;
};

static const struct choice flag[] = {{"off", 0}, {"on", 1}, {NULL, 0}};
static const struct choice bits[] = {{"2", 2}, {"3", 3}, {"4", 4}, {"5", 5},
                                     {"6", 6}, {"8", 8}, {NULL, 0}};
static const struct choice grids[] = {{"default", PTQ_GRID_DEFAULT}, {"gptq", PTQ_GRID_GPTQ},
                                      {"awq", PTQ_GRID_AWQ},         {"absmax", PTQ_GRID_ABSMAX},
                                      {"range", PTQ_GRID_RANGE},     {NULL, 0}};
static const struct choice roundings[] = {{"rtn", PTQ_ROUNDING_RTN},
                                          {"gptq", PTQ_ROUNDING_GPTQ},
                                          {"gptq+", PTQ_ROUNDING_GPTQ_PLUS},
                                          {NULL, 0}};
static const struct choice scale_dtypes[] = {
    {"f32", PTQ_DTYPE_F32}, {"f16", PTQ_DTYPE_F16}, {"bf16", PTQ_DTYPE_BF16}, {NULL, 0}};
static const struct choice activations[] = {{"f32", PTQ_ACTIVATIONS_F32},
                                            {"int8-token", PTQ_ACTIVATIONS_INT8_TOKEN},
                                            {"int8-tensor", PTQ_ACTIVATIONS_INT8_TENSOR},
                                            {"int8-static", PTQ_ACTIVATIONS_INT8_STATIC},
                                            {"fptq", PTQ_ACTIVATIONS_FPTQ},
                                            {"int16-token", PTQ_ACTIVATIONS_INT16_TOKEN},
                                            {"int8-group", PTQ_ACTIVATIONS_INT8_GROUP},
                                            {NULL, 0}};
static const struct choice rotations[] = {{"0", 0},     {"32", 32},         {"64", 64},
                                          {"128", 128}, {"auto", PTQ_AUTO}, {NULL, 0}};
static const struct choice symmetries[] = {{"off", 0}, {"on", 1}, {"auto", PTQ_AUTO}, {NULL, 0}};
static const struct choice clips[] = {{"off", 0}, {"on", 1}, {"auto", PTQ_AUTO}, {NULL, 0}};
static const struct choice scale_forms[] = {{"plain", PTQ_SCALES_PLAIN},
                                            {"two-level", PTQ_SCALES_TWO_LEVEL},
                                            {"signed", PTQ_SCALES_SIGNED},
                                            {"minima", PTQ_SCALES_MINIMA},
                                            {"super", PTQ_SCALES_SUPER},
                                            {"auto", PTQ_AUTO},
                                            {NULL, 0}};
static const struct choice efforts[] = {{"fast", PTQ_EFFORT_FAST},
                                        {"default", PTQ_EFFORT_DEFAULT},
                                        {"best", PTQ_EFFORT_BEST},
                                        {NULL, 0}};
static const struct choice equalizations[] = {{"none", PTQ_EQUALIZE_NONE},
                                              {"awq", PTQ_EQUALIZE_AWQ},
                                              {"smoothquant", PTQ_EQUALIZE_SMOOTHQUANT},
                                              {"lae", PTQ_EQUALIZE_LAE},
                                              {"fptq", PTQ_EQUALIZE_FPTQ},
                                              {"auto", PTQ_AUTO},
                                              {NULL, 0}};

struct parameter {
    int32_t id;
    enum kind kind;
    const char *name, *sentence;
    double lowest, highest;
    int64_t step;                 /* integers must be multiples of it */
    const struct choice *choices; /* the only values allowed, or NULL */
    size_t offset;                /* in struct ptq_config */
};

#define FIELD(name) offsetof(struct ptq_config, name)
static const struct parameter parameters[] = {
    {PTQ_PARAM_BITS, INT32, "bits", "bits per code", 2, 8, 1, bits, FIELD(bits)},
    {PTQ_PARAM_GROUP, INT64, "group", "columns that share a scale; 0: the whole row", 0, 131072, 32,
     NULL, FIELD(group)},
    {PTQ_PARAM_SYMMETRIC, INT32, "sym", "zero point in the middle of the code range", -1, 1, 1,
     symmetries, FIELD(symmetric)},
    {PTQ_PARAM_GRID, INT32, "grid", "how scale and zero point are computed", 0, 4, 1, grids,
     FIELD(grid)},
    {PTQ_PARAM_MSE, INT32, "mse", "search for the best shrinkage of each group's range", 0, 1, 1,
     flag, FIELD(mse)},
    {PTQ_PARAM_ROUNDING, INT32, "round", "how codes are chosen", 1, 3, 1, roundings,
     FIELD(rounding)},
    {PTQ_PARAM_ACT_ORDER, INT32, "act-order", "GPTQ: columns with large inputs first", 0, 1, 1,
     flag, FIELD(act_order)},
    {PTQ_PARAM_STATIC_GROUPS, INT32, "static-groups", "GPTQ: grids from the original weights", 0, 1,
     1, flag, FIELD(static_groups)},
    {PTQ_PARAM_DAMPING, FLOAT, "damp", "GPTQ: added to diag(H), as a fraction of its mean", 0, 10,
     1, NULL, FIELD(damping)},
    {PTQ_PARAM_BLOCK, INT64, "block", "GPTQ: columns processed before updating all later ones", 1,
     131072, 1, NULL, FIELD(block)},
    {PTQ_PARAM_SCALE_DTYPE, INT32, "scale-dtype", "dtype that scales are rounded to", 1, 3, 1,
     scale_dtypes, FIELD(scale_dtype)},
    {PTQ_PARAM_ACTIVATIONS, INT32, "activations", "how the input is quantized at run time", 0, 9, 1,
     activations, FIELD(activations)},
    {PTQ_PARAM_EQUALIZE, INT32, "equalize", "scale that multiplies W and divides the input", -1, 4,
     1, equalizations, FIELD(equalize)},
    {PTQ_PARAM_DUO, INT32, "duo", "AWQ: use AutoAWQ's duo scaling candidates", 0, 1, 1, flag,
     FIELD(duo)},
    {PTQ_PARAM_CLIP, INT32, "clip", "AWQ: search for the best clipping of each group", -1, 1, 1,
     clips, FIELD(clip)},
    {PTQ_PARAM_CLIP_EXCEPT, INT64, "clip-except", "bit mask of the matrices not to clip", 0,
     4294967295.0, 1, NULL, FIELD(clip_except)},
    {PTQ_PARAM_ALPHA, FLOAT, "alpha",
     "SmoothQuant: how much of the range is moved into the weights", 0, 1, 1, NULL, FIELD(alpha)},
    {PTQ_PARAM_V0, FLOAT, "v0", "FPTQ: inputs up to this are static and not equalized", 0, 1e9, 1,
     NULL, FIELD(v0)},
    {PTQ_PARAM_V1, FLOAT, "v1", "FPTQ: inputs from this on are quantized per token", 0, 1e9, 1,
     NULL, FIELD(v1)},
    {PTQ_PARAM_GPTAQ, FLOAT, "gptaq", "GPTQ: fraction of the input mismatch to correct", 0, 1, 1,
     NULL, FIELD(gptaq)},
    {PTQ_PARAM_ROTATE, INT32, "rotate", "columns mixed by a Hadamard matrix; 0: none", -1, 128, 1,
     rotations, FIELD(rotate)},
    {PTQ_PARAM_EFFORT, INT32, "effort", "how much to try for settings that are auto", 1, 3, 1,
     efforts, FIELD(effort)},
    {PTQ_PARAM_SCALES, INT32, "scales", "the form of the scales", -1, 4, 1, scale_forms,
     FIELD(scales)},
};
enum { COUNT = sizeof parameters / sizeof *parameters };

static const struct ptq_config defaults = {
    .bits = 4,
    .group = 128,
    .symmetric = 1,
    .grid = PTQ_GRID_DEFAULT,
    .rounding = PTQ_ROUNDING_RTN,
    .damping = 0.01,
    .block = 128,
    .scale_dtype = PTQ_DTYPE_F32,
    .activations = PTQ_ACTIVATIONS_F32,
    .alpha = 0.5,
    .v0 = 15,
    .v1 = 150,
    .effort = PTQ_EFFORT_DEFAULT,
};

static const struct choice *choice_named(const struct choice *c, const char *name)
{
    for (; c && c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static const struct choice *choice_valued(const struct choice *c, int64_t value)
{
    for (; c && c->name; c++)
        if (c->value == value)
            return c;
    return NULL;
}

static const struct parameter *find(int32_t id)
{
    for (int i = 0; i < COUNT; i++)
        if (parameters[i].id == id)
            return &parameters[i];
    return NULL;
}

const char *ptq_config_choice_name(int32_t parameter, int64_t value)
{
    const struct parameter *p = find(parameter);
    const struct choice *c = p ? choice_valued(p->choices, value) : NULL;
    return c ? c->name : NULL;
}

int32_t ptq_config_choice_count(int32_t parameter)
{
    const struct parameter *p = find(parameter);
    int32_t count = 0;
    while (p && p->choices && p->choices[count].name)
        count++;
    return count;
}

int64_t ptq_config_choice_value(int32_t parameter, int32_t index)
{
    const int32_t count = ptq_config_choice_count(parameter);
    return index >= 0 && index < count ? find(parameter)->choices[index].value : 0;
}

int ptqi_choice_value(int32_t parameter, const char *name, int64_t *value)
{
    const struct parameter *p = find(parameter);
    const struct choice *c = p && name ? choice_named(p->choices, name) : NULL;
    if (c)
        *value = c->value;
    return c != NULL;
}

ptq_status ptq_config_create(ptq_context *context, int32_t method, ptq_config **config)
{
    PTQI_REQUIRE(context, config);
    *config = NULL;
    PTQI_REQUIRE(NULL, context);
    if (!ptq_method_name(method))
        return ptqi_fail(context, PTQ_ERROR_UNKNOWN, "there is no method %d", method);
    struct ptq_config *c = ptqi_new_handle(context, (int64_t)sizeof *c);
    if (!c)
        return PTQ_ERROR_MEMORY;
    *c = defaults;
    c->context = context;
    c->method = method;
    ptqi_apply_preset(c);
    *config = c;
    return PTQ_OK;
}

ptq_status ptq_config_set_parallel_user(ptq_config *config, void *user)
{
    PTQI_REQUIRE(NULL, config);
    config->has_user = 1;
    config->user = user;
    return PTQ_OK;
}

struct ptqi_crew ptqi_config_crew(const struct ptq_config *config)
{
    struct ptqi_crew crew = ptqi_crew_of(config->context);
    if (config->has_user)
        crew.user = config->user;
    return crew;
}

ptq_status ptq_config_copy(const ptq_config *config, ptq_config **copy)
{
    PTQI_REQUIRE(config ? config->context : NULL, copy);
    *copy = NULL;
    PTQI_REQUIRE(NULL, config);
    struct ptq_config *c = ptqi_new_handle(config->context, (int64_t)sizeof *c);
    if (!c)
        return PTQ_ERROR_MEMORY;
    *c = *config;
    *copy = c;
    return PTQ_OK;
}

void ptq_config_free(ptq_config *config)
{
    if (config)
        ptqi_free_handle(config->context, config);
}

int32_t ptq_config_method(const ptq_config *config)
{
    return config ? config->method : 0;
}

static ptq_status unknown(ptq_context *context, int32_t id)
{
    return ptqi_fail(context, PTQ_ERROR_UNKNOWN, "there is no parameter %d", id);
}

/* A zero point is for matrices from elsewhere. */
static ptq_status check_activations(const ptq_config *config, double value)
{
    for (int32_t i = PTQ_ACTIVATIONS_UINT8_TOKEN; i <= PTQ_ACTIVATIONS_UINT8_CENTERED; i++)
        if (value == i)
            return ptqi_fail(config->context, PTQ_ERROR_BOUNDS,
                             "activations cannot be %s: matrices that others quantized for a zero "
                             "point of the activations can be run, but no method quantizes for one",
                             ptq_activations_name(i));
    return PTQ_OK;
}

static ptq_status set(ptq_config *config, const struct parameter *p, double value)
{
    char *field = (char *)config + p->offset;
    if (p->id == PTQ_PARAM_ACTIVATIONS)
        PTQI_TRY(check_activations(config, value));
    if (!(value >= p->lowest && value <= p->highest))
        return ptqi_fail(config->context, PTQ_ERROR_BOUNDS, "%s must be %g .. %g, not %g", p->name,
                         p->lowest, p->highest, value);
    if (p->kind == FLOAT) {
        *(double *)field = value;
        return PTQ_OK;
    }
    int64_t integer = (int64_t)value;
    if ((double)integer != value || integer % p->step ||
        (p->choices && !choice_valued(p->choices, integer)))
        return ptqi_fail(
            config->context, PTQ_ERROR_BOUNDS, "%s cannot be %g%s", p->name, value,
            p->id == PTQ_PARAM_GROUP ? ": must be a multiple of 32, or 0 for one per row" : "");
    if (p->kind == INT32)
        *(int32_t *)field = (int32_t)integer;
    else
        *(int64_t *)field = integer;
    return PTQ_OK;
}

static double get(const ptq_config *config, const struct parameter *p)
{
    const char *field = (const char *)config + p->offset;
    if (p->kind == FLOAT)
        return *(const double *)field;
    return p->kind == INT32 ? *(const int32_t *)field : (double)*(const int64_t *)field;
}

ptq_status ptq_config_set_float(ptq_config *config, int32_t parameter, double value)
{
    const struct parameter *p = find(parameter);
    PTQI_REQUIRE(NULL, config);
    return p ? set(config, p, value) : unknown(config->context, parameter);
}

ptq_status ptq_config_set_int(ptq_config *config, int32_t parameter, int64_t value)
{
    PTQI_REQUIRE(NULL, config);
    return ptq_config_set_float(config, parameter, (double)value);
}

ptq_status ptq_config_get_float(const ptq_config *config, int32_t parameter, double *value)
{
    const struct parameter *p = find(parameter);
    PTQI_REQUIRE(NULL, config);
    PTQI_REQUIRE(config->context, value);
    if (!p)
        return unknown(config->context, parameter);
    *value = get(config, p);
    return PTQ_OK;
}

ptq_status ptq_config_get_int(const ptq_config *config, int32_t parameter, int64_t *value)
{
    const struct parameter *p = find(parameter);
    PTQI_REQUIRE(NULL, config);
    PTQI_REQUIRE(config->context, value);
    if (!p || p->kind == FLOAT)
        return unknown(config->context, parameter);
    *value = (int64_t)get(config, p);
    return PTQ_OK;
}

ptq_status ptq_config_parse(ptq_config *config, const char *name, const char *text)
{
    const struct parameter *p = NULL;
    int32_t scheme;
    double value;
    PTQI_REQUIRE(NULL, config);
    PTQI_REQUIRE(config->context, name);
    PTQI_REQUIRE(config->context, text);
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(parameters[i].name, name))
            p = &parameters[i];
    if (!p)
        return ptqi_fail(config->context, PTQ_ERROR_UNKNOWN, "there is no parameter \"%.100s\"",
                         name);
    const struct choice *c = choice_named(p->choices, text);
    if (c)
        return set(config, p, c->value);
    if (p->id == PTQ_PARAM_ACTIVATIONS && ptqi_activations_value(text, &scheme))
        return set(config, p, scheme); /* which says why it cannot be */
    /* among choices, only switches have numbers that are meaningful to users */
    int is_switch = p->choices && !strcmp(p->choices->name, "off");
    if ((p->choices && !is_switch) || !ptqi_parse_number(text, (int64_t)strlen(text), &value)) {
        char list[128] = "";
        for (c = p->choices; c && c->name; c++)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s",
                     *list ? ", " : ": one of ", c->name);
        return ptqi_fail(config->context, PTQ_ERROR_BOUNDS, "%s cannot be \"%.100s\"%s", name, text,
                         list);
    }
    return set(config, p, value);
}

int64_t ptq_config_print(const ptq_config *config, int32_t parameter, char *buffer,
                         int64_t capacity)
{
    char text[64] = "";
    const struct parameter *p = find(parameter);
    if (config && p) {
        double value = get(config, p);
        const struct choice *c = choice_valued(p->choices, (int64_t)value);
        if (c)
            snprintf(text, sizeof text, "%s", c->name);
        else
            ptqi_format_shortest(text, sizeof text, value);
    }
    return ptqi_copy_out(text, buffer, capacity);
}

ptq_status ptq_config_bounds(int32_t parameter, double *lowest, double *highest)
{
    const struct parameter *p = find(parameter);
    PTQI_REQUIRE(NULL, lowest);
    PTQI_REQUIRE(NULL, highest);
    if (!p)
        return unknown(NULL, parameter);
    *lowest = p->lowest;
    *highest = p->highest;
    return PTQ_OK;
}

int32_t ptq_config_parameter(int32_t index)
{
    return index >= 0 && index < COUNT ? parameters[index].id : 0;
}

const char *ptq_config_parameter_name(int32_t parameter)
{
    const struct parameter *p = find(parameter);
    return p ? p->name : NULL;
}

int32_t ptq_config_parameter_type(int32_t parameter)
{
    const struct parameter *p = find(parameter);
    if (!p)
        return 0;
    if (p->choices)
        return p->choices == flag ? PTQ_TYPE_FLAG : PTQ_TYPE_CHOICE;
    return p->kind == FLOAT ? PTQ_TYPE_FLOAT : PTQ_TYPE_INT;
}

const char *ptq_config_parameter_sentence(int32_t parameter)
{
    const struct parameter *p = find(parameter);
    return p ? p->sentence : NULL;
}

/* Of scales with minima, or super scales. */
static const char *form_contradiction(const struct ptq_config *c)
{
    if (c->scales != PTQ_SCALES_MINIMA && c->scales != PTQ_SCALES_SUPER)
        return NULL;
    if (c->symmetric != 1)
        return "minima and super scales leave no place for zero points";
    if (c->act_order && !c->static_groups)
        return "minima and super scales need groups of adjacent columns: act-order with "
               "static-groups";
    if (!ptqi_activations_are_exact(c->activations))
        return "minima and super scales are for f32, int16-token and int8-group activations";
    if (c->scales == PTQ_SCALES_SUPER && (c->bits < 4 || c->bits > 6))
        return "super scales need codes of 4, 5 or 6 bits";
    return NULL;
}

static const char *contradiction(const struct ptq_config *c)
{
    const char *problem = form_contradiction(c);
    if (problem)
        return problem;
    if (c->scales == PTQ_SCALES_TWO_LEVEL && c->activations == PTQ_ACTIVATIONS_INT8_GROUP)
        problem = "two-level scales cannot be combined with int8-group activations";
    else if (c->mse && c->rounding == PTQ_ROUNDING_GPTQ_PLUS)
        problem = "gptq+ searches scales with its own metric, not mse";
    else if (c->grid != PTQ_GRID_DEFAULT && c->grid != PTQ_GRID_GPTQ && c->mse)
        problem = "mse works with GPTQ's grids, not with awq, absmax or range";
    else if (c->grid == PTQ_GRID_ABSMAX && !c->symmetric)
        problem = "the absmax grid is symmetric";
    else if (c->duo && c->equalize != PTQ_EQUALIZE_AWQ)
        problem = "duo needs AWQ's equalization";
    else if (c->scales == PTQ_SCALES_TWO_LEVEL && (c->bits > 4 || c->scale_dtype == PTQ_DTYPE_BF16))
        problem = "two-level scales need codes of up to 4 bits, and bf16 cannot represent them";
    else if (c->v0 > c->v1)
        problem = "v0 must not be above v1";
    else if (c->act_order && c->rounding == PTQ_ROUNDING_RTN)
        problem = "act-order needs GPTQ's rounding, not rtn";
    else if (c->gptaq > 0 && c->rounding == PTQ_ROUNDING_RTN)
        problem = "gptaq needs GPTQ's rounding, not rtn";
    else if (c->static_groups && c->rounding == PTQ_ROUNDING_RTN)
        problem = "static-groups needs GPTQ's rounding; rtn groups are always static";
    return problem;
}

ptq_status ptq_config_check(const ptq_config *config)
{
    PTQI_REQUIRE(NULL, config);
    const char *problem = contradiction(config);
    return problem ? ptqi_fail(config->context, PTQ_ERROR_CONFLICT, "%s", problem) : PTQ_OK;
}
