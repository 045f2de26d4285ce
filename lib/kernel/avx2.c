/*
 * Kernels for CPUs with AVX2 and FMA: Intel since Haswell (2013), AMD since Zen (2017).
 */
#include "kernel.h"
#ifdef PTQI_X86
#include <immintrin.h>

#define NAME(function) function##_avx2
#define TARGET __attribute__((target("avx2,fma,f16c")))
#include "vector_template.h"

#define INLINE TARGET PTQI_INLINE

#define F32_MR 6
#define F32_NR 16 /* 6 x 2 accumulators, 2 columns of b and 1 broadcast of a: 15 of 16 registers */

INLINE void f32_rows(const int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *b, float *c, int64_t ldc, int accumulate)
{
    __m256 sum[F32_MR][2];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
        for (int h = 0; h < 2; h++)
            sum[m][h] = accumulate ? _mm256_loadu_ps(c + m * ldc + 8 * h) : _mm256_setzero_ps();
    for (int64_t i = 0; i < k; i++) {
        __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
        b += F32_NR;
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            __m256 x = _mm256_broadcast_ss(a + m * a_row);
            sum[m][0] = _mm256_fmadd_ps(x, b0, sum[m][0]);
            sum[m][1] = _mm256_fmadd_ps(x, b1, sum[m][1]);
        }
        a += a_k;
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
        for (int h = 0; h < 2; h++)
            _mm256_storeu_ps(c + m * ldc + 8 * h, sum[m][h]);
}

