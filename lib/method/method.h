/*
 * What the steps of quantizing a matrix share: equalize, then round. ptq_quantize (quantize.c)
 * prepares the work, each method does its step.
 */
#ifndef PTQI_METHOD_H
#define PTQI_METHOD_H

#include <stdatomic.h>
#include "config.h"
#include "grid.h"
#include "ptq/quantize.h"
#include "qtensor.h"

/*
 * What rounding knows about the input. The Hessian is H = sum of w_t x_t x_t^T, up to a factor that
 * cancels everywhere.
 */
struct ptqi_curvature {
    int64_t k;
    float *hessian;  /* [k][k], whole, symmetric, undamped */
    float *factor;   /* [k][k], U of the damped H in quantization order, H^-1 = U^T U; rows of it */
    float *damped;   /* [k][k], the damped H in quantization order, for gptq+; or NULL */
    float *mismatch; /* [k][k], alpha M alike; or NULL */
    float *correction; /* [k][k], GPTAQ's P in quantization order, or NULL */
    uint8_t *dead;     /* [k]: H_jj = 0; original order */
    double damping;    /* that it took to make H positive definite */
};

/* An equalization, from inside. */
struct ptq_equalization {
    ptq_context *context;
    int64_t k;
    float *scale;           /* [k], or NULL: 1 */
    int32_t rotation;       /* columns of a block, after the scale; 0: none */
    int32_t activations;    /* PTQ_ACTIVATIONS_..., not FPTQ */
    float activation_scale; /* static; 0: none */
    int32_t candidate;      /* AWQ's, or -1 */
    double loss;
    int32_t equalize; /* PTQ_EQUALIZE_... that the scale is of, NONE where there is none */
    int32_t chosen;   /* by auto, with the config's equalize, and symmetric and clip */
    int32_t choice, symmetric, clip;
};

/* Matrices that share an input, as f32 [n][k] each. */
struct ptqi_matrices {
    int64_t count, k;
    int64_t *n;
    float **w;
};

/* What equalizations look at in an input: channels that are tied have the same ranges in it. */
struct ptqi_ranges {
    int64_t k;
    const int32_t *ties;      /* [k], or NULL */
    float *absmax, *mean_abs; /* [k] */
};

/* Makes values of tied channels equal: their largest, or their mean. Serves w ranges as well. */
ptq_status ptqi_tie(ptq_context *context, const struct ptqi_ranges *ranges, int mean,
                    float *values);

/*
 * Equalizations: each fills scale [k], finite and positive and equal for tied channels, from the
 * input and the matrices that take it.
 */
ptq_status ptqi_equalize_awq(const struct ptq_config *config, const struct ptqi_matrices *matrices,
                             const struct ptq_stats *stats, const struct ptqi_ranges *ranges,
                             struct ptq_equalization *e);
/* Channels that were dead in calibration, size[c] == 0, get half the smallest scale of the others:
 * their weights neither widen the range of a group much nor vanish, should the channel live in use.
 */
void ptqi_scale_dead(const float *size, int64_t k, float *scale);
ptq_status ptqi_equalize_smoothquant(const struct ptq_config *config,
                                     const struct ptqi_matrices *matrices,
                                     const struct ptqi_ranges *ranges, float *scale);
void ptqi_equalize_lae(const float *absmax, int64_t k, float *scale);
/* fptq.c: the largest range of a channel after LAE; FPTQ's choice of activations by max |x|. */
float ptqi_lae_range(const float *absmax, int64_t k);
int32_t ptqi_fptq_activations(const struct ptq_config *config, float most);

/* awq.c: clips every group of w [n][k], which e has equalized, to the range that loses least. */
ptq_status ptqi_clip_awq(const struct ptq_config *config, const struct ptq_stats *stats,
                         const struct ptq_equalization *e, int64_t n, int64_t k, float *w);

/*
 * equalize.c: what e makes of rows [count][k] of an input, x D^-1 B; of a [k][k], made of products
 * of two input channels like H or GPTAQ's mismatch, B D^-1 a D^-1 B (symmetric: to the last bit, as
 * a is); of w [n][k], W D B; and back, W B D^-1. D is the scale, B the rotation, its own inverse.
 */
