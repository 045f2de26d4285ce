/*
 * The f32 tile, written once for all vector instruction sets: F32_MR x F32_NV vectors of sums stay
 * in registers, with F32_NV of b and one number of a. The including file also defines what
 * int_template.h wants of floats, and F32_CASES, the switch over the number of rows.
 */
#define F32_NR (F32_NV * LANES)

INLINE void f32_rows(const int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *b, float *c, int64_t ldc, int accumulate)
{
    VF sum[F32_MR][F32_NV];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
    for (int v = 0; v < F32_NV; v++)
        sum[m][v] = accumulate ? vf_load(c + m * ldc + v * LANES) : vf_zero();
    for (int64_t i = 0; i < k; i++) {
        VF row[F32_NV];
        PTQI_UNROLL
        for (int v = 0; v < F32_NV; v++)
            row[v] = vf_held(vf_load(b + v * LANES));
        b += F32_NR;
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            VF x = vf_held(vf_set1(a + m * a_row));
            PTQI_UNROLL
            for (int v = 0; v < F32_NV; v++)
                sum[m][v] = vf_fma(x, row[v], sum[m][v]);
        }
        a += a_k;
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
    for (int v = 0; v < F32_NV; v++)
        vf_store(c + m * ldc + v * LANES, sum[m][v]);
}

#define F32_CASE(rows)                                                                             \
    case rows:                                                                                     \
        f32_rows(rows, k, a, a_row, a_k, b, c, ldc, accumulate);                                   \
        break;

TARGET static void f32_tile(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                            const float *b, float *c, int64_t ldc, int accumulate)
{
    switch (rows) { /* the number of rows must be a constant for the sums to stay in registers */
        F32_CASES
    }
}

/* Eight rows of eight numbers become eight columns, in three rounds of exchanges. */
INLINE void transpose8(const float *in, int64_t ld, float *out)
{
    __m256 r[8], t[8];
    PTQI_UNROLL
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(in + i * ld);
    PTQI_UNROLL
    for (int i = 0; i < 8; i += 2) { /* neighbours of two rows */
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    PTQI_UNROLL
    for (int i = 0; i < 8; i += 4) { /* fours of four rows */
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    PTQI_UNROLL
    for (int i = 0; i < 4; i++) { /* halves of all eight */
        _mm256_storeu_ps(out + i * F32_NR, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(out + (i + 4) * F32_NR, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

TARGET static void f32_transpose(const float *in, int64_t ld, int64_t k, float *out)
{
    int64_t i = 0;
    for (; i + 8 <= k; i += 8)
        for (int n = 0; n < F32_NR; n += 8)
            transpose8(in + n * ld + i, ld, out + i * F32_NR + n);
    for (; i < k; i++)
        for (int n = 0; n < F32_NR; n++)
            out[i * F32_NR + n] = in[n * ld + i];
}

#define F32_KERNELS                                                                                \
    .f32_mr = F32_MR, .f32_nr = F32_NR, .f32_tile = f32_tile, .f32_transpose = f32_transpose
