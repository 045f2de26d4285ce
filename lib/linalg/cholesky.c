/*
 * H = R R^T with R upper triangular, computed from the last column backwards, then U = R^-1. Since
 * H^-1 = R^-T R^-1 = U^T U, U is the upper Cholesky factor of H^-1; H^-1 itself is never formed.
 * Both steps work on blocks, so that nearly all of the work is matrix products.
 */
#include "cholesky.h"
#include <math.h>
#include <string.h>
#include "base/team.h"
#include "kernel/kernel.h"
#include "matmul.h"

#define BLOCK 64

/* Factors the diagonal block [b0, b1) in place; 0 if a pivot is not positive. */
static int factor_diagonal(int64_t n, float *h, int64_t b0, int64_t b1)
{
    for (int64_t j = b1 - 1; j >= b0; j--) {
        float pivot = h[j * n + j];
        for (int64_t k = j + 1; k < b1; k++)
            pivot = fmaf(-h[j * n + k], h[j * n + k], pivot);
        if (!(pivot > 0) || pivot - pivot != 0)
            return 0;
        float diagonal = sqrtf(pivot);
        h[j * n + j] = diagonal;
        for (int64_t i = b0; i < j; i++) {
            float sum = h[i * n + j];
            for (int64_t k = j + 1; k < b1; k++)
                sum = fmaf(-h[i * n + k], h[j * n + k], sum);
            h[i * n + j] = sum / diagonal;
        }
    }
    return 1;
}

struct panel {
    const struct ptqi_kernels *kernels;
    int64_t n, b0, b1, parts;
    float *h;
    float transposed[BLOCK][BLOCK]; /* of the diagonal block: [j][i] = R[i][j] */
};

/* Solves P R_bb^T = H[0 .. b0)[b0 .. b1) in place for one part of the rows of P, last column first.
 */
static void solve_rows(void *argument, int64_t part)
{
    struct panel *p = argument;
    int64_t begin, end;
    ptqi_split(p->b0, 1, part, p->parts, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        float *row = p->h + i * p->n + p->b0;
        for (int64_t j = p->b1 - p->b0 - 1; j >= 0; j--) {
            row[j] /= p->transposed[j][j];
            p->kernels->subtract_scaled(row, p->transposed[j], row[j], j);
        }
    }
}

/* Solves for the rows above the diagonal block. */
static ptq_status solve_panel(struct ptqi_crew crew, int64_t n, float *h, int64_t b0, int64_t b1)
{
    struct panel p = {.kernels = crew.context->kernels, .n = n, .b0 = b0, .b1 = b1, .h = h};
    p.parts = b0 > 2 * BLOCK ? ptqi_threads(crew.context) : 1;
    for (int64_t i = b0; i < b1; i++)
        for (int64_t j = b0; j < b1; j++)
            p.transposed[j - b0][i - b0] = h[i * n + j];
    return ptqi_parallel_as(crew.context, crew.user, p.parts, solve_rows, &p);
}

static ptq_status factor(struct ptqi_crew crew, int64_t n, float *h)
{
    for (int64_t b1 = n; b1 > 0;) {
        int64_t b0 = (b1 - 1) / BLOCK * BLOCK;
        if (!factor_diagonal(n, h, b0, b1))
            return ptqi_fail(crew.context, PTQ_ERROR_NUMERIC,
                             "the Hessian is not positive definite");
        PTQI_TRY(solve_panel(crew, n, h, b0, b1));
        struct ptqi_matrix p = {h + b0, n, 1}, transposed = {h + b0, 1, n};
        PTQI_TRY(ptqi_matmul_as(crew, b0, b0, b1 - b0, p, transposed, h, n,
                                PTQI_ACCUMULATE | PTQI_SUBTRACT | PTQI_UPPER));
        PTQI_TRY(ptqi_check_cancelled(crew.context));
        b1 = b0;
    }
    return PTQ_OK;
}

/* The inverse of the diagonal block, in place: U_ij = -(sum over i < k <= j of R_ik U_kj) / R_ii.
 */
static void invert_diagonal(int64_t n, float *r, int64_t b0, int64_t b1)
{
    for (int64_t i = b1 - 1; i >= b0; i--) {
        float inverse = 1.0f / r[i * n + i];
        for (int64_t j = b1 - 1; j > i; j--) { /* row i of R is read up to j: go backwards */
            float sum = 0;
            for (int64_t k = i + 1; k <= j; k++)
                sum = fmaf(r[i * n + k], r[k * n + j], sum);
            r[i * n + j] = -sum * inverse;
        }
        r[i * n + i] = inverse;
    }
}

/* In place, by block rows from the bottom: U_IJ = -U_II (sum over I < L <= J of R_IL U_LJ). */
static ptq_status invert(struct ptqi_crew crew, int64_t n, float *r)
{
    float *row = ptqi_alloc(crew.context, BLOCK * n, (int64_t)sizeof *row);
    if (!row)
        return PTQ_ERROR_MEMORY;
    ptq_status status = PTQ_OK;
    for (int64_t b1 = n; b1 > 0 && !status;) {
        int64_t b0 = (b1 - 1) / BLOCK * BLOCK, height = b1 - b0, width = n - b1;
        invert_diagonal(n, r, b0, b1);
        if (width > 0) {
            struct ptqi_matrix right = {r + b0 * n + b1, n, 1}, below = {r + b1 * n + b1, n, 1};
            struct ptqi_matrix product = {row, width, 1}, diagonal = {r + b0 * n + b0, n, 1};
            status = ptqi_matmul_as(crew, height, width, width, right, below, row, width, 0);
            if (!status)
                status = ptqi_matmul_as(crew, height, width, height, diagonal, product,
                                        r + b0 * n + b1, n, PTQI_SUBTRACT);
        }
        if (!status)
            status = ptqi_check_cancelled(crew.context);
        b1 = b0;
    }
    ptqi_free(crew.context, row);
    return status;
}

ptq_status ptqi_inverse_factor(struct ptqi_crew crew, int64_t n, float *h)
{
    PTQI_TRY(factor(crew, n, h));
    for (int64_t i = 0; i < n; i++)
        memset(h + i * n, 0, (size_t)i * sizeof *h);
    return invert(crew, n, h);
}
