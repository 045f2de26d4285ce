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

/* Pins a to a register: GCC would rather load an operand again for every use. */
INLINE VI vi_held(VI a)
{
    __asm__("" : "+x"(a));
    return a;
}

INLINE VF vf_held(VF a)
{
    __asm__("" : "+x"(a));
    return a;
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

/* 16-bit lanes. */
INLINE VI vi_mul16(VI a, VI b)
{
    return _mm256_mullo_epi16(a, b);
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

INLINE VI vi_zero(void)
{
    return _mm256_setzero_si256();
}

INLINE VI vi_add(VI a, VI b)
{
    return _mm256_add_epi32(a, b);
}

/* The sum of all lanes. */
INLINE int32_t vi_total(VI a)
{
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(sum);
}

/* Unsigned. */
INLINE VI vi_max(VI a, VI b)
{
    return _mm256_max_epu32(a, b);
}

/* The largest lane. */
INLINE uint32_t vi_most(VI a)
{
    __m128i most = _mm_max_epu32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    most = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0x4e));
    most = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(most);
}

INLINE VF vf_sub(VF a, VF b)
{
    return _mm256_sub_ps(a, b);
}

INLINE VF vf_mul(VF a, VF b)
{
    return _mm256_mul_ps(a, b);
}

/* Pairs of 16-bit numbers: (a[n], b[n]). */
INLINE VI vi_pairs(const int16_t *a, const int16_t *b)
{
    const VI low = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)a));
    const VI high = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)b));
    return _mm256_or_si256(low, _mm256_slli_epi32(high, 16));
}

/* sum + a[0] b[0] + a[1] b[1], of pairs of 16-bit numbers; wraps. */
INLINE VI vi_add_pairs(VI sum, VI a, VI b)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

/* bits is 4, 8 or 16. */
INLINE VI vi_shift_right(VI a, const int bits)
{
    return bits == 4   ? _mm256_srli_epi32(a, 4)
           : bits == 8 ? _mm256_srli_epi32(a, 8)
                       : _mm256_srli_epi32(a, 16);
}

/* 2^(23 - bits) + q 2^-bits for 0 <= q < 2^23: q becomes the mantissa. */
INLINE VF vf_above(VI q, const int bits)
{
    return _mm256_castsi256_ps(_mm256_or_si256(q, _mm256_set1_epi32((150 - bits) << 23)));
}

INLINE VF vf_div(VF a, VF b)
{
    return _mm256_div_ps(a, b);
}

INLINE VF vf_clamp127(VF a)
{
    return _mm256_min_ps(_mm256_max_ps(a, _mm256_set1_ps(-127.0f)), _mm256_set1_ps(127.0f));
}

/* To the nearest integer, ties to even. */
INLINE VI vi_from_vf(VF a)
{
    return _mm256_cvtps_epi32(a);
}

/* Stores 32 integers as bytes. Packing works in halves of a register, which the permutation
 * undoes. */
INLINE void pack32(int8_t *q, const VI *v)
{
    const VI order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    VI low = _mm256_packs_epi32(v[0], v[1]), high = _mm256_packs_epi32(v[2], v[3]);
    vi_store(q, _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
}
