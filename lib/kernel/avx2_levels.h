/*
 * Two-level scales with vpmaddubsw: vpmaddwd multiplies by the level of a row of W, in 16 bits,
 * instead of by 1, so the end of a group costs nothing.
 *
 * The 16-bit sums are over codes minus 8, -8 .. 7. One sum covers two blocks, 16 * 2 * 8 * 127 =
 * 32512, and the zero point 8 needs nothing more. A sum starts at -8 times the sum of its x;
 * intermediate values may wrap, but the final value is right. For other zeros, level * (zero - 8) *
 * sum of x is subtracted at the beginning of a group; level * (zero - 8) fits in 16 bits, since
 * level <= 15.
 */
#define CODE_START 8

/* -8 times the sums of columns 4i and 4i + 1, and of 4i + 2 and 4i + 3, of one or two blocks. */
INLINE int32_t start_of(const int8_t *x, int two)
{
    const VI eights = _mm256_set1_epi8(CODE_START);
    VI pairs = _mm256_maddubs_epi16(eights, vi_load(x));
    if (two)
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(eights, vi_load(x + PTQI_BLOCK)));
    const __m128i upper = _mm256_extracti128_si256(pairs, 1);
    __m128i sum = _mm_add_epi16(_mm256_castsi256_si128(pairs), upper);
    sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), sum));
}

TARGET static void starts(const int8_t *x, int64_t blocks, int64_t group_blocks, int32_t *start)
{
    for (int64_t begin = 0; begin < blocks; begin += group_blocks) {
        const int64_t end = begin + ptqi_min(group_blocks, blocks - begin);
        for (int64_t b = begin; b < end; b += 2)
            start[b] = start_of(x + b * PTQI_BLOCK, b + 1 < end);
    }
}

/* total += factor times the dot product of some blocks of codes minus 8. */
INLINE void dot_scaled(const int rows, const int nv, struct weights w, const struct ptqi_rows *from,
                       const int32_t *start, const VI *factor, VI (*total)[MAX_NV])
{
    struct ptqi_rows x = *from;
    do {
        VI s[ROWS_HELD][MAX_NV];
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            const VI first = vi_set1(start[m * x.ldsums]);
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                s[m][v] = vi_held(first);
        }
        multiply_block(rows, nv, 0, w.codes, x.x, x.ldx, s);
        if (w.blocks > 1)
            multiply_block(rows, nv, 0, w.codes + 32 * NR, x.x + PTQI_BLOCK, x.ldx, s);
        widen(rows, nv, s, factor, total);
        w.codes += 2 * 32 * NR;
        x.x += 2 * PTQI_BLOCK;
        start += 2;
        w.blocks -= 2;
    } while (w.blocks > 0);
}

/* Levels, and their products with zeros minus 8, in the form that dot_levels needs. */
INLINE void unpack_level_head(const struct strip *s, const uint8_t *levels, int32_t *factors,
                              int32_t *zeros)
{
    for (int v = 0; v < NR / LANES; v++) {
        const VI level = levels_at(levels, 1, v * LANES);
        vi_store(factors + v * LANES, vi_mul(level, vi_set1(0x00010001)));
        const VI zero = vi_sub(zeros_at(s, v, 0), vi_set1(CODE_START));
        vi_store(zeros + v * LANES, vi_mul(level, zero));
    }
}

/* total -= zero * sum of x. narrow: |sum| < 2^15, so one 16-bit multiplication is enough. The upper
 * half of sum must then be 0, because the upper half of a negative zero is not. */
INLINE void subtract_zeros(const int rows, const int nv, const int narrow, const int32_t *zeros,
                           const struct ptqi_rows *x, VI (*total)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        const uint32_t negated = 0u - (uint32_t)x->sums[m * x->ldsums];
        const VI sum = vi_set1((int32_t)(narrow ? negated & 0xffff : negated));
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            const VI zero = vi_load(zeros + v * LANES);
            total[m][v] =
                vi_add(total[m][v], narrow ? _mm256_madd_epi16(zero, sum) : vi_mul(zero, sum));
        }
    }
}

/* Each part of a group adds its part of the dot product; the first one also subtracts the zero.
 * with_zeros is a constant. */
INLINE void dot_groups(const int rows, const int nv, const struct ptqi_chunk *c, const int column,
                       const struct ptqi_rows *x, const int with_zeros, VI (*total)[MAX_NV])
{
    struct weights w = {.codes = c->room + KR * column};
    struct ptqi_rows at = *x;
    const int32_t *factors = (const int32_t *)(const void *)c->scale_room + column;
    const int32_t *zeros = c->zero_room + column;
    const int32_t *start = x->sums + c->starts;
    const int narrow = c->group_blocks * PTQI_BLOCK * 127 < 1 << 15;
    int started = c->first_block > 0;
    int64_t left = c->blocks;
    do {
        VI factor[MAX_NV];
        w.blocks = left < c->group_blocks ? left : c->group_blocks;
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            factor[v] = vi_load(factors + v * LANES);
        if (with_zeros && !started) {
            if (narrow)
                subtract_zeros(rows, nv, 1, zeros, &at, total);
            else
                subtract_zeros(rows, nv, 0, zeros, &at, total);
        }
        dot_scaled(rows, nv, w, &at, start, factor, total);
        left -= w.blocks;
        w.codes += w.blocks * 32 * NR;
        at = rows_from(&at, w.blocks * PTQI_BLOCK, 1);
        start += w.blocks;
        started = 0;
        factors += NR;
        zeros += NR;
    } while (left > 0);
}

INLINE void dot_levels(const int rows, const int nv, const struct ptqi_chunk *c, const int column,
                       const struct ptqi_rows *x, VI (*total)[MAX_NV])
{
    if (c->zeros || c->zero != CODE_START)
        dot_groups(rows, nv, c, column, x, 1, total);
    else
        dot_groups(rows, nv, c, column, x, 0, total);
}