void ptqi_equalize_rows(const struct ptq_equalization *e, float *rows, int64_t count);
ptq_status ptqi_equalize_square(const struct ptq_equalization *e, float *a, int symmetric);
void ptqi_equalize_weights(const struct ptq_equalization *e, float *w, int64_t n);
void ptqi_restore_weights(const struct ptq_equalization *e, float *w, int64_t n);

/* quantize.c: the pointers and the number that functions with weights are given; function is the
 * one that was called. */
ptq_status ptqi_check_call(const char *function, const ptq_config *config,
                           const ptq_tensor *const *weights, int64_t count);
static inline int64_t ptqi_widest_group(const struct ptq_config *config, int64_t k)
{
    return config->group ? ptqi_min(config->group, k) : k;
}

/* quantize.c: what is rounded with this config and these activations can be run: its sums fit. */
ptq_status ptqi_check_runs(const struct ptq_config *config, int32_t activations, int64_t k);
/* quantize.c: the config does not contradict itself, the weights are finite matrices of one width.
 */
ptq_status ptqi_check_weights(const struct ptq_config *config, const ptq_tensor *const *weights,
                              int64_t count);

/* rtn.c: out [n][k] = w rounded to nearest and dequantized, group by group. */
void ptqi_rtn_dequantize(const struct ptq_config *config, const float *w, int64_t n, int64_t k,
                         int64_t group, float *out);
/* quantize.c: sum over rows of d H d^T, d [n][k], H = hessian [k][k] whole; product
 * [n][PTQI_ENERGY_BLOCK] is scratch. */
#define PTQI_ENERGY_BLOCK 128
ptq_status ptqi_energy(ptq_context *context, const float *hessian, int64_t k, int64_t n,
                       const float *d, float *product, double *sum);

/* The order in which columns are quantized: order[i] is the original column at position i; NULL for
 * 0 .. k-1. w [n][k], in original order, is what to round: the equalized weights. Each fills in
 * codes, scales and zeros of q; zeros are allocated where the config is not symmetric. */
ptq_status ptqi_round_rtn(const struct ptq_config *config, const float *w, struct ptq_qtensor *q);
ptq_status ptqi_round_gptq(const struct ptq_config *config, const float *w,
                           const struct ptqi_curvature *curvature, const int32_t *order,
                           struct ptq_qtensor *q);

/* auto.c: whether the config leaves something open; and the choice, for which e and q, where they
 * are wanted, are those that lose least. */
int ptqi_is_open(const struct ptq_config *config);
ptq_status ptqi_choose(const struct ptq_config *config, const ptq_tensor *const *weights,
                       int64_t count, const ptq_stats *stats, const ptq_stats *const *own_stats,
                       const int32_t *ties, ptq_equalization **e, ptq_qtensor **q);

/* refine.c: a second look at the codes of GPTQ. */
ptq_status ptqi_refine(const struct ptq_config *config, const float *w,
                       const struct ptqi_curvature *curvature, const int32_t *order,
                       struct ptq_qtensor *q);

/* gptq.c: the factor, from the Hessian and the order; raises the damping where it must. */
ptq_status ptqi_gptq_factor(const struct ptq_config *config, struct ptqi_curvature *curvature,
                            const int32_t *order);
/* gptq.c: GPTAQ's correction, from the mismatch [k][k] of the equalized inputs and the factor. */
ptq_status ptqi_gptaq_correction(const struct ptq_config *config, struct ptqi_curvature *curvature,
                                 const float *mismatch, const int32_t *order);
/* gptq.c: columns by falling diagonal of H, equal ones in their order. order [k]. */
ptq_status ptqi_gptq_order(ptq_context *context, const struct ptqi_curvature *curvature,
                           int32_t *order);

/* Stores the grid of row n, group g. Threads share the counter of grids that were adjusted. */
static inline void ptqi_set_grid(struct ptq_qtensor *q, int64_t n, int64_t g, struct ptqi_grid grid,
                                 atomic_llong *adjusted)
{
    q->scales[n * q->groups + g] = grid.scale;
    if (q->zeros)
        q->zeros[n * q->groups + g] = (uint8_t)grid.zero;
    if (grid.adjusted)
        atomic_fetch_add_explicit(adjusted, 1, memory_order_relaxed);
}

#endif
