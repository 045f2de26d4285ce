/*
 * Integer products, written once for all vector instruction sets. The including file defines
 *
 *   NR, LANES        columns of a panel, and of a vector: 32-bit integers (VI) and floats (VF)
 *   INLINE, TARGET   how primitives and functions are declared
 *   STREAM_MR        maximum rows of a stream: 4, 6 or 8
 *   STREAM_NV(rows)  vectors of its strips
 *   STREAM_ROWS4, STREAM_ROWS8, STREAM_ROWS_LEVELS
 *                    stream_rows of the three products, if they were measured
 *   STREAM_PASS      pass_rows, if they differ from STREAM_MR
 *   TILE_MR, TILE_NV rows and vectors of a tile
 *   LEVEL_MR         rows of a tile with two-level scales, if different
 *   X_AHEAD          x_ahead, if it was measured
 *   HOLD_SUMS        1: a tile keeps its f32 sums in registers, besides the integer sums
 *   STREAM_HELD        a stream does likewise for up to this many rows
 *   MANY_SUMS        an attribute of the functions with sums, PTQI_MANY_SUMS where it was measured
 *   W8_OFFSET, SHIFT_ZEROS
 *   UNPACK_LEVELS    how tiles run with two-level scales: int_levels.h
 *   OWN_LEVELS       a file that does this in another way, for its INT_BLOCKS only
 *   vi_load vi_store vi_set1 vi_zero vi_add vi_sub vi_mul vi_held, vf_load vf_store vf_zero vf_fma
 *   vf_from_vi vf_held, vf_from_half (16-bit scales), vi_from_bytes (zeros)
 *   INT_BLOCKS       the file with the functions on blocks of 32 columns:
 *   dot_packed(rows, nv, ..)  a block of 4-bit codes times x, straight from the panel
 *   dot_bytes4, dot_bytes8    a block of codes of one byte each
 *   unpack_block              unpacks a strip's block of 4-bit codes to bytes
 *   unpack_levels             the same, multiplied by the levels, with UNPACK_LEVELS
 *   TWO_SUMS                  1: streams may add the high nibbles to separate sums
 *   or, with OWN_DOT_BLOCKS, dot_blocks instead of the first three
 *
 * and, if they differ from x86, KR, the adjacent columns of a row in a panel, STRIP, and INT_SUMS,
 * the file that defines which sums a vector holds.
 *
 * A strip is nv vectors of a panel; the registers hold its rows x nv sums. The zero points enter as
 * the initial value of an integer sum: -zero times the group sum of x. SHIFT_ZEROS adds 16 - zero
 * to the codes instead, which are then 0 .. 31 and have the zero point 16 everywhere. If the dot
 * product has enough bits for that, asymmetric groups cost no multiplication.
 */
#define MAX_NV 4
#define SHIFTED_ZERO 16
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
#ifndef STREAM_HELD
#define STREAM_HELD 0
#endif
#ifndef MANY_SUMS
#define MANY_SUMS
#endif
/* Only the first strip of a panel reads new rows of x, in bursts that the CPU may not predict. */
#ifndef X_AHEAD
#define X_AHEAD 0
#endif
#define ONE_STREAM STREAM_MR, STREAM_MR, STREAM_MR /* stream_rows: tiles for all larger numbers */
#ifndef STREAM_PASS
#define STREAM_PASS ONE_STREAM
#endif
#ifndef STREAM_ROWS4
#define STREAM_ROWS4 ONE_STREAM
#define STREAM_ROWS8 ONE_STREAM
#define STREAM_ROWS_LEVELS ONE_STREAM
#endif
/* The scales of a product: f32 for each group, or levels. */
enum { PLAIN, LEVELS };
#define ROWS_AT_ONCE 8
_Static_assert(STREAM_MR <= ROWS_AT_ONCE && TILE_MR <= ROWS_AT_ONCE && LEVEL_MR <= ROWS_AT_ONCE,
               "arrays of sums have room");

