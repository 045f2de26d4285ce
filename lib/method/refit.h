/* A better grid for codes that stay. */
#ifndef PTQI_REFIT_H
#define PTQI_REFIT_H

#include "shares.h"

/*
 * The grid of group g of row n, refitted to its codes [width], less their zero. Its columns begin
 * at position first of the quantization order, and gradient [width] is that of the loss there, G.
 * The curvature of the pass has the damped Hessian.
 */
struct ptqi_grid ptqi_refit(const struct ptqi_pass *pass, int64_t n, int64_t g, const float *codes,
                            const float *gradient, int64_t first, int64_t width);

#endif
