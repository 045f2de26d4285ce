/*
 * Integer products, written once for all vector instruction sets. The including file defines
 *
 *   NR, LANES        columns of a panel, and of a vector: 32-bit integers (VI) and floats (VF)
 *   INLINE, TARGET   how primitives and functions are declared
 *   STREAM_MR        rows of a stream at most: 4, 6 or 8; STREAM_NV(rows), the vectors of its
 * strips STREAM_ROWS4, STREAM_ROWS8, STREAM_ROWS_LEVELS  stream_rows of the three products, if they
 *                    were measured
 *   TILE_MR, TILE_NV rows and vectors of a tile; LEVEL_MR, rows with two-level scales, if others
 *   X_AHEAD          x_ahead, if it was measured
 *   HOLD_SUMS        a tile has registers for its sums of floats, beside those of integers
 *   W8_OFFSET, SHIFT_ZEROS
 *   UNPACK_LEVELS    how tiles run with two-level scales: int_levels.h
 *   OWN_LEVELS       ... another way, if there is one, with the INT_BLOCKS that it knows
 *   vi_load vi_store vi_set1 vi_zero vi_add vi_sub vi_mul vi_held, vf_load vf_store vf_zero vf_fma
 *   vf_from_vi vf_held, vf_from_half (16-bit scales), vi_from_bytes (zeros)
 *   INT_BLOCKS       the file with the functions on blocks of 32 columns:
 *   dot_packed(rows, nv, ..)  a block of 4-bit codes times x, straight from the panel
 *   dot_bytes4, dot_bytes8    a block of codes with a byte each
 *   unpack_block              a strip's block of 4-bit codes to bytes
 *   unpack_levels             the same times their levels, with UNPACK_LEVELS
 *   TWO_SUMS                  its streams may add high nibbles to sums of their own
 *   or, with OWN_DOT_BLOCKS, dot_blocks instead of the first three
 *
 * and, where they are not as on x86, KR, the columns of a row that stand side by side in a panel,
 * STRIP, and INT_SUMS, the file that says which sums a vector holds.
 *
 * A strip is nv vectors of a panel: rows x nv sums are what registers hold. The zero points enter
 * as the first value of an integer sum: -zero times the group sum of x. With SHIFT_ZEROS the codes
 * are shifted by 15 - zero instead, in 0 .. 30, so that the zero point is 15 everywhere: where the
 * dot product has the bits for that, asymmetric groups cost no multiplication.
 */
#define MAX_NV 4
#define SHIFTED_ZERO 15
#ifndef STRIP
#define STRIP 32 /* columns whose codes are contiguous */
#endif
#ifndef KR
#define KR 4
#endif
#ifndef LEVEL_MR
#define LEVEL_MR TILE_MR
#endif
#ifndef HOLD_SUMS
#define HOLD_SUMS 0
#endif
/* Only the first strip of a panel finds new rows of x, in bursts that the CPU may not foresee. */
#ifndef X_AHEAD
#define X_AHEAD 0
#endif
#define ONE_STREAM STREAM_MR, STREAM_MR, STREAM_MR /* stream_rows: tiles for all that are more */
#ifndef STREAM_ROWS4
#define STREAM_ROWS4 ONE_STREAM
#define STREAM_ROWS8 ONE_STREAM
#define STREAM_ROWS_LEVELS ONE_STREAM
#endif
#include INT_BLOCKS
#ifndef INT_SUMS
#define INT_SUMS "int_rows.h"
#endif

struct strip {
    const uint8_t *zeros; /* [nv * LANES] of the group, or NULL */
    const int32_t *wide_zeros;
    int32_t zero;
};

/* The zero points of a vector of columns. */
INLINE VI zeros_at(const struct strip *s, int v, int offset)
{
    if (s->wide_zeros)
        return vi_load(s->wide_zeros + v * LANES);
    if (s->zeros)
        return vi_sub(vi_from_bytes(s->zeros + v * LANES), vi_set1(offset));
    return vi_set1(s->zero);
}

/* Scales of a vector of columns from the head of a group. */
INLINE VF scales_at(const uint8_t *scales, int scale_bytes, int column)
{
    return scale_bytes == 2 ? vf_from_half(scales + 2 * column)
                            : vf_load((const float *)(const void *)scales + column);
}