/* What a product reads of a strip of W. */
struct weights {
    const uint8_t *codes;
    int64_t next;      /* streams: bytes from a strip to the vectors after it */
    int64_t blocks;    /* at least one */
    const VI *shifts;  /* of each vector, if codes are shifted */
    const uint8_t *at; /* streams: where they would be if strips followed each other in memory */
};

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

/* The same rows, advanced by some columns and groups. */
INLINE struct ptqi_rows rows_from(const struct ptqi_rows *x, int64_t columns, int64_t groups)
{
    return (struct ptqi_rows){x->x + columns * X_ROWS, x->sums + groups, x->ldx, x->ldsums,
                              x->scales};
}

#ifndef OWN_DOT_BLOCKS
/* The CPU itself prefetches only the next few lines. These distances keep the memory busy: the L1
 * cache, with fewer lines under way, is filled from the L2 cache. */
#define BYTES_AHEAD 8192
#define BYTES_FAR_AHEAD 40960

/* Prefetches as much as a block of a strip has, from an address that only grows: memory is read
 * from front to back, although strips are not. */
INLINE void prefetch_block(const int nv, const int bits, struct weights *w)
{
    const int bytes = 4 * bits * nv * LANES;
    for (int line = 0; line < bytes; line += 64) {
        PTQI_PREFETCH(w->at + BYTES_AHEAD + line);
        PTQI_PREFETCH_LATER(w->at + BYTES_FAR_AHEAD + line);
    }
    w->at += bytes;
}

/* Adds the products of a group's blocks to dot. The codes are packed (stream) or unpacked (tile).
 * Streams add the products of high nibbles to high. */
INLINE void dot_blocks(const int rows, const int nv, const int bits, const int stream,
                       const int shift, struct weights w, const struct ptqi_rows *from,
                       VI (*dot)[MAX_NV], VI (*high)[MAX_NV])
{
    struct ptqi_rows x = *from;
    do {
        if (stream)
            prefetch_block(nv, bits, &w);
        if (bits == 8)
            dot_bytes8(rows, nv, stream ? STRIP : NR, &w, &x, dot);
        else if (stream)
            dot_packed(rows, nv, shift, &w, &x, dot, high);
        else
            dot_bytes4(rows, nv, NR, &w, &x, dot);
        w.codes += stream ? 4 * bits * STRIP : 32 * NR;
        x.x += PTQI_BLOCK;
    } while (--w.blocks > 0);
}
#endif

/* Sets the sums in out to +0. */
INLINE void clear_out(const int rows, const int nv, float *out)
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            vf_store(out + m * NR + v * LANES, vf_zero());
    }
}

/* Sums may begin as the same number; separate registers now avoid copies in the loop. */
INLINE void separate(const int rows, const int nv, VI (*dot)[MAX_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            dot[m][v] = vi_held(dot[m][v]);
    }
}

#include "int_levels.h"

#include "int_streams.h"

/* Multiplies a strip of a tile by each group of a chunk, for any rows and parts of groups. */
INLINE void tile_strip(const int rows, const int nv, const int bits, const struct ptqi_chunk *c,
                       const int column, const struct ptqi_rows *x, float *out, int32_t *partial)
{
    const uint8_t *codes = c->room + KR * column, *scales = (const uint8_t *)c->scale_room;
    struct ptqi_rows at = *x;
    int64_t left = c->blocks;
    for (int64_t g = 0; g < c->groups; g++) {
        const int64_t blocks = left < c->group_blocks ? left : c->group_blocks;
        const struct weights w = {codes + g * c->group_blocks * 32 * NR, 4 * STRIP, blocks, NULL,
                                  NULL};
        const struct strip s = {.wide_zeros = c->zeros ? c->zeros + g * NR + column : NULL,
                                .zero = c->zero};
        VI dot[TILE_MR][MAX_NV];
        if (c->resume)
            load_dots(rows, nv, partial + column, dot);
        else
            start_dots(rows, nv, &s, 0, &at, dot);
        dot_blocks(rows, nv, bits, 0, 0, w, &at, dot, NULL);
        left -= blocks;
        if (c->leave) {
            store_dots(rows, nv, dot, partial + column);
            return;
        }
        if (c->first_group + g == 0)
            clear_out(rows, nv, out + column);
        add_to_out(rows, nv, scales + g * 4 * NR, 4, column, &at, dot, out + column);
        at = rows_from(&at, blocks * PTQI_BLOCK, 1);
    }
}

