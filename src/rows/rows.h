/*
 * Row operations of a forward pass, using the context's instruction set, with the same bits for all
 * of them. rows_template.h defines what each computes, and in which order.
 */
#ifndef ROWS_H
#define ROWS_H

#include "base/compiler.h"
#include "ptq/context.h"

/* x = softmax(x), n >= 1. */
void row_softmax(const ptq_context *context, float *x, int64_t n);
/* log(sum exp(x)), n >= 1. */
double row_log_sum_exp(const ptq_context *context, const float *x, int64_t n);
/* out = x / sqrt(mean x^2 + epsilon) * weight */
void row_rms_norm(const ptq_context *context, const float *x, const float *weight, float epsilon,
                  float *out, int64_t n);
/* out = (x - mean) / sqrt(mean (x - mean)^2 + epsilon) * weight + bias */
void row_layer_norm(const ptq_context *context, const float *x, const float *weight,
                    const float *bias, float epsilon, float *out, int64_t n);
/* x = GELU(x) by its approximation with tanh */
void row_gelu(const ptq_context *context, float *x, int64_t n);
/* out = gate / (1 + exp(-gate)) * up */
void row_silu_multiply(const ptq_context *context, const float *gate, const float *up, float *out,
                       int64_t n);

/* The index of the largest number, the first of equals. */
int64_t row_largest(const float *x, int64_t n);
/* x = cap tanh(x / cap); x if cap is 0. The same code for all instruction sets. */
void row_soft_cap(float cap, float *x, int64_t n);

/* The functions that depend on the instruction set. */
struct row_functions {
    float (*sum_squares)(const float *x, int64_t n);
    void (*softmax)(float *x, int64_t n);
    float (*sum_exp)(const float *x, float shift, int64_t n);
    void (*silu_multiply)(const float *gate, const float *up, float *out, int64_t n);
    void (*gelu)(float *x, int64_t n);
};

extern const struct row_functions rows_portable;
#ifdef PTQI_X86
extern const struct row_functions rows_avx2, rows_avx512;
#endif

/* The functions for an instruction set, PTQ_ISA_..., that this CPU has. */
const struct row_functions *row_functions(int32_t isa);

#endif