/* Levels of a vector of columns: bytes as packed, or int32. */
INLINE VI levels_at(const uint8_t *levels, int level_bytes, int column)
{
    return level_bytes == 1 ? vi_from_bytes(levels + column) : vi_load(levels + 4 * column);
}

#include INT_SUMS

#ifndef OWN_DOT_BLOCKS
/* A CPU alone asks for the next few lines only; from here the memory is kept busy. */
#define BYTES_AHEAD 8192

/* The blocks of a group, at least one, as packed for a stream or as unpacked for a tile, added to
 * dot; of a stream the products with high nibbles to high, and vectors beyond a strip are next
 * bytes further.
 */
INLINE void dot_blocks(const int rows, const int nv, const int bits, const int stream,
                       const int shift, int64_t blocks, const uint8_t *codes, int64_t next,
                       const int8_t *x, int64_t ldx, const VI *shifts, VI (*dot)[MAX_NV],
                       VI (*high)[MAX_NV])
{
    do {
        if (stream)
            for (int line = 0; line < 4 * bits * STRIP; line += 64)
                PTQI_PREFETCH(codes + line + BYTES_AHEAD);
        if (bits == 8)
            dot_bytes8(rows, nv, stream ? STRIP : NR, codes, next, x, ldx, dot);
        else if (stream)
            dot_packed(rows, nv, shift, codes, next, x, ldx, shifts, dot, high);
        else
            dot_bytes4(rows, nv, NR, codes, next, x, ldx, dot);
        codes += stream ? 4 * bits * STRIP : 32 * NR;
        x += PTQI_BLOCK;
    } while (--blocks > 0);
}
#endif

/* Sums in out begin at +0. */
INLINE void clear_out(const int rows, const int nv, float *out)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            vf_store(out + m * NR + v * LANES, vf_zero());
    }
}

#include "int_levels.h"

/* What a stream reads of one group. */
struct group {
    const uint8_t *scales, *zeros, *codes; /* of the whole panel; zeros may be NULL */
    int64_t blocks;
    const int8_t *x;
    const int32_t *sums;
};

/* One strip, beginning at a column of the panel, over one group: out goes on from what it holds,
 * which are integers where there are levels. */
INLINE void stream_strip(const int rows, const int nv, const int bits, const int levels,
                         const int shift, const struct ptqi_panel *p, const struct group *g,
                         const int column, int64_t ldx, int64_t ldsums, float *out)
{
    const struct strip s = {.zeros = g->zeros && !shift ? g->zeros + column : NULL,
                            .zero = shift ? SHIFTED_ZERO : p->zero};
    const int64_t strip_bytes = g->blocks * 4 * bits * STRIP; /* to the next strip */
    const uint8_t *codes = g->codes + column / STRIP * strip_bytes + column % STRIP * KR;
    /* Few sums would wait for each other: then those of high nibbles have registers of their own.
     */
    const int two = TWO_SUMS && bits == 4 && rows * nv <= 4;
    VI dot[STREAM_MR][MAX_NV], high[STREAM_MR][MAX_NV], shifts[MAX_NV];
    if (shift) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            shifts[v] = shift_of(vi_from_bytes(g->zeros + column + v * LANES));
    }
    start_dots(rows, nv, &s, bits == 8 ? W8_OFFSET : 0, g->sums, ldsums, dot);
    if (two) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                high[m][v] = vi_zero();
        }
    }
    dot_blocks(rows, nv, bits, 1, shift, g->blocks, codes, strip_bytes, g->x, ldx, shifts, dot,
               two ? high : dot);
    if (two) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                dot[m][v] = vi_add(dot[m][v], high[m][v]);
        }
    }
    if (levels)
        add_levels_to_out(rows, nv, g->scales, column, dot, (int32_t *)(void *)(out + column));
    else
        add_to_out(rows, nv, g->scales, p->scale_bytes, column, dot, out + column);
}

/* A panel group by group, each in strips: its codes are in the first-level cache for all but one.
 */
