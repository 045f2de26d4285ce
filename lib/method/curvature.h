/*
 * The Hessian of the input, and everything that roundings derive from it.
 */
#ifndef PTQI_CURVATURE_H
#define PTQI_CURVATURE_H

#include "config.h"
#include "equalization.h"

/*
 * H = sum of w_t x_t x_t^T over the rows of the equalized input, up to a factor that cancels
 * everywhere. "Quantization order" is the order in which columns are rounded.
 */
struct ptqi_curvature {
    int64_t k;
    const int32_t *order; /* [k], the column at each position; NULL: 0 .. k-1; not owned */
    float *hessian;       /* [k][k], whole, undamped, original order, times unit */
    double unit;          /* a power of two, 1 unless H would leave the range of f32 */
    uint8_t *dead;        /* [k], H_jj = 0, original order */
    int64_t live;         /* columns that are not dead */
    float *factor;        /* [k][k], U of the damped H, H^-1 = U^T U; quantization order */
    float *damped;        /* [k][k], the damped H, quantization order; or NULL */
    float *mismatch;      /* [k][k], GPTAQ's alpha M, quantization order; or NULL */
    float *correction;    /* [k][k], GPTAQ's P, quantization order; or NULL */
    double damping;       /* that made H positive definite */
};

/* The column at a position of the quantization order. */
static inline int64_t ptqi_column(const struct ptqi_curvature *c, int64_t position)
{
    return c->order ? c->order[position] : position;
}

/* Multiplies a [k][k] by a power of two that brings its largest diagonal element near 1, and
 * returns that factor. Does nothing, and returns 1, if the element is within 2^-40 .. 2^40: there,
 * no product of it can leave the range of f32. */
double ptqi_normalize_square(float *a, int64_t k);
/* hessian [k][k] = the Hessian of the input that e equalizes, normalized by *unit. */
ptq_status ptqi_load_hessian(const struct ptq_equalization *e, const struct ptq_stats *stats,
                             float *hessian, double *unit);
/* The Hessian and the dead columns, for the input that e equalizes. */
ptq_status ptqi_load_curvature(const struct ptq_equalization *e, const struct ptq_stats *stats,
                               struct ptqi_curvature *c);
/* The order by descending diagonal of H, equal ones in their original order. order [k]. */
ptq_status ptqi_hessian_order(ptq_context *context, const struct ptqi_curvature *c, int32_t *order);
/* The factor, in c->order, and the correction if the config asks for it. keep_damped: the damped
 * Hessian and the mismatch as well. Damping is raised until H is positive definite. */
ptq_status ptqi_factor_curvature(const struct ptq_config *config, const struct ptq_equalization *e,
                                 const struct ptq_stats *stats, int keep_damped,
                                 struct ptqi_curvature *c);
void ptqi_free_curvature(ptq_context *context, struct ptqi_curvature *c);

#endif
