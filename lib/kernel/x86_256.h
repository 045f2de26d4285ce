/*
 * The primitives of int_template.h and f32_template.h on 256-bit registers; the including file
 * defines TARGET.
 */
#include <immintrin.h>

#define INLINE TARGET PTQI_INLINE
#define LANES 8
typedef __m256i VI;
typedef __m256 VF;

INLINE VI vi_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE void vi_store(void *p, VI a)
{
    _mm256_storeu_si256((__m256i *)p, a);
}

INLINE VI vi_set1(int32_t x)
{
    return _mm256_set1_epi32(x);
}

INLINE VI vi_sub(VI a, VI b)
{
    return _mm256_sub_epi32(a, b);
}

INLINE VI vi_mul(VI a, VI b)
{
    return _mm256_mullo_epi32(a, b);
}

INLINE VI vi_and(VI a, VI b)
{
    return _mm256_and_si256(a, b);
}

INLINE VI vi_shift4(VI a)
{
    return _mm256_srli_epi16(a, 4);
}

INLINE VI vi_add_bytes(VI a, VI b)
{
    return _mm256_add_epi8(a, b);
}

INLINE VI vi_from_bytes(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

INLINE VF vf_from_half(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

INLINE VF vf_from_vi(VI a)
{
    return _mm256_cvtepi32_ps(a);
}

INLINE VF vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

INLINE void vf_store(float *p, VF a)
{
    _mm256_storeu_ps(p, a);
}

INLINE VF vf_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE VF vf_set1(const float *p)
{
    return _mm256_broadcast_ss(p);
}

INLINE VF vf_fma(VF a, VF b, VF c)
{
    return _mm256_fmadd_ps(a, b, c);
}
