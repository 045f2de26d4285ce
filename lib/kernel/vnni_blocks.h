/*
 * The blocks of int_template.h with vpdpbusd, which adds four products of unsigned and signed bytes
 * to each 32-bit sum. Codes are the unsigned operand, x is the signed one. In addition to what
 * int_template.h lists, the including file defines vi_dot, vi_and, vi_shift4 and vi_add_bytes.
 */
#define SHIFT_ZEROS 1 /* codes may be up to 31 */
#define W8_OFFSET 0
#define TWO_SUMS 1

/* Four columns of x, the same for all rows of W. */
INLINE VI broadcast4(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return vi_set1(four);
}

/* shift: 16 - zero in every byte of a column's lane. */
INLINE VI shift_of(VI zero)
{
    return vi_mul(vi_sub(vi_set1(SHIFTED_ZERO), zero), vi_set1(0x01010101));
}

/* Vector v; the vectors after a strip are next bytes further on. */
INLINE const uint8_t *vector_at(const uint8_t *codes, int64_t next, int v)
{
    return codes + v * LANES / STRIP * next + v * LANES % STRIP * 4;
}

INLINE void dot_packed(const int rows, const int nv, const int shift, const struct weights *weights,
                       const struct ptqi_rows *from, VI (*low_dot)[MAX_NV], VI (*high_dot)[MAX_NV])
{
    const uint8_t *codes = weights->codes;
    const int8_t *x = from->x;
    const VI mask = vi_set1(0x0f0f0f0f);
    PTQI_UNROLL
    for (int j = 0; j < 4; j++, codes += 4 * STRIP, x += 4) {
        PTQI_UNROLL
        for (int high = 0; high < 2; high++) {
            VI w[MAX_NV], (*dot)[MAX_NV] = high ? high_dot : low_dot;
            PTQI_UNROLL
            for (int v = 0; v < nv; v++) {
                w[v] = vi_load(vector_at(codes, weights->next, v));
                w[v] = vi_and(high ? vi_shift4(w[v]) : w[v], mask);
                w[v] = vi_held(shift ? vi_add_bytes(w[v], weights->shifts[v]) : w[v]);
            }
            PTQI_UNROLL
            for (int m = 0; m < rows; m++) {
                const VI xm = broadcast4(x + m * from->ldx + 16 * high);
                PTQI_UNROLL
                for (int v = 0; v < nv; v++)
                    dot[m][v] = vi_dot(dot[m][v], w[v], xm);
            }
        }
    }
}

/* width: rows of W between consecutive groups of four columns. */
INLINE void dot_bytes(const int rows, const int nv, const int width, const struct weights *weights,
                      const struct ptqi_rows *from, VI (*dot)[MAX_NV])
{
    const uint8_t *codes = weights->codes;
    const int8_t *x = from->x;
    PTQI_UNROLL
    for (int j = 0; j < 8; j++, codes += 4 * width, x += 4) {
        VI w[MAX_NV];
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            w[v] = vi_held(vi_load(vector_at(codes, weights->next, v)));
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            const VI xm = broadcast4(x + m * from->ldx);
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                dot[m][v] = vi_dot(dot[m][v], w[v], xm);
        }
    }
}

#define dot_bytes4 dot_bytes
#define dot_bytes8 dot_bytes

/* Unpacks codes [4][STRIP][4] to room [8][NR][4], shifted by 16 - zero. */
INLINE void unpack_block(const int shift, const uint8_t *codes, const uint8_t *zeros, uint8_t *room)
{
    const VI mask = vi_set1(0x0f0f0f0f);
    for (int v = 0; v < STRIP; v += LANES) {
        const VI add = shift ? shift_of(vi_from_bytes(zeros + v)) : mask;
        PTQI_UNROLL
        for (int j = 0; j < 4; j++) {
            const VI both = vi_load(codes + (j * STRIP + v) * 4);
            VI low = vi_and(both, mask), high = vi_and(vi_shift4(both), mask);
            if (shift) {
                low = vi_add_bytes(low, add);
                high = vi_add_bytes(high, add);
            }
            vi_store(room + (j * NR + v) * 4, low);
            vi_store(room + ((j + 4) * NR + v) * 4, high);
        }
    }
}

/* A vector of rows: their levels in 16-bit lanes, and what to add to level * code. */
struct level_vector {
    VI level, add;
};

/* zeros_at: offset from levels to zeros; 0: there are none. */
INLINE struct level_vector level_vector(const uint8_t *levels, int zeros_at, int32_t zero)
{
    const VI level = vi_from_bytes(levels);
    const VI zeros = zeros_at ? vi_from_bytes(levels + zeros_at) : vi_set1(zero);
    const VI add = vi_and(vi_sub(vi_set1(128), vi_mul(level, zeros)), vi_set1(255));
    return (struct level_vector){vi_mul(level, vi_set1(0x00010001)),
                                 vi_mul(add, vi_set1(0x01010101))};
}

/* Unpacks a vector of codes [4][STRIP][4] to room [8][NR][4], level (code - zero) + 128. One 16-bit
 * multiplication gives two products of a level and a code, each below 256. */
INLINE void unpack_levels(const struct level_vector *l, const uint8_t *codes, uint8_t *room)
{
    const VI mask = vi_set1(0x0f0f0f0f);
    PTQI_UNROLL
    for (int j = 0; j < 4; j++) {
        const VI both = vi_load(codes + j * STRIP * 4);
        const VI low = vi_and(both, mask), high = vi_and(vi_shift4(both), mask);
        vi_store(room + j * NR * 4, vi_add_bytes(vi_mul16(low, l->level), l->add));
        vi_store(room + (j + 4) * NR * 4, vi_add_bytes(vi_mul16(high, l->level), l->add));
    }
}
