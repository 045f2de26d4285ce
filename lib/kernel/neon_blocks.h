/*
 * The blocks of int_template.h with ARMv8.0 only: 16 columns of one row of W and of x make two
 * vectors of eight 16-bit products. A lane holds 16 products of 4-bit codes, 16 * 15 * 127 = 30480
 * < 32768, so four blocks are summed before they are widened. It holds two products of signed 8-bit
 * codes, 2 * 128 * 127 = 32512.
 */
#include "neon_codes.h"

#define MAX_COLUMNS (LANES * MAX_NV)
#define BLOCKS_SUMMED 4

/* The sums of a, b, c and d. */
INLINE VI add_across(VI a, VI b, VI c, VI d)
{
    return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

INLINE int16x8_t add_products(int16x8_t sum, int8x16_t w, int8x16_t x)
{
    return vmlal_high_s8(vmlal_s8(sum, vget_low_s8(w), vget_low_s8(x)), w, x);
}

/* A zero in a separate register. Sums that share their initial register would be copied in every
 * iteration. */
INLINE int16x8_t own_zero(void)
{
    int16x8_t zero = vdupq_n_s16(0);
    __asm__("" : "+w"(zero));
    return zero;
}

/* One to BLOCKS_SUMMED blocks of 4-bit codes. */
INLINE void dot_some4(const int rows, const int nv, const int stream, int64_t blocks,
                      const uint8_t *codes, const int8_t *x, int64_t ldx, VI (*dot)[MAX_NV])
{
    int16x8_t s[4][MAX_COLUMNS];
    int8x16_t x0[4], x1[4];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int n = 0; n < nv * LANES; n++)
            s[m][n] = own_zero();
    }
    do {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            x0[m] = vld1q_s8(x + m * ldx);
            x1[m] = vld1q_s8(x + m * ldx + 16);
        }
        PTQI_UNROLL
        for (int n = 0; n < nv * LANES; n++) {
            const uint8x16_t first = vld1q_u8(codes + 16 * n);
            const int8x16_t w0 = stream ? low_nibbles(first) : vreinterpretq_s8_u8(first);
            const int8x16_t w1 =
                stream ? high_nibbles(first) : vreinterpretq_s8_u8(vld1q_u8(codes + 16 * (NR + n)));
            PTQI_UNROLL
            for (int m = 0; m < rows; m++)
                s[m][n] = add_products(add_products(s[m][n], w0, x0[m]), w1, x1[m]);
        }
        codes += (stream ? 16 : 32) * NR;
        x += PTQI_BLOCK;
    } while (--blocks > 0);
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const int16x8_t *t = s[m] + v * LANES;
            dot[m][v] = vi_add(dot[m][v], add_across(vpaddlq_s16(t[0]), vpaddlq_s16(t[1]),
                                                     vpaddlq_s16(t[2]), vpaddlq_s16(t[3])));
        }
    }
}

INLINE void dot_all8(const int rows, const int nv, int64_t blocks, const uint8_t *codes,
                     const int8_t *x, int64_t ldx, VI (*dot)[MAX_NV])
{
    VI s[4][MAX_COLUMNS];
    int8x16_t xm[4];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int n = 0; n < nv * LANES; n++)
            s[m][n] = vi_zero();
    }
    for (int64_t half = 0; half < 2 * blocks; half++) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++)
            xm[m] = vld1q_s8(x + m * ldx);
        PTQI_UNROLL
        for (int n = 0; n < nv * LANES; n++) {
            const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(codes + 16 * n));
            PTQI_UNROLL
            for (int m = 0; m < rows; m++) {
                const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(xm[m]));
                s[m][n] = vpadalq_s16(s[m][n], vmlal_high_s8(low, w, xm[m]));
            }
        }
        codes += 16 * NR;
        x += 16;
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const VI *t = s[m] + v * LANES;
            dot[m][v] = vi_add(dot[m][v], add_across(t[0], t[1], t[2], t[3]));
        }
    }
}

INLINE void dot_blocks(const int rows, const int nv, const int bits, const int stream,
                       const int shift, struct weights w, const struct ptqi_rows *from,
                       VI (*dot)[MAX_NV], VI (*high)[MAX_NV])
{
    const uint8_t *codes = w.codes;
    const int8_t *x = from->x;
    (void)shift, (void)high;
    if (bits == 8) {
        dot_all8(rows, nv, w.blocks, codes, x, from->ldx, dot);
        return;
    }
    for (int64_t b = 0; b < w.blocks; b += BLOCKS_SUMMED) {
        const int64_t some = w.blocks - b < BLOCKS_SUMMED ? w.blocks - b : BLOCKS_SUMMED;
        dot_some4(rows, nv, stream, some, codes, x, from->ldx, dot);
        codes += (stream ? 16 : 32) * NR * some;
        x += PTQI_BLOCK * some;
    }
}
