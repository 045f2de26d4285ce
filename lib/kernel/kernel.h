/*
 * The table of kernels. Every context has one, chosen once for its CPU (select.c); the portable C
 * kernels are the specification, and every other kernel gives the same bits.
 *
 * A tile is what a micro-kernel computes in registers: up to mr rows of x by nr columns of y. A panel
 * is nr rows of W, packed so that the kernel reads it from front to back.
 */
#ifndef PTQI_KERNEL_H
#define PTQI_KERNEL_H

#include "base/context.h"

#define PTQI_MAX_MR 8
#define PTQI_MAX_NR 32
#define PTQI_BLOCK 32 /* columns of W that integer kernels take at a time; groups are multiples */

/*
 * A panel of integer weights. Along K it is cut into blocks of 32, the last one filled up with zero
 * codes, whose inputs are zero too.
 *
 * codes, 4 bits: for each block, for j in 0..3, for n in 0..nr-1, for i in 0..3 one byte: the code of
 * column 4j + i in the low nibble and that of column 4(j+4) + i in the high one. So four neighbouring
 * bytes are four columns of one row, as the dot-product instructions of all CPUs want them, and one
 * load gives two operands by a mask and a shift.
 * codes, 8 bits: for each block, for j in 0..7, n, i: code - 128 of column 4j + i.
 *
 * scales [groups][nr]; zeros [groups][nr], or NULL where every one is zero (minus 128 for 8 bits).
 */
struct ptqi_panel {
    const uint8_t *codes;
    const float *scales;
    const int32_t *zeros;
    int32_t zero;
    int64_t blocks;       /* of the whole row */
    int64_t group_blocks; /* of a group; the last group takes what is left */
};

struct ptqi_kernels {
    int32_t isa;

    /*
     * f32: c[m][n] = (accumulate ? c[m][n] : 0) + sum over k of a[m][k] b[k][n], one chain of fused
     * multiply-adds per element, k ascending. a: element (m, k) at a[m * a_row + k * a_k]; b packed
     * [k][nr]; c: nr columns, ldc apart; 1 <= rows <= f32_mr.
     */
    int f32_mr, f32_nr;
    void (*f32_tile)(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *b, float *c, int64_t ldc, int accumulate);
    /* out [k][nr] = the transpose of in, nr rows of k numbers, ld apart: packs W for f32_tile. */
    void (*f32_transpose)(const float *in, int64_t ld, int64_t k, float *out);

    /*
     * Integer products, x int8 [rows][blocks * 32] in -127 .. 127, sums [rows][groups] its group
     * sums: out[m][n] = sum over g ascending of scale[g][n] * (dot_g - zero[g][n] * sums[m][g]), the
     * integer in wrapping 32 bits, one conversion to f32, one fused multiply-add, from +0.
     */
    int int_mr, int_nr;
    void (*w4a8_tile)(int rows, const struct ptqi_panel *panel, const int8_t *x, int64_t ldx,
                      const int32_t *sums, int64_t ldsums, float *out);
    void (*w8a8_tile)(int rows, const struct ptqi_panel *panel, const int8_t *x, int64_t ldx,
                      const int32_t *sums, int64_t ldsums, float *out);

    /* Elementwise and row operations: vector_template.h says what each does. */
    float (*absmax)(const float *x, int64_t n);
    void (*quantize)(const float *x, float scale, int8_t *q, int64_t n);
    void (*divide)(const float *x, const float *divisor, float *out, int64_t n);
    float (*sum_squares)(const float *x, int64_t n);
    void (*softmax)(float *x, int64_t n);
    float (*sum_exp)(const float *x, float shift, int64_t n);
    void (*silu_multiply)(const float *gate, const float *up, float *out, int64_t n);
    void (*gelu)(float *x, int64_t n);
    void (*rotate)(float *x, int64_t blocks, int32_t block);
    void (*subtract_scaled)(float *w, const float *u, float factor, int64_t n);
    void (*shrink_errors)(const float *w, int64_t n, const float *scales, const float *zeros,
                          float top, int candidates, float *errors);
    void (*metric_errors)(const float *w, const float *metric, int64_t n, const float *scales,
                          const float *zeros, float top, int candidates, float *errors);
};

/* Candidates of shrink_errors and metric_errors come in multiples of this. */
#define PTQI_SHRINK_UNIT 16

extern const struct ptqi_kernels ptqi_kernels_portable;
#ifdef PTQI_X86
extern const struct ptqi_kernels ptqi_kernels_avx2;
#endif

#endif
