#include "report/comparison_plan.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"

/* The rows, from the least to the most economical (W8A8, W4A16, W4A8). Settings are differences
 * from the method's preset. */
static const struct plan {
    const char *name;
    int32_t method;
    const char *settings; /* "name=value name=value" */
    int token_weights;
} plans[] = {
    {"RTN", PTQ_METHOD_RTN, "bits=8 group=0 grid=range activations=int8-token", TOKENS_UNIFORM},
    {"SmoothQuant", PTQ_METHOD_SMOOTHQUANT, "", TOKENS_UNIFORM},
    {"RTN", PTQ_METHOD_RTN, "activations=int16-token", TOKENS_UNIFORM},
    {"RTN", PTQ_METHOD_RTN, "activations=int16-token sym=off", TOKENS_UNIFORM},
    {"GPTQ", PTQ_METHOD_GPTQ, "activations=int16-token", TOKENS_UNIFORM},
    {"GPTQ", PTQ_METHOD_GPTQ, "activations=int16-token sym=off", TOKENS_UNIFORM},
    {"GPTQ", PTQ_METHOD_GPTQ, "sym=off", TOKENS_UNIFORM}, /* with f32, for comparison */
    {"AWQ", PTQ_METHOD_AWQ, "activations=int16-token", TOKENS_UNIFORM},
    {"RTN", PTQ_METHOD_RTN, "activations=int8-token", TOKENS_UNIFORM},
    {"GPTQ", PTQ_METHOD_GPTQ, "activations=int8-token", TOKENS_UNIFORM},
    {"FPTQ", PTQ_METHOD_FPTQ, "", TOKENS_UNIFORM},
    {"FPTQ + GPTQ", PTQ_METHOD_FPTQ, "round=gptq", TOKENS_UNIFORM},
    {"auto", PTQ_METHOD_AUTO, "activations=int16-token", TOKENS_ATTENTION_HEADS},
    {"auto", PTQ_METHOD_AUTO, "", TOKENS_ATTENTION_HEADS},
};
enum { PLANS = sizeof plans / sizeof *plans };

/* Whether a comma-separated list contains a name. */
static int is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (; list && *list; list += strcspn(list, ","), list += *list == ',')
        if (strcspn(list, ",") == length && !memcmp(list, name, length))
            return 1;
    return 0;
}

static ptq_status apply_settings(ptq_config *config, const char *settings)
{
    char text[128], *value, *next;
    snprintf(text, sizeof text, "%s", settings);
    for (char *name = text; *name; name = next) {
        next = name + strcspn(name, " ");
        if (*next)
            *next++ = 0;
        value = strchr(name, '=');
        *value++ = 0;
        PTQI_TRY(ptq_config_parse(config, name, value));
    }
    return PTQ_OK;
}

/* Creates a row from its plan: config, name and the figures that follow from it. */
static ptq_status plan_row(ptq_context *context, const struct plan *plan, int64_t bits_wanted,
                           int64_t group, struct comparison_row *row)
{
    int64_t bits, symmetric, activations;
    PTQI_TRY(ptq_config_create(context, plan->method, &row->config));
    PTQI_TRY(ptq_config_get_int(row->config, PTQ_PARAM_BITS, &bits));
    if (bits != 8 && !strstr(plan->settings, "bits=8")) {
        PTQI_TRY(ptq_config_set_int(row->config, PTQ_PARAM_BITS, bits_wanted));
        PTQI_TRY(ptq_config_set_int(row->config, PTQ_PARAM_GROUP, group));
    }
    PTQI_TRY(apply_settings(row->config, plan->settings));
    PTQI_TRY(ptq_config_check(row->config));
    PTQI_TRY(ptq_config_get_int(row->config, PTQ_PARAM_BITS, &bits));
    PTQI_TRY(ptq_config_get_int(row->config, PTQ_PARAM_GROUP, &row->group));
    PTQI_TRY(ptq_config_get_int(row->config, PTQ_PARAM_SYMMETRIC, &symmetric));
    PTQI_TRY(ptq_config_get_int(row->config, PTQ_PARAM_ACTIVATIONS, &activations));
    row->token_weights = plan->token_weights;
    row->weight_bits = (int)bits;
    row->activation_bits = activations == PTQ_ACTIVATIONS_F32           ? 32
                           : activations == PTQ_ACTIVATIONS_INT16_TOKEN ? 16
                                                                        : 8;
    snprintf(row->activations, sizeof row->activations, "%s",
             ptq_config_choice_name(PTQ_PARAM_ACTIVATIONS, activations));
    snprintf(row->name, sizeof row->name, "%s W%dA%d%s", plan->name, row->weight_bits,
             row->activation_bits, symmetric == 0 ? " asym" : "");
    return PTQ_OK;
}

ptq_status comparison_plan(struct comparison *r, const char *methods, int64_t bits, int64_t group)
{
    r->rows = ptqi_alloc_zero(r->context, PLANS + 1, (int64_t)sizeof *r->rows);
    if (!r->rows)
        return PTQ_ERROR_MEMORY;
    snprintf(r->rows[0].name, sizeof r->rows[0].name, "full precision");
    r->rows[0].weight_bits = r->rows[0].activation_bits = 16;
    r->row_count = 1;
    for (int i = 0; i < PLANS; i++)
        if (!methods || is_listed(methods, ptq_method_name(plans[i].method)))
            PTQI_TRY(plan_row(r->context, &plans[i], bits, group, &r->rows[r->row_count++]));
    return PTQ_OK;
}
