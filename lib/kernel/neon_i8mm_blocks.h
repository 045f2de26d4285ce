/*
 * The blocks of int_template.h with smmla, which adds the product of eight columns of two rows of x
 * and of two rows of W to a square of four sums (int_pairs.h).
 */
#include "neon_codes.h"

#define INT_SUMS "int_pairs.h"

/* Multiplies rows 4v .. 4v + 3 of W, one pair in each w, by all pairs of rows of x. */
INLINE void multiply(const int rows, const int v, const int8x16_t *w, const int8x16_t *x,
                     VI (*dot)[MAX_NV])
{
    PTQI_UNROLL
    for (int i = 0; i < 2; i++) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m += 2)
            dot[m + i][v] = vi_square(dot[m + i][v], x[m / 2], w[i]);
    }
}

/* Loads eight columns of x. */
INLINE void load_x(const int rows, const int8_t *x, int64_t ldx, int8x16_t *to)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m += 2)
        to[m / 2] = vld1q_s8(x + m * ldx);
}

INLINE void dot_packed(const int rows, const int nv, const uint8_t *codes, const int8_t *x,
                       int64_t ldx, VI (*dot)[MAX_NV])
{
    int8x16_t x0[4], x1[4];
    PTQI_UNROLL
    for (int j = 0; j < 2; j++) {
        load_x(rows, x + 16 * j, ldx, x0);
        load_x(rows, x + 16 * (j + 2), ldx, x1);
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const uint8_t *from = codes + (j * STRIP + v * LANES) * 8;
            const uint8x16_t first = vld1q_u8(from), second = vld1q_u8(from + 16);
            multiply(rows, v, (int8x16_t[]){low_nibbles(first), low_nibbles(second)}, x0, dot);
            multiply(rows, v, (int8x16_t[]){high_nibbles(first), high_nibbles(second)}, x1, dot);
            IN_ORDER
        }
    }
}

/* width: rows of W between consecutive groups of eight columns. */
INLINE void dot_bytes(const int rows, const int nv, const int width, const uint8_t *codes,
                      const int8_t *x, int64_t ldx, VI (*dot)[MAX_NV])
{
    const int8_t *w = (const int8_t *)codes;
    int8x16_t x0[4], x1[4];
    PTQI_UNROLL
    for (int j = 0; j < 4; j += 2) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m += 2) { /* adjacent, so one instruction loads both */
            x0[m / 2] = vld1q_s8(x + m * ldx + 16 * j);
            x1[m / 2] = vld1q_s8(x + m * ldx + 16 * j + 16);
        }
        PTQI_UNROLL
        for (int v = 0; v < nv; v++, w += 8 * LANES)
            multiply(rows, v, (int8x16_t[]){vld1q_s8(w), vld1q_s8(w + 16)}, x0, dot);
        w += 8 * (width - nv * LANES);
        PTQI_UNROLL
        for (int v = 0; v < nv; v++, w += 8 * LANES)
            multiply(rows, v, (int8x16_t[]){vld1q_s8(w), vld1q_s8(w + 16)}, x1, dot);
        w += 8 * (width - nv * LANES);
        IN_ORDER
    }
}

#define X_BLOCK (2 * PTQI_BLOCK)
#include "neon_dots.h"
