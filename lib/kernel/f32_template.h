/*
 * The f32 tile, written once for all vector instruction sets: F32_MR x F32_NV vectors of sums stay
 * in registers, with F32_NV vectors of b and one number of a. The including file also defines the
 * f32 primitives of int_template.h; F32_CASES, the switch over the number of rows;
 * transpose_square, which transposes SQUARE x SQUARE numbers; and, with OWN_VX, VX, vx_load and
 * vx_fma: a number that an instruction multiplies a vector by.
 */
#define F32_NR (F32_NV * LANES)
#ifndef OWN_VX
#define VX VF
#define vx_load(p) vf_held(vf_set1(p))
#define vx_fma vf_fma
#endif

INLINE void f32_rows(const int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *b, int64_t b_k, float *c, int64_t ldc, int accumulate)
{
    VF sum[F32_MR][F32_NV];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < F32_NV; v++)
            sum[m][v] = accumulate ? vf_load(c + m * ldc + v * LANES) : vf_zero();
    }
    for (int64_t i = 0; i < k; i++) {
        VF row[F32_NV];
        PTQI_UNROLL
        for (int v = 0; v < F32_NV; v++)
            row[v] = vf_held(vf_load(b + v * LANES));
        b += b_k;
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            VX x = vx_load(a + m * a_row);
            PTQI_UNROLL
            for (int v = 0; v < F32_NV; v++)
                sum[m][v] = vx_fma(x, row[v], sum[m][v]);
        }
        a += a_k;
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < F32_NV; v++)
            vf_store(c + m * ldc + v * LANES, sum[m][v]);
    }
}

#define F32_CASE(rows)                                                                             \
    case rows:                                                                                     \
        f32_rows(rows, k, a, a_row, a_k, b, b_k, c, ldc, accumulate);                              \
        break;

TARGET static void f32_tile(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                            const float *b, int64_t b_k, float *c, int64_t ldc, int accumulate)
{
    switch (rows) { /* the number of rows must be a constant for the sums to stay in registers */
        F32_CASES
    }
}

TARGET static void f32_transpose(const float *in, int64_t ld, int64_t k, float *out)
{
    int64_t i = 0;
    for (; i + SQUARE <= k; i += SQUARE)
        for (int n = 0; n < F32_NR; n += SQUARE)
            transpose_square(in + n * ld + i, ld, out + i * F32_NR + n, F32_NR);
    for (; i < k; i++)
        for (int n = 0; n < F32_NR; n++)
            out[i * F32_NR + n] = in[n * ld + i];
}

#define F32_KERNELS                                                                                \
    .f32_mr = F32_MR, .f32_nr = F32_NR, .f32_tile = f32_tile, .f32_transpose = f32_transpose
