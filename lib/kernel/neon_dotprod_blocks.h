/*
 * The blocks of int_template.h with sdot, which adds four products of signed bytes to each 32-bit
 * sum and takes the four bytes of x from any lane of a vector: 16 columns of a row of x are loaded
 * at once and need no broadcast.
 */
#include "neon_codes.h"

/* Vector v of W times four columns, one lane, of all rows of x. */
#define QUAD(lane)                                                                                 \
    PTQI_UNROLL                                                                                    \
    for (int m = 0; m < rows; m++)                                                                 \
        DOT_LANE(dot[m][v], w, x[m], lane);

INLINE void dot_lane(const int rows, const int v, const int lane, const int8x16_t w,
                     const int8x16_t *x, VI (*dot)[MAX_NV])
{
    if (lane == 0) {
        QUAD(0)
    } else if (lane == 1) {
        QUAD(1)
    } else if (lane == 2) {
        QUAD(2)
    } else {
        QUAD(3)
    }
}

/* Loads 16 columns of x. */
INLINE void load_x(const int rows, const int8_t *x, int64_t ldx, int8x16_t *to)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        to[m] = vld1q_s8(x + m * ldx);
}

INLINE void dot_packed(const int rows, const int nv, const uint8_t *codes, const int8_t *x,
                       int64_t ldx, VI (*dot)[MAX_NV])
{
    int8x16_t x0[4], x1[4];
    load_x(rows, x, ldx, x0);
    load_x(rows, x + 16, ldx, x1);
    PTQI_UNROLL
    for (int j = 0; j < 4; j++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const uint8x16_t both = vld1q_u8(codes + (j * STRIP + v * LANES) * 4);
            const int8x16_t low = low_nibbles(both), high = high_nibbles(both);
            dot_lane(rows, v, j, low, x0, dot);
            dot_lane(rows, v, j, high, x1, dot);
            IN_ORDER
        }
    }
}

/* width: rows of W between consecutive groups of four columns. */
INLINE void dot_bytes(const int rows, const int nv, const int width, const uint8_t *codes,
                      const int8_t *x, int64_t ldx, VI (*dot)[MAX_NV])
{
    int8x16_t xm[4], w[MAX_NV];
    PTQI_UNROLL
    for (int j = 0; j < 8; j++) {
        if (j % 4 == 0)
            load_x(rows, x + 4 * j, ldx, xm);
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            w[v] = vld1q_s8((const int8_t *)codes + (j * width + v * LANES) * 4);
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            dot_lane(rows, v, j % 4, w[v], xm, dot);
        IN_ORDER
    }
}

#define X_BLOCK PTQI_BLOCK
#include "neon_dots.h"
