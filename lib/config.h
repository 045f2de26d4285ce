/* Config internals: plain values, read by the methods. */
#ifndef PTQI_CONFIG_H
#define PTQI_CONFIG_H

#include "base/team.h"
#include "ptq/config.h"

struct ptq_config {
    ptq_context *context;
    int32_t method;
    int32_t bits;
    int64_t group;
    int32_t symmetric;
    int32_t grid; /* PTQ_GRID_... */
    int32_t mse;
    int32_t rounding; /* PTQ_ROUNDING_... */
    int32_t act_order;
    int32_t static_groups;
    double damping;
    int64_t block;
    int32_t scale_dtype;
    int32_t activations; /* PTQ_ACTIVATIONS_... */
    int32_t equalize;    /* PTQ_EQUALIZE_... */
    int32_t duo;
    int32_t clip;
    int64_t clip_except;
    double alpha, v0, v1, gptaq;
    int32_t rotate;
    int32_t effort;
    int32_t scales; /* PTQ_SCALES_... */
    int32_t has_user;
    void *user; /* for the context's parallel_for, if has_user is set */
};

/* presets.c: the settings of a method's original implementation; everything else keeps its default.
 */
void ptqi_apply_preset(struct ptq_config *config);

/* Columns of a group; 0: the whole row. */
static inline int64_t ptqi_config_group(const struct ptq_config *config)
{
    if (config->scales != PTQ_SCALES_SUPER)
        return config->group;
    return config->bits < 6 ? 32 : 16;
}

/* Who does the work of calls with this config. */
struct ptqi_crew ptqi_config_crew(const struct ptq_config *config);

/* Stores the value of a choice by name; returns 0 and stores nothing if there is none. */
int ptqi_choice_value(int32_t parameter, const char *name, int64_t *value);

#endif
