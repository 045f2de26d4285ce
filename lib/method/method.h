/*
 * What the steps of quantizing a matrix share: equalize, then round. ptq_quantize (quantize.c) prepares
 * the work, each method does its step.
 */
#ifndef PTQI_METHOD_H
#define PTQI_METHOD_H

#include "config.h"
#include "qtensor.h"

/*
 * What rounding knows about the input. The Hessian is H = sum of w_t x_t x_t^T, up to a factor that
 * cancels everywhere.
 */
struct ptqi_curvature {
    int64_t k;
    float *hessian; /* [k][k], whole, symmetric, undamped */
    float *factor;  /* [k][k], U of the damped H in quantization order, H^-1 = U^T U; rows of it */
    uint8_t *dead;  /* [k]: H_jj = 0; original order */
    double damping; /* that it took to make H positive definite */
};

/* The order in which columns are quantized: order[i] is the original column at position i; NULL for
 * 0 .. k-1. w [n][k], in original order, is what to round: the equalized weights. Each fills in codes,
 * scales and zeros of q; zeros are allocated where the config is not symmetric. */
ptq_status ptqi_round_rtn(const struct ptq_config *config, const float *w, struct ptq_qtensor *q);
ptq_status ptqi_round_gptq(const struct ptq_config *config, const float *w,
                           const struct ptqi_curvature *curvature, const int32_t *order,
                           struct ptq_qtensor *q);

/* gptq.c: the factor, from the Hessian and the order; raises the damping where it must. */
ptq_status ptqi_gptq_factor(const struct ptq_config *config, struct ptqi_curvature *curvature,
                            const int32_t *order);
/* gptq.c: columns by falling diagonal of H, equal ones in their order. order [k]. */
ptq_status ptqi_gptq_order(ptq_context *context, const struct ptqi_curvature *curvature,
                           int32_t *order);

/* Stores the grid of row n, group g. */
static inline void ptqi_set_grid(struct ptq_qtensor *q, int64_t n, int64_t g, float scale,
                                 float zero)
{
    q->scales[n * q->groups + g] = scale;
    if (q->zeros)
        q->zeros[n * q->groups + g] = (uint8_t)zero;
}

#endif