INLINE void stream_panel(const int rows, const int nv, const int bits, const int levels,
                         const int shift, const struct ptqi_panel *p, const int8_t *x, int64_t ldx,
                         const int32_t *sums, int64_t ldsums, float *out)
{
    const uint8_t *data = ptqi_first_group(p, NR);
    for (int i = 0; i < rows * NR; i += LANES)
        vf_store(out + i, vf_zero());
    for (int64_t block = 0; block < p->blocks; block += p->group_blocks) {
        const int64_t left = p->blocks - block;
        struct group g = {.scales = data, .x = x, .sums = sums++};
        g.blocks = left < p->group_blocks ? left : p->group_blocks;
        g.zeros = p->has_zeros ? data + NR * p->scale_bytes : NULL;
        g.codes = data + NR * (p->scale_bytes + p->has_zeros);
        for (int column = 0; column < NR; column += nv * LANES)
            stream_strip(rows, nv, bits, levels, shift, p, &g, column, ldx, ldsums, out);
        x += g.blocks * PTQI_BLOCK * X_ROWS;
        data = g.codes + g.blocks * 4 * bits * NR;
    }
    if (levels)
        scale_totals(rows, p->data, out);
}

#define STREAM_CASE(rows, bits, levels, shift)                                                     \
    case rows:                                                                                     \
        stream_panel(rows, STREAM_NV(rows), bits, levels, shift, panel, x, ldx, sums, ldsums,      \
                     out);                                                                         \
        break;

/* The cases of 1 .. most rows. */
#define STREAM_CASES(most, ...) STREAM_CASES_OF(most, __VA_ARGS__)
#define STREAM_CASES_OF(most, ...) STREAM_CASES_##most(__VA_ARGS__)
#define STREAM_CASES_4(...)                                                                        \
    STREAM_CASE(1, __VA_ARGS__)                                                                    \
    STREAM_CASE(2, __VA_ARGS__)                                                                    \
    STREAM_CASE(3, __VA_ARGS__)                                                                    \
    STREAM_CASE(4, __VA_ARGS__)
#define STREAM_CASES_6(...)                                                                        \
    STREAM_CASES_4(__VA_ARGS__)                                                                    \
    STREAM_CASE(5, __VA_ARGS__)                                                                    \
    STREAM_CASE(6, __VA_ARGS__)
#define STREAM_CASES_8(...)                                                                        \
    STREAM_CASES_6(__VA_ARGS__)                                                                    \
    STREAM_CASE(7, __VA_ARGS__)                                                                    \
    STREAM_CASE(8, __VA_ARGS__)

/* The number of rows must be a constant for the sums to stay in registers. */
#define STREAM(name, bits, levels, shift)                                                          \
    TARGET static void name(int rows, const struct ptqi_panel *panel, const int8_t *x,             \
                            int64_t ldx, const int32_t *sums, int64_t ldsums, float *out)          \
    {                                                                                              \
        switch (rows) {                                                                            \
            STREAM_CASES(STREAM_MR, bits, levels, shift)                                           \
        }                                                                                          \
    }

/* A strip of a tile over groups of a chunk, one after the other; any rows, and parts of groups. */
INLINE void tile_strip(const int rows, const int nv, const int bits, const struct ptqi_chunk *c,
                       const int column, const int8_t *x, int64_t ldx, const int32_t *sums,
                       int64_t ldsums, float *out, int32_t *partial)
{
    const uint8_t *codes = c->room + KR * column, *scales = (const uint8_t *)c->scale_room;
    int64_t left = c->blocks;
    for (int64_t g = 0; g < c->groups; g++) {
        const int64_t blocks = left < c->group_blocks ? left : c->group_blocks;
        const uint8_t *block = codes + g * c->group_blocks * 32 * NR;
        const struct strip s = {.wide_zeros = c->zeros ? c->zeros + g * NR + column : NULL,
                                .zero = c->zero};
        VI dot[TILE_MR][MAX_NV];
        if (c->resume)
            load_dots(rows, nv, partial + column, dot);
        else
            start_dots(rows, nv, &s, 0, sums + g, ldsums, dot);
        dot_blocks(rows, nv, bits, 0, 0, blocks, block, 4 * STRIP, x, ldx, NULL, dot, NULL);
        x += blocks * PTQI_BLOCK * X_ROWS;
        left -= blocks;
        if (c->leave) {
            store_dots(rows, nv, dot, partial + column);
            return;
        }
        if (c->first_group + g == 0)
            clear_out(rows, nv, out + column);
        add_to_out(rows, nv, scales + g * 4 * NR, 4, column, dot, out + column);
    }
}

