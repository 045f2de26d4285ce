/*
 * The blocks of int_template.h with vpmaddubsw: unsigned codes times signed x, pairs added in 16
 * bits. Eight of these are added, 8 * 2 * 15 * 127 = 30480 < 32768, before one vpmaddwd widens
 * them.
 */
#define SHIFT_ZEROS 0 /* codes up to 30 would not fit */
#define W8_OFFSET 128
#define TWO_SUMS 0

INLINE VI broadcast4(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return vi_set1(four);
}

INLINE VI shift_of(VI zero)
{
    return zero;
}

/* s = pairs of w x, or s += them. */
INLINE void multiply(const int rows, const int nv, const int first, const VI *w, const int8_t *x,
                     int64_t ldx, VI (*s)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        const VI xm = broadcast4(x + m * ldx);
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            VI pairs = _mm256_maddubs_epi16(w[v], xm);
            s[m][v] = first ? pairs : vi_held(_mm256_add_epi16(s[m][v], pairs));
        }
    }
}

/* dot += s times factor, a 16-bit number for each pair of columns. */
INLINE void widen(const int rows, const int nv, VI (*s)[MAX_NV], const VI *factor,
                  VI (*dot)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            dot[m][v] = _mm256_add_epi32(dot[m][v], _mm256_madd_epi16(s[m][v], factor[v]));
    }
}

INLINE void set_ones(const int nv, VI *ones)
{
    PTQI_UNROLL
    for (int v = 0; v < nv; v++)
        ones[v] = _mm256_set1_epi16(1);
}

INLINE void dot_packed(const int rows, const int nv, const int shift, const struct weights *weights,
                       const struct ptqi_rows *from, VI (*dot)[MAX_NV], VI (*unused)[MAX_NV])
{
    const uint8_t *codes = weights->codes;
    const int8_t *x = from->x;
    const VI mask = vi_set1(0x0f0f0f0f);
    VI s[ROWS_HELD][MAX_NV], w[MAX_NV], ones[MAX_NV];
    (void)shift, (void)unused;
    PTQI_UNROLL
    for (int j = 0; j < 4; j++, codes += 4 * STRIP, x += 4) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            w[v] = vi_held(vi_and(vi_load(codes + v * LANES * 4), mask));
        multiply(rows, nv, j == 0, w, x, from->ldx, s);
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            w[v] = vi_held(vi_and(vi_shift4(vi_load(codes + v * LANES * 4)), mask));
        multiply(rows, nv, 0, w, x + 16, from->ldx, s);
    }
    set_ones(nv, ones);
    widen(rows, nv, s, ones, dot);
}

/* s = pairs of a block with one byte per code, or s += them. */
INLINE void multiply_block(const int rows, const int nv, const int first, const uint8_t *codes,
                           const int8_t *x, int64_t ldx, VI (*s)[MAX_NV])
{
    VI w[MAX_NV];
    PTQI_UNROLL
    for (int j = 0; j < 8; j++, codes += 4 * NR, x += 4) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            w[v] = vi_held(vi_load(codes + v * LANES * 4));
        multiply(rows, nv, first && j == 0, w, x, ldx, s);
    }
}

INLINE void dot_bytes4(const int rows, const int nv, const int width, const struct weights *w,
                       const struct ptqi_rows *x, VI (*dot)[MAX_NV])
{
    VI s[ROWS_HELD][MAX_NV], ones[MAX_NV];
    (void)width; /* always NR in tiles */
    set_ones(nv, ones);
    multiply_block(rows, nv, 1, w->codes, x->x, x->ldx, s);
    widen(rows, nv, s, ones, dot);
}

/*
 * 8-bit codes, stored minus 128: vpmaddubsw needs one unsigned operand, so the sign of w moves to
 * x. |w| <= 128 and |x| <= 127: a pair is at most 32512 and does not saturate.
 */
INLINE void dot_bytes8(const int rows, const int nv, const int width, const struct weights *weights,
                       const struct ptqi_rows *from, VI (*dot)[MAX_NV])
{
    const uint8_t *codes = weights->codes;
    const int8_t *x = from->x;
    const VI ones = _mm256_set1_epi16(1);
    for (int j = 0; j < 8; j++, codes += 4 * width, x += 4) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const VI w = vi_load(codes + v * LANES * 4), magnitude = _mm256_abs_epi8(w);
            PTQI_UNROLL
            for (int m = 0; m < rows; m++) {
                VI signed_x = _mm256_sign_epi8(broadcast4(x + m * from->ldx), w);
                VI pairs = _mm256_maddubs_epi16(magnitude, signed_x);
                dot[m][v] = _mm256_add_epi32(dot[m][v], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
}

/* Unpacks codes [4][STRIP][4] to room [8][NR][4]. */
INLINE void unpack_block(const int shift, const uint8_t *codes, const uint8_t *zeros, uint8_t *room)
{
    const VI mask = vi_set1(0x0f0f0f0f);
    (void)shift, (void)zeros;
    for (int v = 0; v < STRIP; v += LANES) {
        PTQI_UNROLL
        for (int j = 0; j < 4; j++) {
            const VI both = vi_load(codes + (j * STRIP + v) * 4);
            vi_store(room + (j * NR + v) * 4, vi_and(both, mask));
            vi_store(room + ((j + 4) * NR + v) * 4, vi_and(vi_shift4(both), mask));
        }
    }
}
