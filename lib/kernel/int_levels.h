/*
 * Two-level scales in int_template.h: the integer of a row is the sum over its groups of level *
 * (dot - zero * sum of x), one sum over all of K.
 *
 * Streams keep these totals in out, as integers, and scale them at the end. Tiles with
 * UNPACK_LEVELS use bytes level * (code - zero) + 128 - W8_OFFSET, unpacked once. Their zero is the
 * same everywhere, so groups disappear. Without UNPACK_LEVELS, if products of bytes are slower than
 * products of 4-bit codes, tiles multiply the sum of each group by its level, or use OWN_LEVELS, a
 * file with unpack_level_head, dot_levels and, if needed, starts.
 */
INLINE void clear_dots(const int rows, const int nv, VI (*dot)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows + rows % X_ROWS; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            dot[m][v] = vi_zero();
    }
}

INLINE void add_levels_to_out(const int rows, const int nv, const uint8_t *levels, const int column,
                              VI (*dot)[MAX_NV], int32_t *out)
{
    VI total[STREAM_MR][MAX_NV];
    load_dots(rows, nv, out, total);
    add_leveled(rows, nv, levels, 1, column, dot, total);
    store_dots(rows, nv, total, out);
}

/* Replaces the totals in out by row scale * total. */
INLINE void scale_totals(const int rows, const uint8_t *row_scales, float *out)
{
    for (int column = 0; column < NR; column += LANES) {
        const VF scale = scales_at(row_scales, 4, column);
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            float *at = out + m * NR + column;
            vf_store(at, vf_fma(scale, vf_from_vi(vi_load(at)), vf_zero()));
        }
    }
}

#if UNPACK_LEVELS
/* Unpacks some blocks of a group to bytes. */
INLINE uint8_t *unpack_level_group(const struct ptqi_panel *p, const uint8_t *group,
                                   const uint8_t *codes, int64_t in_group, int64_t blocks,
                                   uint8_t *room)
{
    for (int n = 0; n < NR; n += 4 * LANES / KR) {
        const uint8_t *from = codes + n / STRIP * in_group * (16 * STRIP) + n % STRIP * KR;
        const struct level_vector l = level_vector(group + n, p->has_zeros ? NR : 0, p->zero);
        for (int64_t b = 0; b < blocks; b++)
            unpack_levels(&l, from + b * 16 * STRIP, room + b * 32 * NR + n * KR);
    }
    return room + blocks * 32 * NR;
}

/* Groups have no heads here. */
INLINE void unpack_level_head(const struct strip *s, const uint8_t *levels, int32_t *factors,
                              int32_t *zeros)
{
    (void)s, (void)levels, (void)factors, (void)zeros;
}

/* The integers of a chunk: all of K is one group of bytes, and its zero is subtracted once. */
INLINE void dot_levels(const int rows, const int nv, const struct ptqi_chunk *c, const int column,
                       const struct ptqi_rows *x, VI (*total)[MAX_NV])
{
    const struct strip s = {.zero = c->zero};
    const struct weights w = {c->room + KR * column, 4 * STRIP, c->blocks, NULL, NULL};
    const struct ptqi_rows whole = rows_from(x, 0, c->row_sum);
    if (!c->resume)
        start_dots(rows, nv, &s, 0, &whole, total);
    dot_blocks(rows, nv, 8, 0, 0, w, x, total, NULL);
}
#else
/* Not used: there are no such bytes. */
INLINE uint8_t *unpack_level_group(const struct ptqi_panel *p, const uint8_t *group,
                                   const uint8_t *codes, int64_t in_group, int64_t blocks,
                                   uint8_t *room)
{
    (void)p, (void)group, (void)codes, (void)in_group, (void)blocks;
    return room;
}

#ifdef OWN_LEVELS
#include OWN_LEVELS
#else
/* Levels of a group, and its zeros if it has them, as 32-bit integers. */
INLINE void unpack_level_head(const struct strip *s, const uint8_t *levels, int32_t *factors,
                              int32_t *zeros)
{
    for (int v = 0; v < NR / LANES; v++) {
        vi_store(factors + v * LANES, levels_at(levels, 1, v * LANES));
        if (s->zeros)
            vi_store(zeros + v * LANES, zeros_at(s, v, 0));
    }
}

/* The integers of a chunk, group by group. Each part of a group adds its part of the dot product;
 * the first one also subtracts the zero. */
INLINE void dot_levels(const int rows, const int nv, const struct ptqi_chunk *c, const int column,
                       const struct ptqi_rows *x, VI (*total)[MAX_NV])
{
    struct ptqi_rows at = *x;
    int64_t left = c->blocks;
    for (int64_t g = 0; g < c->groups; g++) {
        const int64_t blocks = left < c->group_blocks ? left : c->group_blocks;
        const int started = g == 0 && c->first_block > 0;
        const struct strip s = {.wide_zeros =
                                    c->zeros && !started ? c->zeros + g * NR + column : NULL,
                                .zero = started ? 0 : c->zero};
        const struct weights w = {c->room + g * c->group_blocks * 32 * NR + KR * column, 4 * STRIP,
                                  blocks, NULL, NULL};
        VI dot[LEVEL_MR][MAX_NV];
        start_dots(rows, nv, &s, 0, &at, dot);
        dot_blocks(rows, nv, 4, 0, 0, w, &at, dot, NULL);
        add_leveled(rows, nv, (const uint8_t *)(c->scale_room + g * NR), 4, column, dot, total);
        at = rows_from(&at, blocks * PTQI_BLOCK, 1);
        left -= blocks;
    }
}
#endif
#endif

/* tile_strip with two-level scales. */
INLINE void level_strip(const int rows, const int nv, const struct ptqi_chunk *c, const int column,
                        const struct ptqi_rows *x, float *out, int32_t *partial)
{
    VI total[LEVEL_MR][MAX_NV];
    if (c->resume)
        load_dots(rows, nv, partial + column, total);
    else
        clear_dots(rows, nv, total);
    dot_levels(rows, nv, c, column, x, total);
    if (c->leave) {
        store_dots(rows, nv, total, partial + column);
        return;
    }
    clear_out(rows, nv, out + column);
    add_to_out(rows, nv, c->row_scales, 4, column, NULL, total, out + column);
}
