/* The transposition of f32_template.h, for all x86 instruction sets. */
#include <immintrin.h>

/* Transposes eight rows of eight numbers, in three rounds of exchanges. */
#define SQUARE 8
INLINE void transpose_square(const float *in, int64_t ld, float *out, int64_t ldo)
{
    __m256 r[8], t[8];
    PTQI_UNROLL
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(in + i * ld);
    PTQI_UNROLL
    for (int i = 0; i < 8; i += 2) { /* pairs of two rows */
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
        _mm256_storeu_ps(out + i * ldo, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(out + (i + 4) * ldo, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}
