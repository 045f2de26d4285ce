/*
 * Two-level scales with vpmaddubsw: the level of a row of W, in 16 bits, stands where vpmaddwd has
 * its ones, so that a group ends in nothing. What the zeros take away, level * zero * sum of x,
 * comes in at its beginning; level * zero <= 127.
 */

/* Levels and their products with zeros as dot_levels wants them. */
INLINE void unpack_level_head(const struct strip *s, const uint8_t *levels, int32_t *factors,
                              int32_t *zeros)
{
    for (int v = 0; v < NR / LANES; v++) {
        const VI level = levels_at(levels, 1, v * LANES);
        vi_store(factors + v * LANES, vi_mul(level, vi_set1(0x00010001)));
        vi_store(zeros + v * LANES, vi_mul(level, zeros_at(s, v, 0)));
    }
}

/* total -= zero * sum of x; narrow: |sum| < 2^15, and one multiplication in 16 bits does. */
INLINE void subtract_zeros(const int rows, const int nv, const int narrow, const int32_t *zeros,
                           const int32_t *sums, int64_t ldsums, VI (*total)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        const VI sum = vi_set1((int32_t)(0u - (uint32_t)sums[m * ldsums]));
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const VI zero = vi_load(zeros + v * LANES);
            total[m][v] =
                vi_add(total[m][v], narrow ? _mm256_madd_epi16(zero, sum) : vi_mul(zero, sum));
        }
    }
}

/* A part of a group has its part of the sum, the first part its zero. */
INLINE void dot_levels(const int rows, const int nv, const struct ptqi_chunk *c, const int column,
                       const int8_t *x, int64_t ldx, const int32_t *sums, int64_t ldsums,
                       VI (*total)[MAX_NV])
{
    const uint8_t *codes = c->room + KR * column;
    const int32_t *factors = (const int32_t *)(const void *)c->scale_room + column;
    const int32_t *zeros = c->zero_room + column;
    const int narrow = c->group_blocks * PTQI_BLOCK * 127 < 1 << 15;
    int started = c->first_block > 0;
    int64_t left = c->blocks;
    do {
        int64_t blocks = left < c->group_blocks ? left : c->group_blocks;
        VI factor[MAX_NV];
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            factor[v] = vi_load(factors + v * LANES);
        if (!started && narrow)
            subtract_zeros(rows, nv, 1, zeros, sums, ldsums, total);
        else if (!started)
            subtract_zeros(rows, nv, 0, zeros, sums, ldsums, total);
        left -= blocks;
        do {
            dot_scaled(rows, nv, codes, x, ldx, factor, total);
            codes += 32 * NR;
            x += PTQI_BLOCK;
        } while (--blocks > 0);
        started = 0;
        factors += NR;
        zeros += NR;
        sums++;
    } while (left > 0);
}
