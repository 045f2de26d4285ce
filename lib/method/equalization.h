/* An equalization from inside. */
#ifndef PTQI_EQUALIZATION_H
#define PTQI_EQUALIZATION_H

#include "base/context.h"
#include "ptq/equalize.h"

struct ptq_equalization {
    ptq_context *context;
    int64_t k;
    float *scale;           /* [k], or NULL: 1 */
    int32_t rotation;       /* columns of a block, applied after the scale; 0: none */
    int32_t activations;    /* PTQ_ACTIVATIONS_..., never FPTQ */
    float activation_scale; /* static; 0: none */
    int32_t candidate;      /* AWQ's, or -1 */
    double loss;            /* AWQ's, or NaN */
    int32_t equalize;       /* PTQ_EQUALIZE_... that made the scale; NONE: there is none */
    /* What auto chose, valid if chosen is set. The choice may be FPTQ, unlike equalize. */
    int32_t chosen;
    int32_t choice, symmetric, clip;
};

/* The identity for inputs of k channels; NULL if there is no memory. */
struct ptq_equalization *ptqi_create_equalization(ptq_context *context, int64_t k);

#endif
