/*
 * Row operations by the context's kernels, for the forward pass of a model. What each computes, and
 * in which order, stands in kernel/vector_template.h.
 */
#ifndef PTQI_VECTOR_H
#define PTQI_VECTOR_H

#include "base/context.h"

/* max |x| of finite numbers. */
float ptqi_absmax(const ptq_context *context, const float *x, int64_t n);
/* x = softmax(x), n >= 1. */
void ptqi_softmax(const ptq_context *context, float *x, int64_t n);
/* log(sum exp(x)), n >= 1. */
double ptqi_log_sum_exp(const ptq_context *context, const float *x, int64_t n);
/* out = x / sqrt(mean x^2 + epsilon) * weight */
void ptqi_rms_norm(const ptq_context *context, const float *x, const float *weight, float epsilon,
                   float *out, int64_t n);
/* out = (x - mean) / sqrt(mean (x - mean)^2 + epsilon) * weight + bias */
void ptqi_layer_norm(const ptq_context *context, const float *x, const float *weight,
                     const float *bias, float epsilon, float *out, int64_t n);
/* x = GELU(x) by its approximation with tanh */
void ptqi_gelu(const ptq_context *context, float *x, int64_t n);
/* out = gate / (1 + exp(-gate)) * up */
void ptqi_silu_multiply(const ptq_context *context, const float *gate, const float *up, float *out,
                        int64_t n);

#endif