/* The same with all rows of a tile and whole groups, where the time goes: nothing is left in the
 * way of sums in registers. zeros, whether columns have zero points of their own, is a constant. */
INLINE void tile_groups(const int bits, const int zeros, const struct ptqi_chunk *c,
                        const int column, const int8_t *x, int64_t ldx, const int32_t *sums,
                        int64_t ldsums, float *out)
{
    const uint8_t *codes = c->room + KR * column;
    const uint8_t *scales = (const uint8_t *)(c->scale_room + column);
    struct strip s = {.wide_zeros = zeros ? c->zeros + column : NULL, .zero = c->zero};
    VF sum[TILE_MR][MAX_NV];
    out += column;
    if (c->first_group == 0)
        clear_out(TILE_MR, TILE_NV, out);
    PTQI_FORGET(out);
    if (HOLD_SUMS)
        load_sums(TILE_MR, TILE_NV, out, sum);
    int64_t left = c->blocks;
    do {
        const int64_t blocks = left < c->group_blocks ? left : c->group_blocks;
        VI dot[TILE_MR][MAX_NV];
        start_dots(TILE_MR, TILE_NV, &s, 0, sums, ldsums, dot);
        /* Sums that begin as the same number: a register for each now, not copies for ever. */
        PTQI_UNROLL
        for (int m = 0; m < TILE_MR; m++) {
            PTQI_UNROLL
            for (int v = 0; v < TILE_NV; v++)
                dot[m][v] = vi_held(dot[m][v]);
        }
        dot_blocks(TILE_MR, TILE_NV, bits, 0, 0, blocks, codes, 4 * STRIP, x, ldx, NULL, dot, NULL);
        if (HOLD_SUMS) {
            add_scaled(TILE_MR, TILE_NV, scales, 4, 0, dot, sum);
        } else {
            PTQI_FORGET(out);
            add_to_out(TILE_MR, TILE_NV, scales, 4, 0, dot, out);
        }
        sums++;
        codes += blocks * 32 * NR;
        x += blocks * PTQI_BLOCK * X_ROWS;
        scales += 4 * NR;
        if (zeros)
            s.wide_zeros += NR;
        left -= c->group_blocks;
    } while (left > 0);
    if (HOLD_SUMS)
        store_sums(TILE_MR, TILE_NV, sum, out);
}

/* A function for each: compilers keep the sums of a small one in registers. */
#define TILE_GROUPS(name, bits, zeros)                                                             \
    TARGET static PTQI_NOINLINE void name(const struct ptqi_chunk *c, const int column,            \
                                          const int8_t *x, int64_t ldx, const int32_t *sums,       \
                                          int64_t ldsums, float *out)                              \
    {                                                                                              \
        tile_groups(bits, zeros, c, column, x, ldx, sums, ldsums, out);                            \
    }

TILE_GROUPS(tile_groups4, 4, 0)
TILE_GROUPS(tile_groups8, 8, 0)
#if !SHIFT_ZEROS
TILE_GROUPS(tile_groups4_zeros, 4, 1)
#else
#define tile_groups4_zeros tile_groups4 /* the zero is one for all */
#endif
TILE_GROUPS(tile_groups8_zeros, 8, 1)

/* All columns of a panel for the rows of a tile. */
INLINE void tile_whole(const int bits, const struct ptqi_chunk *c, const int8_t *x, int64_t ldx,
                       const int32_t *sums, int64_t ldsums, float *out)
{
    for (int n = 0; n < NR; n += TILE_NV * LANES) {
        if (bits == 8)
            (c->zeros ? tile_groups8_zeros : tile_groups8)(c, n, x, ldx, sums, ldsums, out);
        else
            (c->zeros ? tile_groups4_zeros : tile_groups4)(c, n, x, ldx, sums, ldsums, out);
    }
}

