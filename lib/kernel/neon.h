/*
 * The primitives of the templates with NEON, whose vectors have 128 bits; the including file
 * defines TARGET.
 */
#include <arm_neon.h>

#define INLINE TARGET PTQI_INLINE
#define LANES 4
typedef int32x4_t VI;
typedef float32x4_t VF;

INLINE VI vi_load(const void *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

INLINE void vi_store(void *p, VI a)
{
    vst1q_u8(p, vreinterpretq_u8_s32(a));
}

INLINE VI vi_set1(int32_t x)
{
    return vdupq_n_s32(x);
}

INLINE VI vi_zero(void)
{
    return vdupq_n_s32(0);
}

INLINE VI vi_add(VI a, VI b)
{
    return vaddq_s32(a, b);
}

INLINE VI vi_sub(VI a, VI b)
{
    return vsubq_s32(a, b);
}

INLINE VI vi_mul(VI a, VI b)
{
    return vmulq_s32(a, b);
}

INLINE VI vi_and(VI a, VI b)
{
    return vandq_s32(a, b);
}

/* The sum of all lanes. */
INLINE int32_t vi_total(VI a)
{
    return vaddvq_s32(a);
}

/* Unsigned. */
INLINE VI vi_max(VI a, VI b)
{
    return vreinterpretq_s32_u32(vmaxq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
}

/* The largest lane. */
INLINE uint32_t vi_most(VI a)
{
    return vmaxvq_u32(vreinterpretq_u32_s32(a));
}

INLINE VI vi_from_bytes(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, 4);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}

INLINE VF vf_from_half(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

INLINE VF vf_from_vi(VI a)
{
    return vcvtq_f32_s32(a);
}

INLINE VF vf_load(const float *p)
{
    return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p));
}

INLINE void vf_store(float *p, VF a)
{
    vst1q_u8((uint8_t *)p, vreinterpretq_u8_f32(a));
}

INLINE VF vf_zero(void)
{
    return vdupq_n_f32(0.0f);
}

INLINE VF vf_set1(const float *p)
{
    return vdupq_n_f32(*p);
}

/* Values stay in registers anyway: there are no memory operands. */
INLINE VI vi_held(VI a)
{
    return a;
}

INLINE VF vf_held(VF a)
{
    return a;
}

/* a b + c */
INLINE VF vf_fma(VF a, VF b, VF c)
{
    return vfmaq_f32(c, a, b);
}

/* A vector can be multiplied by one lane of another, so a number needs no whole vector. */
#define OWN_VX
typedef float VX;

INLINE VX vx_load(const float *p)
{
    return *p;
}

INLINE VF vx_fma(VX a, VF b, VF c)
{
    return vfmaq_n_f32(c, b, a);
}

INLINE VF vf_sub(VF a, VF b)
{
    return vsubq_f32(a, b);
}

INLINE VF vf_mul(VF a, VF b)
{
    return vmulq_f32(a, b);
}

/* Pairs of 16-bit numbers: (a[n], b[n]). */
INLINE VI vi_pairs(const int16_t *a, const int16_t *b)
{
    const int16x4_t low = vreinterpret_s16_u8(vld1_u8((const uint8_t *)a));
    const int16x4_t high = vreinterpret_s16_u8(vld1_u8((const uint8_t *)b));
    return vreinterpretq_s32_s16(vcombine_s16(vzip1_s16(low, high), vzip2_s16(low, high)));
}

/* sum + a[0] b[0] + a[1] b[1], of pairs of 16-bit numbers; wraps. */
INLINE VI vi_add_pairs(VI sum, VI a, VI b)
{
    const int16x8_t p = vreinterpretq_s16_s32(a), q = vreinterpretq_s16_s32(b);
    const VI low = vmull_s16(vget_low_s16(p), vget_low_s16(q));
    return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(p, q)));
}

/* bits is 4, 8 or 16. */
INLINE VI vi_shift_right(VI a, const int bits)
{
    const uint32x4_t u = vreinterpretq_u32_s32(a);
    return vreinterpretq_s32_u32(bits == 4   ? vshrq_n_u32(u, 4)
                                 : bits == 8 ? vshrq_n_u32(u, 8)
                                             : vshrq_n_u32(u, 16));
}

/* 2^(23 - bits) + q 2^-bits for 0 <= q < 2^23: q becomes the mantissa. */
INLINE VF vf_above(VI q, const int bits)
{
    return vreinterpretq_f32_s32(vorrq_s32(q, vdupq_n_s32((150 - bits) << 23)));
}

INLINE VF vf_div(VF a, VF b)
{
    return vdivq_f32(a, b);
}

INLINE VF vf_clamp127(VF a)
{
    return vminq_f32(vmaxq_f32(a, vdupq_n_f32(-127.0f)), vdupq_n_f32(127.0f));
}

/* To the nearest integer, ties to even. */
INLINE VI vi_from_vf(VF a)
{
    return vcvtnq_s32_f32(a);
}

/* Stores 32 integers as bytes. */
INLINE void pack32(int8_t *q, const VI *v)
{
    PTQI_UNROLL
    for (int i = 0; i < 8; i += 4) {
        const int16x8_t low = vmovn_high_s32(vmovn_s32(v[i]), v[i + 1]);
        const int16x8_t high = vmovn_high_s32(vmovn_s32(v[i + 2]), v[i + 3]);
        vst1q_s8(q + 4 * i, vmovn_high_s16(vmovn_s16(low), high));
    }
}

/* Transposes four rows of four numbers. */
#define SQUARE 4
INLINE void transpose_square(const float *in, int64_t ld, float *out, int64_t ldo)
{
    const VF a = vf_load(in), b = vf_load(in + ld);
    const VF c = vf_load(in + 2 * ld), d = vf_load(in + 3 * ld);
    const float64x2_t ab0 = vreinterpretq_f64_f32(vtrn1q_f32(a, b));
    const float64x2_t ab1 = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
    const float64x2_t cd0 = vreinterpretq_f64_f32(vtrn1q_f32(c, d));
    const float64x2_t cd1 = vreinterpretq_f64_f32(vtrn2q_f32(c, d));
    vf_store(out, vreinterpretq_f32_f64(vzip1q_f64(ab0, cd0)));
    vf_store(out + ldo, vreinterpretq_f32_f64(vzip1q_f64(ab1, cd1)));
    vf_store(out + 2 * ldo, vreinterpretq_f32_f64(vzip2q_f64(ab0, cd0)));
    vf_store(out + 3 * ldo, vreinterpretq_f32_f64(vzip2q_f64(ab1, cd1)));
}