/* The same for full tiles and whole groups, where most of the time is spent: nothing keeps the sums
 * out of registers. zeros, whether columns have separate zero points, is a constant. */
INLINE void tile_groups(const int bits, const int zeros, const struct ptqi_chunk *c,
                        const int column, const struct ptqi_rows *x, float *out)
{
    struct weights w = {.codes = c->room + KR * column, .next = 4 * STRIP};
    struct ptqi_rows at = *x;
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
        VI dot[TILE_MR][MAX_NV];
        w.blocks = left < c->group_blocks ? left : c->group_blocks;
        start_dots(TILE_MR, TILE_NV, &s, 0, &at, dot);
        separate(TILE_MR, TILE_NV, dot);
        dot_blocks(TILE_MR, TILE_NV, bits, 0, 0, w, &at, dot, NULL);
        if (HOLD_SUMS) {
            add_scaled(TILE_MR, TILE_NV, scales, 4, 0, &at, dot, sum);
        } else {
            PTQI_FORGET(out);
            add_to_out(TILE_MR, TILE_NV, scales, 4, 0, &at, dot, out);
        }
        at = rows_from(&at, w.blocks * PTQI_BLOCK, 1);
        w.codes += w.blocks * 32 * NR;
        scales += 4 * NR;
        if (zeros)
            s.wide_zeros += NR;
        left -= c->group_blocks;
    } while (left > 0);
    if (HOLD_SUMS)
        store_sums(TILE_MR, TILE_NV, sum, out);
}

/* One function each: compilers keep the sums of a small function in registers. */
typedef void tile_function(const struct ptqi_chunk *c, int column, const struct ptqi_rows *x,
                           float *out);
#define TILE_GROUPS(name, bits, zeros)                                                             \
    TARGET MANY_SUMS static PTQI_NOINLINE void name(const struct ptqi_chunk *c, const int column,  \
                                                    const struct ptqi_rows *x, float *out)         \
    {                                                                                              \
        tile_groups(bits, zeros, c, column, x, out);                                               \
    }

TILE_GROUPS(tile4, 4, 0)
TILE_GROUPS(tile8, 8, 0)
TILE_GROUPS(tile8_zeros, 8, 1)
#if !SHIFT_ZEROS
TILE_GROUPS(tile4_zeros, 4, 1)
#else
#define tile4_zeros tile4 /* there is one zero for all */
#endif

/* [8 bits][zeros] */
static tile_function *const tiles[2][2] = {{tile4, tile4_zeros}, {tile8, tile8_zeros}};

/* All columns of a panel, for a full tile. */
INLINE void tile_whole(const int bits, const struct ptqi_chunk *c, const struct ptqi_rows *x,
                       float *out)
{
    tile_function *const tile = tiles[bits == 8][c->zeros != NULL];
    for (int n = 0; n < NR; n += TILE_NV * LANES)
        tile(c, n, x, out);
}

/* The same for any number of rows. */
#define TILE_ROWS(rows, bits, form)                                                                \
    for (int n = 0; n < NR; n += TILE_NV * LANES) {                                                \
        if (form == LEVELS)                                                                        \
            level_strip(rows, TILE_NV, chunk, n, &at, out, partial);                               \
        else                                                                                       \
            tile_strip(rows, TILE_NV, bits, chunk, n, &at, out, partial);                          \
    }

#define TILE_CASE(rows, ...)                                                                       \
    case rows:                                                                                     \
        TILE_ROWS(rows, __VA_ARGS__)                                                               \
        break;