/* ... for any rows. */
#define TILE_ROWS(rows, bits)                                                                      \
    for (int n = 0; n < NR; n += TILE_NV * LANES) {                                                \
        if (bits == LEVELS)                                                                        \
            level_strip(rows, TILE_NV, chunk, n, x, ldx, sums, ldsums, out, partial);              \
        else                                                                                       \
            tile_strip(rows, TILE_NV, bits, chunk, n, x, ldx, sums, ldsums, out, partial);         \
    }

#define TILE_CASE(rows, bits)                                                                      \
    case rows:                                                                                     \
        TILE_ROWS(rows, bits)                                                                      \
        break;

/* The cases of 1 .. mr - 1 rows. */
#define TILE_CASES(mr, bits) TILE_CASES_OF(mr, bits)
#define TILE_CASES_OF(mr, bits) TILE_CASES_##mr(bits)
#define TILE_CASES_3(bits) TILE_CASE(1, bits) TILE_CASE(2, bits)
#define TILE_CASES_4(bits) TILE_CASES_3(bits) TILE_CASE(3, bits)
#define TILE_CASES_6(bits) TILE_CASES_4(bits) TILE_CASE(4, bits) TILE_CASE(5, bits)
#define TILE_CASES_8(bits) TILE_CASES_6(bits) TILE_CASE(6, bits) TILE_CASE(7, bits)

#define TILE(name, bits, mr)                                                                       \
    TARGET static void name(int64_t rows, struct ptqi_chunk *chunk, const int8_t *x, int64_t ldx,  \
                            const int32_t *sums, int64_t ldsums, float *out, int32_t *partial)     \
    {                                                                                              \
        for (; rows >= mr; rows -= mr) {                                                           \
            if (bits == LEVELS || chunk->resume || chunk->leave)                                   \
                TILE_ROWS(mr, bits)                                                                \
            else                                                                                   \
                tile_whole(bits, chunk, x, ldx, sums, ldsums, out);                                \
            x += mr * ldx;                                                                         \
            sums += mr * ldsums;                                                                   \
            out += mr * NR;                                                                        \
            partial += mr * NR;                                                                    \
        }                                                                                          \
        switch (rows) {                                                                            \
            TILE_CASES(mr, bits)                                                                   \
        }                                                                                          \
    }

/* A block of a strip as bytes [32 / KR][NR][KR] of a chunk. */
INLINE void unpack_strip(const int bits, const int shift, const uint8_t *codes,
                         const uint8_t *zeros, uint8_t *room)
{
    if (bits == 4) {
        unpack_block(shift, codes, zeros, room);
        return;
    }
    PTQI_UNROLL
    for (int j = 0; j < 32 / KR; j++) {
        PTQI_UNROLL
        for (int i = 0; i < STRIP * KR; i += 4 * LANES)
            vi_store(room + j * NR * KR + i, vi_load(codes + j * STRIP * KR + i));
    }
}

/* Scales and zeros of a group as tiles want them. */
INLINE void unpack_head(const int bits, const int levels, const struct ptqi_panel *p,
                        const uint8_t *group, const struct ptqi_chunk *c, int64_t g)
{
    const struct strip s = {.zeros = p->has_zeros ? group + NR * p->scale_bytes : NULL,
                            .zero = p->zero};
    float *scales = c->scale_room + g * NR;
    int32_t *wide_zeros = c->zero_room + g * NR;
    if (levels) {
        unpack_level_head(&s, group, (int32_t *)(void *)scales, wide_zeros);
        return;
    }
    for (int v = 0; v < NR / LANES; v++) {
        vf_store(scales + v * LANES, scales_at(group, p->scale_bytes, v * LANES));
        if (c->zeros)
            vi_store(wide_zeros + v * LANES, zeros_at(&s, v, bits == 8 ? W8_OFFSET : 0));
    }
}

