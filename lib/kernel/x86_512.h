/*
 * The primitives of int_template.h and f32_template.h on 512-bit registers; the including file
 * defines TARGET.
 */
#include <immintrin.h>

#define INLINE TARGET PTQI_INLINE
#define LANES 16
typedef __m512i VI;
typedef __m512 VF;

INLINE VI vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE void vi_store(void *p, VI a)
{
    _mm512_storeu_si512(p, a);
}

/* Pins a to a register: GCC would rather load an operand again for every use. */
INLINE VI vi_held(VI a)
{
    __asm__("" : "+v"(a));
    return a;
}

INLINE VF vf_held(VF a)
{
    __asm__("" : "+v"(a));
    return a;
}

INLINE VI vi_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}

INLINE VI vi_sub(VI a, VI b)
{
    return _mm512_sub_epi32(a, b);
}

INLINE VI vi_mul(VI a, VI b)
{
    return _mm512_mullo_epi32(a, b);
}

/* 16-bit lanes. */
INLINE VI vi_mul16(VI a, VI b)
{
    return _mm512_mullo_epi16(a, b);
}

INLINE VI vi_and(VI a, VI b)
{
    return _mm512_and_si512(a, b);
}

INLINE VI vi_shift4(VI a)
{
    return _mm512_srli_epi16(a, 4);
}

INLINE VI vi_add_bytes(VI a, VI b)
{
    return _mm512_add_epi8(a, b);
}

INLINE VI vi_from_bytes(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

INLINE VF vf_from_half(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

INLINE VF vf_from_vi(VI a)
{
    return _mm512_cvtepi32_ps(a);
}

INLINE VF vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

INLINE void vf_store(float *p, VF a)
{
    _mm512_storeu_ps(p, a);
}

INLINE VF vf_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE VF vf_set1(const float *p)
{
    return _mm512_set1_ps(*p);
}

INLINE VF vf_fma(VF a, VF b, VF c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE VI vi_zero(void)
{
    return _mm512_setzero_si512();
}

INLINE VI vi_add(VI a, VI b)
{
    return _mm512_add_epi32(a, b);
}

/* The sum of all lanes. */
INLINE int32_t vi_total(VI a)
{
    return _mm512_reduce_add_epi32(a);
}

/* Unsigned. */
INLINE VI vi_max(VI a, VI b)
{
    return _mm512_max_epu32(a, b);
}

/* The largest lane. */
INLINE uint32_t vi_most(VI a)
{
    return _mm512_reduce_max_epu32(a);
}

INLINE VF vf_sub(VF a, VF b)
{
    return _mm512_sub_ps(a, b);
}

INLINE VF vf_mul(VF a, VF b)
{
    return _mm512_mul_ps(a, b);
}

/* Pairs of 16-bit numbers: (a[n], b[n]). */
INLINE VI vi_pairs(const int16_t *a, const int16_t *b)
{
    const VI low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)a));
    const VI high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)b));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* sum + a[0] b[0] + a[1] b[1], of pairs of 16-bit numbers; wraps. */
INLINE VI vi_add_pairs(VI sum, VI a, VI b)
{
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}

/* bits is 4, 8 or 16. */
INLINE VI vi_shift_right(VI a, const int bits)
{
    return bits == 4   ? _mm512_srli_epi32(a, 4)
           : bits == 8 ? _mm512_srli_epi32(a, 8)
                       : _mm512_srli_epi32(a, 16);
}

/* 2^(23 - bits) + q 2^-bits for 0 <= q < 2^23: q becomes the mantissa. */
INLINE VF vf_above(VI q, const int bits)
{
    return _mm512_castsi512_ps(_mm512_or_si512(q, _mm512_set1_epi32((150 - bits) << 23)));
}

INLINE VF vf_div(VF a, VF b)
{
    return _mm512_div_ps(a, b);
}

INLINE VF vf_clamp127(VF a)
{
    return _mm512_min_ps(_mm512_max_ps(a, _mm512_set1_ps(-127.0f)), _mm512_set1_ps(127.0f));
}

/* To the nearest integer, ties to even. */
INLINE VI vi_from_vf(VF a)
{
    return _mm512_cvtps_epi32(a);
}

/* Stores 32 integers as bytes. */
INLINE void pack32(int8_t *q, const VI *v)
{
    _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtepi32_epi8(v[0]));
    _mm_storeu_si128((__m128i *)(void *)(q + 16), _mm512_cvtepi32_epi8(v[1]));
}
