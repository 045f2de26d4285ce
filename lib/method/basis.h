/*
 * Change of basis: the effect of an equalization on inputs, weights and Hessians.
 *
 * With D = diag(s) the scale and B the block rotation, symmetric and its own inverse,
 *
 *     x' = x D^-1 B,   W' = W D B,   H' = B D^-1 H D^-1 B,
 *
 * so that x' W'^T = x W^T. Either part may be missing.
 */
#ifndef PTQI_BASIS_H
#define PTQI_BASIS_H

#include "equalization.h"

/* rows [count][k] of the input: x D^-1 B. */
void ptqi_equalize_rows(const struct ptq_equalization *e, float *rows, int64_t count);
/* a [k][k], made of products of two input channels, like H or GPTAQ's mismatch: B D^-1 a D^-1 B. If
 * a is symmetric the result is symmetric to the last bit. */
ptq_status ptqi_equalize_square(const struct ptq_equalization *e, float *a, int symmetric);
/* w [n][k]: W D B, and back: W B D^-1. */
void ptqi_equalize_weights(const struct ptq_equalization *e, float *w, int64_t n);
void ptqi_restore_weights(const struct ptq_equalization *e, float *w, int64_t n);

/* The ranges of an input's channels, from which scales are made. Tied channels have equal ranges.
 */
struct ptqi_ranges {
    int64_t k;
    const int32_t *ties;      /* [k], or NULL */
    float *absmax, *mean_abs; /* [k] */
    float max;                /* of absmax */
};

/* Makes the values of tied channels equal: their maximum or their mean. */
ptq_status ptqi_tie(ptq_context *context, const struct ptqi_ranges *ranges, int mean,
                    float *values);
/* Channels that were dead in calibration, size[c] == 0, get half the smallest scale of the others.
 * If such a channel is used later, its weights are still there. Until then they hardly widen the
 * range of their group. */
void ptqi_scale_dead(const float *size, int64_t k, float *scale);

#endif