/* Scales and zeros of a chunk's groups, and its codes. */
INLINE void unpack(const int bits, const int levels, const struct ptqi_panel *p,
                   struct ptqi_chunk *c)
{
    const int64_t stride =
        ptqi_group_bytes(NR, bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    const int to_bytes = levels && UNPACK_LEVELS;
    const int shift = SHIFT_ZEROS && bits == 4 && p->has_zeros && !to_bytes;
    const int64_t header = NR * (p->scale_bytes + p->has_zeros);
    const uint8_t *group = ptqi_first_group(p, NR) + c->first_group * stride;
    int64_t left = c->blocks, done = c->first_group * p->group_blocks;
    c->group_blocks = p->group_blocks;
    c->zeros = p->has_zeros && !shift && !to_bytes ? c->zero_room : NULL;
    c->zero = to_bytes ? 128 - W8_OFFSET : shift ? SHIFTED_ZERO : p->zero;
    c->row_scales = p->data;
    uint8_t *room = c->room;
    for (int64_t g = 0; g < c->groups; g++, group += stride) {
        const uint8_t *zeros = group + NR * p->scale_bytes;
        const int64_t in_group = ptqi_min(p->group_blocks, p->blocks - done);
        const int64_t blocks = ptqi_min(in_group, left);
        const uint8_t *codes = group + header + c->first_block * 4 * bits * STRIP;
        if (to_bytes) {
            room = unpack_level_group(p, group, codes, in_group, blocks, room);
        } else {
            unpack_head(bits, levels, p, group, c, g);
            for (int64_t b = 0; b < blocks; b++, room += 32 * NR)
                for (int n = 0; n < NR; n += STRIP) {
                    const uint8_t *from = codes + n / STRIP * in_group * (4 * bits * STRIP);
                    unpack_strip(bits, shift, from + b * 4 * bits * STRIP, zeros + n,
                                 room + KR * n);
                }
        }
        done += in_group;
        left -= p->group_blocks;
    }
}

#define UNPACK(name, bits, levels)                                                                 \
    TARGET static void name(const struct ptqi_panel *panel, struct ptqi_chunk *chunk)              \
    {                                                                                              \
        unpack(bits, levels, panel, chunk);                                                        \
    }

/* Where zeros can be shifted, panels that have them go a way of their own. */
#define STREAM4(name, levels)                                                                      \
    STREAM(name##_plain, 4, levels, 0)                                                             \
    STREAM(name##_shifted, 4, levels, SHIFT_ZEROS)                                                 \
    TARGET static void name(int rows, const struct ptqi_panel *panel, const int8_t *x,             \
                            int64_t ldx, const int32_t *sums, int64_t ldsums, float *out)          \
    {                                                                                              \
        if (SHIFT_ZEROS && panel->has_zeros)                                                       \
            name##_shifted(rows, panel, x, ldx, sums, ldsums, out);                                \
        else                                                                                       \
            name##_plain(rows, panel, x, ldx, sums, ldsums, out);                                  \
    }

STREAM4(w4a8_stream, 0)
UNPACK(w4a8_unpack, 4, 0)
TILE(w4a8_tile, 4, TILE_MR)
STREAM(w8a8_stream, 8, 0, 0)
UNPACK(w8a8_unpack, 8, 0)
TILE(w8a8_tile, 8, TILE_MR)
STREAM4(two_level_stream, 1)
UNPACK(two_level_unpack, 4, 1)
TILE(two_level_tile, LEVELS, LEVEL_MR)

#define INT_PRODUCT(name, ...) .name = {name##_stream, name##_unpack, name##_tile, {__VA_ARGS__}}
#define INT_SHAPE                                                                                  \
    .int_nr = NR, .int_strip = STRIP, .int_kr = KR, .x_rows = X_ROWS, .w8_offset = W8_OFFSET,      \
    .stream_mr = STREAM_MR
#define INT_KERNELS                                                                                \
    INT_SHAPE, .tile_mr = TILE_MR == LEVEL_MR ? TILE_MR : TILE_MR * LEVEL_MR, .x_ahead = X_AHEAD,  \
               INT_PRODUCT(w4a8, STREAM_ROWS4), INT_PRODUCT(w8a8, STREAM_ROWS8),                   \
               INT_PRODUCT(two_level, STREAM_ROWS_LEVELS)
