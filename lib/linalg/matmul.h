/*
 * f32 matrix products with one defined result: each element is one chain of fused multiply-adds in
 * ascending order of k, starting from the value in C or from +0, on every CPU and with any number
 * of threads.
 */
#ifndef PTQI_MATMUL_H
#define PTQI_MATMUL_H

#include "base/team.h"

/* A matrix in memory: element (i, j) at data[i * row + j * column]. */
struct ptqi_matrix {
    const float *data;
    int64_t row, column;
};

enum {
    PTQI_ACCUMULATE = 1, /* add to C instead of replacing it */
    PTQI_SUBTRACT = 2,   /* subtract the product: -a * b, exact */
    PTQI_UPPER = 4,      /* only elements with m <= n are needed; others are undefined */
    PTQI_SERIAL = 8      /* on the calling thread alone, for use inside parallel work */
};

/* C[m][n] (row stride ldc) = A[m][k] B[k][n], modified by flags. Fails only if memory is exhausted
 * or parallel_for fails; then C is undefined. */
ptq_status ptqi_matmul(ptq_context *context, int64_t m, int64_t n, int64_t k, struct ptqi_matrix a,
                       struct ptqi_matrix b, float *c, int64_t ldc, int flags);

ptq_status ptqi_matmul_as(struct ptqi_crew crew, int64_t m, int64_t n, int64_t k,
                          struct ptqi_matrix a, struct ptqi_matrix b, float *c, int64_t ldc,
                          int flags);

/* y[rows][n] = x[rows][k] w[n][k]^T, all dense: a linear layer. */
ptq_status ptqi_matmul_linear(ptq_context *context, int64_t rows, int64_t n, int64_t k,
                              const float *x, const float *w, float *y);
ptq_status ptqi_matmul_linear_as(struct ptqi_crew crew, int64_t rows, int64_t n, int64_t k,
                                 const float *x, const float *w, float *y);

#endif
