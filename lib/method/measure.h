/*
 * Error measures of quantized matrices.
 */
#ifndef PTQI_MEASURE_H
#define PTQI_MEASURE_H

#include "qtensor.h"
#include "curvature.h"

#define PTQI_ENERGY_BLOCK 128

/* sum = trace(d H d^T) = |X d^T|^2, d [n][k], H = hessian [k][k], symmetric and whole. product
 * [n][PTQI_ENERGY_BLOCK] is scratch. */
ptq_status ptqi_energy(struct ptqi_crew crew, const float *hessian, int64_t k, int64_t n,
                       const float *d, float *product, double *sum);

/* Sets weight_error and, if there is a Hessian, output_error of q. w is the equalized matrix; it
 * is taken back to the original basis. */
ptq_status ptqi_measure_weights(struct ptqi_crew crew, const struct ptq_equalization *e, float *w,
                                const struct ptqi_curvature *c, struct ptq_qtensor *q);

/* Adds |(X' - Xq) Q'^T|^2 / |X' Q'^T|^2 of q[i] to errors[i]: the error of int8
 * activations, on the rows that the statistics keep. X' are the equalized rows, Xq the same rows in
 * int8. */
ptq_status ptqi_add_activation_errors(struct ptqi_crew crew, const struct ptq_equalization *e,
                                      const struct ptq_stats *stats, int64_t count,
                                      ptq_qtensor *const *q, double *errors);

#endif