/* The cases of 1 .. mr - 1 rows. */
#define TILE_CASES(mr, ...) TILE_CASES_OF(mr, __VA_ARGS__)
#define TILE_CASES_OF(mr, ...) TILE_CASES_##mr(__VA_ARGS__)
#define TILE_CASES_3(...) TILE_CASE(1, __VA_ARGS__) TILE_CASE(2, __VA_ARGS__)
#define TILE_CASES_4(...) TILE_CASES_3(__VA_ARGS__) TILE_CASE(3, __VA_ARGS__)
#define TILE_CASES_6(...)                                                                          \
    TILE_CASES_4(__VA_ARGS__) TILE_CASE(4, __VA_ARGS__) TILE_CASE(5, __VA_ARGS__)
#define TILE_CASES_8(...)                                                                          \
    TILE_CASES_6(__VA_ARGS__) TILE_CASE(6, __VA_ARGS__) TILE_CASE(7, __VA_ARGS__)

#define TILE(name, bits, form, mr)                                                                 \
    TARGET MANY_SUMS static void name(int64_t rows, struct ptqi_chunk *chunk,                      \
                                      const struct ptqi_rows *x, float *out, int32_t *partial)     \
    {                                                                                              \
        struct ptqi_rows at = *x;                                                                  \
        for (; rows >= mr; rows -= mr) {                                                           \
            if (form == LEVELS || chunk->resume || chunk->leave)                                   \
                TILE_ROWS(mr, bits, form)                                                          \
            else                                                                                   \
                tile_whole(bits, chunk, &at, out);                                                 \
            at.x += mr * at.ldx;                                                                   \
            at.sums += mr * at.ldsums;                                                             \
            out += mr * NR;                                                                        \
            partial += mr * NR;                                                                    \
        }                                                                                          \
        switch (rows) {                                                                            \
            TILE_CASES(mr, bits, form)                                                             \
        }                                                                                          \
    }

#include "int_unpack.h"

#define UNPACK(name, bits, levels)                                                                 \
    TARGET static void name(const struct ptqi_panel *panel, struct ptqi_chunk *chunk)              \
    {                                                                                              \
        unpack(bits, levels, panel, chunk);                                                        \
    }

/* If zeros can be shifted, panels with zeros have a separate function. */
#define STREAM4(name, form)                                                                        \
    STREAM(name##_plain, 4, form, 0)                                                               \
    STREAM(name##_shifted, 4, form, SHIFT_ZEROS)                                                   \
    TARGET static void name(int rows, const struct ptqi_panel *panel, const struct ptqi_rows *x,   \
                            float *out)                                                            \
    {                                                                                              \
        if (SHIFT_ZEROS && panel->has_zeros)                                                       \
            name##_shifted(rows, panel, x, out);                                                   \
        else                                                                                       \
            name##_plain(rows, panel, x, out);                                                     \
    }

UNPACK(w4a8_unpack, 4, 0)
UNPACK(w8a8_unpack, 8, 0)
UNPACK(two_level_unpack, 4, 1)
STREAM4(w4a8_stream, PLAIN)
STREAM4(two_level_stream, LEVELS)
STREAM(w8a8_stream, 8, PLAIN, 0)
TILE(w4a8_tile, 4, PLAIN, TILE_MR)
TILE(w8a8_tile, 8, PLAIN, TILE_MR)
TILE(two_level_tile, 4, LEVELS, LEVEL_MR)

#define INT_PRODUCT(name, ...)                                                                     \
    .name = {name##_stream, name##_unpack, name##_tile, {__VA_ARGS__}, {STREAM_PASS}}
#define INT_SHAPE                                                                                  \
    .int_nr = NR, .int_strip = STRIP, .int_kr = KR, .x_rows = X_ROWS, .w8_offset = W8_OFFSET,      \
    .stream_mr = STREAM_MR
#define INT_KERNELS                                                                                \
    INT_SHAPE, .tile_mr = TILE_MR == LEVEL_MR ? TILE_MR : TILE_MR * LEVEL_MR, .x_ahead = X_AHEAD,  \
               INT_PRODUCT(w4a8, STREAM_ROWS4), INT_PRODUCT(w8a8, STREAM_ROWS8),                   \
               INT_PRODUCT(two_level, STREAM_ROWS_LEVELS)