TARGET static void f32_tile(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                            const float *b, float *c, int64_t ldc, int accumulate)
{
    switch (rows) { /* the number of rows must be a constant for the sums to stay in registers */
    case 6: f32_rows(6, k, a, a_row, a_k, b, c, ldc, accumulate); break;
    case 5: f32_rows(5, k, a, a_row, a_k, b, c, ldc, accumulate); break;
    case 4: f32_rows(4, k, a, a_row, a_k, b, c, ldc, accumulate); break;
    case 3: f32_rows(3, k, a, a_row, a_k, b, c, ldc, accumulate); break;
    case 2: f32_rows(2, k, a, a_row, a_k, b, c, ldc, accumulate); break;
    case 1: f32_rows(1, k, a, a_row, a_k, b, c, ldc, accumulate); break;
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

#define INT_MR 4
#define INT_NR 16

INLINE __m256i broadcast4(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return _mm256_set1_epi32(four);
}

/*
 * A block of 32 columns for 8 rows of W (one half of the panel) and rows of x. Four vpmaddubsw pairs
 * are added in 16 bits, 8 * 2 * 15 * 127 = 30480 < 32768, and widened by one vpmaddwd.
 */
INLINE void w4_block(const int rows, const uint8_t *codes, const int8_t *x, int64_t ldx,
                     __m256i *dot)
{
    const __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    __m256i sum[INT_MR];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        sum[m] = _mm256_setzero_si256();
    for (int j = 0; j < 4; j++) {
        __m256i both = _mm256_loadu_si256((const __m256i *)(codes + j * INT_NR * 4));
        __m256i low = _mm256_and_si256(both, mask);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            const int8_t *xm = x + m * ldx + 4 * j;
            sum[m] = _mm256_add_epi16(sum[m], _mm256_maddubs_epi16(low, broadcast4(xm)));
            sum[m] = _mm256_add_epi16(sum[m], _mm256_maddubs_epi16(high, broadcast4(xm + 16)));
        }
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        dot[m] = _mm256_add_epi32(dot[m], _mm256_madd_epi16(sum[m], ones));
}

/*
 * The same for 8-bit codes: vpmaddubsw wants one unsigned operand, so the sign of w moves to x.
 * |w| <= 128 and |x| <= 127: a pair is at most 32512 and does not saturate.
 */
INLINE void w8_block(const int rows, const uint8_t *codes, const int8_t *x, int64_t ldx,
                     __m256i *dot)
{
    const __m256i ones = _mm256_set1_epi16(1);
    for (int j = 0; j < 8; j++) {
        __m256i w = _mm256_loadu_si256((const __m256i *)(codes + j * INT_NR * 4));
        __m256i magnitude = _mm256_abs_epi8(w);
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            __m256i signed_x = _mm256_sign_epi8(broadcast4(x + m * ldx + 4 * j), w);
            __m256i pairs = _mm256_maddubs_epi16(magnitude, signed_x);
            dot[m] = _mm256_add_epi32(dot[m], _mm256_madd_epi16(pairs, ones));
        }
    }
}

INLINE void int_rows(const int rows, const int bits, const struct ptqi_panel *panel,
                     const int8_t *x, int64_t ldx, const int32_t *sums, int64_t ldsums, float *out)
{
    const int64_t block_bytes = bits * 4 * INT_NR;
    for (int i = 0; i < rows * INT_NR; i += 8)
        _mm256_storeu_ps(out + i, _mm256_setzero_ps());
    for (int64_t g = 0, begin = 0; begin < panel->blocks; g++, begin += panel->group_blocks) {
        int64_t end = begin + panel->group_blocks;
        end = end < panel->blocks ? end : panel->blocks;
        for (int half = 0; half < 2; half++) {
            const uint8_t *codes = panel->codes + 32 * half;
            __m256i dot[INT_MR], zero = _mm256_set1_epi32(panel->zero);
            if (panel->zeros)
                zero = _mm256_loadu_si256(
                    (const __m256i *)(panel->zeros + g * INT_NR + 8 * half));
            PTQI_UNROLL
            for (int m = 0; m < rows; m++)
                dot[m] = _mm256_sub_epi32(
                    _mm256_setzero_si256(),
                    _mm256_mullo_epi32(zero, _mm256_set1_epi32(sums[m * ldsums + g])));
            for (int64_t block = begin; block < end; block++) {
                if (bits == 4)
                    w4_block(rows, codes + block * block_bytes, x + block * 32, ldx, dot);
                else
                    w8_block(rows, codes + block * block_bytes, x + block * 32, ldx, dot);
            }
            __m256 scale = _mm256_loadu_ps(panel->scales + g * INT_NR + 8 * half);
            PTQI_UNROLL
            for (int m = 0; m < rows; m++) {
                float *o = out + m * INT_NR + 8 * half;
                _mm256_storeu_ps(o, _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(dot[m]),
                                                    _mm256_loadu_ps(o)));
            }
        }
    }
}

#define INT_TILE(name, bits)                                                                       \
    TARGET static void name(int rows, const struct ptqi_panel *panel, const int8_t *x,             \
                            int64_t ldx, const int32_t *sums, int64_t ldsums, float *out)          \
    {                                                                                              \
        switch (rows) {                                                                            \
        case 4: int_rows(4, bits, panel, x, ldx, sums, ldsums, out); break;                        \
        case 3: int_rows(3, bits, panel, x, ldx, sums, ldsums, out); break;                        \
        case 2: int_rows(2, bits, panel, x, ldx, sums, ldsums, out); break;                        \
        case 1: int_rows(1, bits, panel, x, ldx, sums, ldsums, out); break;                        \
        }                                                                                          \
    }
INT_TILE(w4a8_tile, 4)
INT_TILE(w8a8_tile, 8)

const struct ptqi_kernels ptqi_kernels_avx2 = {
    .isa = PTQ_ISA_AVX2,
    .f32_mr = F32_MR,
    .f32_nr = F32_NR,
    .f32_tile = f32_tile,
    .f32_transpose = f32_transpose,
    .int_mr = INT_MR,
    .int_nr = INT_NR,
    .w4a8_tile = w4a8_tile,
    .w8a8_tile = w8a8_tile,
    VECTOR_KERNELS,
};
#else
typedef int ptqi_nothing_here;
#endif
