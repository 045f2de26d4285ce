/* The schemes by which a product quantizes its input: PTQ_ACTIVATIONS_... except FPTQ. */
#ifndef PTQI_ACTIVATIONS_H
#define PTQI_ACTIVATIONS_H

#include "ptq/qtensor.h"

/* Finds a scheme by name; returns 0 and stores nothing if there is none. */
int ptqi_activations_value(const char *name, int32_t *activations);

/* One fixed scale for all rows, from calibration. */
static inline int ptqi_activations_are_static(int32_t activations)
{
    return activations == PTQ_ACTIVATIONS_INT8_STATIC ||
           activations == PTQ_ACTIVATIONS_UINT8_STATIC;
}

/* Whether a method need not take the rounding of the input into account, because that costs nothing
 * or, by group, little. Such a scheme only says how a weight-only matrix runs. */
static inline int ptqi_activations_are_exact(int32_t activations)
{
    return activations == PTQ_ACTIVATIONS_F32 || activations == PTQ_ACTIVATIONS_INT16_TOKEN ||
           activations == PTQ_ACTIVATIONS_INT8_GROUP;
}

/* Columns that share a scale of PTQ_ACTIVATIONS_INT8_GROUP, given the group of the weights: ptq/
 * call.h. */
static inline int64_t ptqi_activation_group(int64_t group, int64_t k)
{
    const int64_t unit = group % 32 ? 16 : 32;
    int64_t part = 128;
    if (group <= part)
        return group;
    while (group < k && group % part)
        part -= unit;
    return part;
}

/* Whether a product adds minima after the scales of all groups, as panels need it; else group by
 * group, as the schemes of release 0.1 do. */
static inline int ptqi_activations_add_minima_last(int32_t activations)
{
    return activations == PTQ_ACTIVATIONS_INT16_TOKEN || activations == PTQ_ACTIVATIONS_INT8_GROUP;
}

static inline int ptqi_activations_have_zero(int32_t activations)
{
    return activations == PTQ_ACTIVATIONS_UINT8_TOKEN ||
           activations == PTQ_ACTIVATIONS_UINT8_STATIC ||
           activations == PTQ_ACTIVATIONS_UINT8_CENTERED;
}

/* The largest magnitude of an integer that a row of x is multiplied as: q_x, or q_x minus its zero
 * point; of 16 bits, each of its limbs. */
static inline int32_t ptqi_activations_most(int32_t activations)
{
    return ptqi_activations_have_zero(activations) ? 255 : 127;
}

#endif
