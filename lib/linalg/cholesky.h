/* The factor of a Hessian that GPTQ uses. */
#ifndef PTQI_CHOLESKY_H
#define PTQI_CHOLESKY_H

#include "base/team.h"

/*
 * h [n][n]: the upper triangle of a symmetric positive definite matrix H is replaced by the upper
 * triangular U with H^-1 = U^T U; elements below the diagonal are set to 0. PTQ_ERROR_NUMERIC if H
 * is not positive definite in f32; then h is undefined.
 */
ptq_status ptqi_inverse_factor(struct ptqi_crew crew, int64_t n, float *h);

#endif
