/* What the blocks of all NEON levels have in common. */
#define SHIFT_ZEROS 0 /* one product per group costs less than one addition per load */
#define W8_OFFSET 128 /* weights are signed operands, like x */
#define TWO_SUMS 0    /* no strip has so few sums */
#define OWN_DOT_BLOCKS

/* Separates the steps of a kernel: GCC would move the loads of all steps to the front and run out
 * of registers. */
#ifdef __clang__
#define IN_ORDER
#else
#define IN_ORDER __asm__ volatile("" ::: "memory");
#endif

INLINE VI shift_of(VI zero)
{
    return zero;
}

INLINE int8x16_t low_nibbles(uint8x16_t both)
{
    return vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
}

INLINE int8x16_t high_nibbles(uint8x16_t both)
{
    return vreinterpretq_s8_u8(vshrq_n_u8(both, 4));
}

/* Unpacks codes [16 / KR][STRIP][KR] to room [32 / KR][NR][KR]. */
INLINE void unpack_block(const int shift, const uint8_t *codes, const uint8_t *zeros, uint8_t *room)
{
    (void)shift, (void)zeros;
    PTQI_UNROLL
    for (int j = 0; j < 16 / KR; j++) {
        PTQI_UNROLL
        for (int i = 0; i < STRIP * KR; i += 16) {
            const uint8x16_t both = vld1q_u8(codes + j * STRIP * KR + i);
            vst1q_s8((int8_t *)room + j * NR * KR + i, low_nibbles(both));
            vst1q_s8((int8_t *)room + (j * KR + 16) * NR + i, high_nibbles(both));
        }
    }
}

/* A vector of bytes of rows: their levels, and what to add to level * code. */
struct level_vector {
    uint8x16_t level, add;
};

/* zeros_at: offset from levels to zeros; 0: there are none. */
INLINE struct level_vector level_vector(const uint8_t *levels, int zeros_at, int32_t zero)
{
    uint8_t level[16], add[16];
    for (int i = 0; i < 16; i++) {
        level[i] = levels[i / KR];
        add[i] = (uint8_t)(-level[i] * (zeros_at ? levels[zeros_at + i / KR] : zero));
    }
    return (struct level_vector){vld1q_u8(level), vld1q_u8(add)};
}

/* Unpacks a vector of codes [16 / KR][STRIP][KR] to room [32 / KR][NR][KR], level (code - zero). */
INLINE void unpack_levels(const struct level_vector *l, const uint8_t *codes, uint8_t *room)
{
    PTQI_UNROLL
    for (int j = 0; j < 16 / KR; j++) {
        const uint8x16_t both = vld1q_u8(codes + j * STRIP * KR);
        const uint8x16_t low = vandq_u8(both, vdupq_n_u8(15)), high = vshrq_n_u8(both, 4);
        vst1q_u8(room + j * NR * KR, vmlaq_u8(l->add, low, l->level));
        vst1q_u8(room + (j * KR + 16) * NR, vmlaq_u8(l->add, high, l->level));
    }
}
