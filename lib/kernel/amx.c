/*
 * Products of many rows for CPUs with AMX-INT8, Intel servers since Sapphire Rapids (2023); all
 * else of their table is that of AVX512-VNNI (avx512_vnni.c), whose panels and chunks these tiles
 * read as they are.
 *
 * An instruction multiplies a tile of 16 rows of x by one of 16 columns, 64 numbers deep, in 16
 * cycles. Of the eight tile registers four hold a block of 32 rows by 32 columns of integer sums,
 * so that each tile of x and of W that is loaded is used twice. A group's sums go through memory to
 * the vector registers, and are scaled and added while the next block is multiplied.
 *
 * A test compiles this file once more with the tile instructions in C; then PTQI_AMX_EMULATED is
 * defined.
 */
#include "kernel.h"
#ifdef PTQI_X86
#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,"           \
                          "amx-tile,amx-int8")))
#include "x86_512.h"
#ifdef PTQI_AMX_EMULATED
#define AMX(function) ptqi_emulated_##function
ptqi_tile ptqi_emulated_tile, ptqi_emulated_level_tile;
void ptqi_emulated_release(void);
#else
#define AMX(function) ptqi_amx_##function
/* Not by the intrinsics: GCC's do not tell it that they read memory, and it would drop the stores
 * that prepare a configuration. Nothing else uses tile registers. */
#define TILE_CONFIGURE(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(config)))
#define TILE_RELEASE() __asm__ volatile("tilerelease")
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : :)
#define TILE_LOAD(t, from, stride)                                                                 \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t                                               \
                     :                                                                             \
                     : "r"(from), "r"((int64_t)(stride))                                           \
                     : "memory")
#define TILE_STORE(t, to, stride)                                                                  \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)"                                           \
                     :                                                                             \
                     : "r"(to), "r"((int64_t)(stride))                                             \
                     : "memory")
/* sums += a b, a of signed bytes, b of unsigned ones */
#define TILE_DOT(sums, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #sums : :)
#endif

#define NR 64
#define SIDE 16          /* rows or columns of a tile of sums */
#define BLOCK (2 * SIDE) /* ... and of a block of four */

/* Tiles 0 .. 3: sums, by rows; 4, 5: x, 6, 7: W. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t column_bytes[16];
    uint8_t rows[16];
};

/* For so many rows of x, up to BLOCK, and steps of one or two blocks of 32 columns; which takes as
 * long as a dozen products of tiles, so that a shape is kept while chunks want the same. */
TARGET static void configure(struct ptqi_chunk *chunk, int rows, int step)
{
    const int wanted = 4 * rows + step;
    if (chunk->tiles == wanted)
        return;
    chunk->tiles = wanted;
    const uint8_t first = (uint8_t)(rows < SIDE ? rows : SIDE), second = (uint8_t)(rows - first);
    const uint8_t codes = (uint8_t)(8 * step);
    const uint16_t columns = (uint16_t)(32 * step);
    const uint16_t wide = second ? 64 : 0, deep = second ? columns : 0; /* or there is no tile */
    const struct tile_config c = {
        .palette = 1,
        .column_bytes = {64, 64, wide, wide, columns, deep, 64, 64},
        .rows = {first, first, second, second, first, second, codes, codes},
    };
    TILE_CONFIGURE(&c);
}

/* A block's sums begin at zero, or go on from partial [..][NR]; both: it has more than SIDE rows.
 */
INLINE void begin_block(const int both, const int32_t *partial)
{
    if (!partial) {
        TILE_ZERO(0);
        TILE_ZERO(1);
        if (both) {
            TILE_ZERO(2);
            TILE_ZERO(3);
        }
        return;
    }
    TILE_LOAD(0, partial, 4 * NR);
    TILE_LOAD(1, partial + SIDE, 4 * NR);
    if (both) {
        TILE_LOAD(2, partial + SIDE * NR, 4 * NR);
        TILE_LOAD(3, partial + SIDE * NR + SIDE, 4 * NR);
    }
}

/* Blocks of 32 columns, step at a time; codes [blocks][8][NR][4], from the block's columns on. */
INLINE void multiply(const int both, int64_t blocks, int step, const uint8_t *codes,
                     const int8_t *x, int64_t ldx)
{
    for (int64_t b = 0; b < blocks; b += step) {
        TILE_LOAD(6, codes, 4 * NR);
        TILE_LOAD(4, x, ldx);
        TILE_DOT(0, 4, 6);
        TILE_LOAD(7, codes + 4 * SIDE, 4 * NR);
        TILE_DOT(1, 4, 7);
        if (both) {
            TILE_LOAD(5, x + SIDE * ldx, ldx);
            TILE_DOT(2, 5, 6);
            TILE_DOT(3, 5, 7);
        }
        codes += step * 32 * NR;
        x += step * PTQI_BLOCK;
    }
}

INLINE void store_block(const int both, int32_t *to, int64_t ld)
{
    TILE_STORE(0, to, 4 * ld);
    TILE_STORE(1, to + SIDE, 4 * ld);
    if (both) {
        TILE_STORE(2, to + SIDE * ld, 4 * ld);
        TILE_STORE(3, to + SIDE * ld + SIDE, 4 * ld);
    }
}

/* A block whose integers wait to be scaled and added to out. */
struct waiting {
    const int32_t *dots;  /* [rows][BLOCK] */
    int rows;             /* 0: there is none */
    const void *scales;   /* f32 [BLOCK] */
    const int32_t *zeros; /* [BLOCK], or NULL: zero */
    int32_t zero;
    const int32_t *sums; /* of x, ldsums apart */
    int64_t ldsums;
    float *out; /* [rows][NR] */
};

INLINE void add_block(const struct waiting *w)
{
    const VF scale0 = vf_load(w->scales), scale1 = vf_load((const float *)w->scales + LANES);
    for (int m = 0; m < w->rows; m++) {
        const int32_t sum = w->sums[m * w->ldsums];
        VI start0, start1;
        if (w->zeros) {
            start0 = vi_mul(vi_load(w->zeros), vi_set1(sum));
            start1 = vi_mul(vi_load(w->zeros + LANES), vi_set1(sum));
        } else {
            start0 = start1 = vi_set1((int32_t)((uint32_t)w->zero * (uint32_t)sum));
        }
        const int32_t *dots = w->dots + m * BLOCK;
        float *out = w->out + m * NR;
        const VI dot0 = vi_sub(vi_load(dots), start0);
        const VI dot1 = vi_sub(vi_load(dots + LANES), start1);
        vf_store(out, vf_fma(scale0, vf_from_vi(dot0), vf_load(out)));
        vf_store(out + LANES, vf_fma(scale1, vf_from_vi(dot1), vf_load(out + LANES)));
    }
}

/* What a call works on: rows of x from one on, up to BLOCK. */
struct rows {
    int count, step;
    const int8_t *x;
    int64_t ldx;
    const int32_t *sums;
    int64_t ldsums;
    float *out;
    int32_t *partial;
};

/* Group by group, each block's sums added while the next one is multiplied. */
INLINE void multiply_groups(const int both, const struct ptqi_chunk *c, const struct rows *r)
{
    _Alignas(64) int32_t dots[2][BLOCK * BLOCK];
    struct waiting waiting = {.rows = 0};
    for (int column = 0, turn = 0; column < NR; column += BLOCK) {
        int64_t left = c->blocks;
        for (int64_t g = 0; g < c->groups; g++, left -= c->group_blocks, turn ^= 1) {
            const int64_t done = c->blocks - left;
            begin_block(both, c->resume ? r->partial + column : NULL);
            multiply(both, left < c->group_blocks ? left : c->group_blocks, r->step,
                     c->room + done * 32 * NR + 4 * column, r->x + done * PTQI_BLOCK, r->ldx);
            if (c->leave) {
                store_block(both, r->partial + column, NR);
                break;
            }
            store_block(both, dots[turn], BLOCK);
            if (waiting.rows)
                add_block(&waiting);
            waiting = (struct waiting){.dots = dots[turn],
                                       .rows = r->count,
                                       .scales = c->scale_room + g * NR + column,
                                       .zeros = c->zeros ? c->zeros + g * NR + column : NULL,
                                       .zero = c->zero,
                                       .sums = r->sums + g,
                                       .ldsums = r->ldsums,
                                       .out = r->out + column};
        }
    }
    if (waiting.rows)
        add_block(&waiting);
}

/* Two-level scales: one sum over all of K, whose bytes have the same zero everywhere. */
INLINE void multiply_levels(const int both, const struct ptqi_chunk *c, const struct rows *r)
{
    _Alignas(64) int32_t dots[BLOCK * BLOCK];
    for (int column = 0; column < NR; column += BLOCK) {
        begin_block(both, c->resume ? r->partial + column : NULL);
        multiply(both, c->blocks, r->step, c->room + 4 * column, r->x, r->ldx);
        if (c->leave) {
            store_block(both, r->partial + column, NR);
            continue;
        }
        store_block(both, dots, BLOCK);
        add_block(&(struct waiting){.dots = dots,
                                    .rows = r->count,
                                    .scales = c->row_scales + 4 * column,
                                    .zero = c->zero,
                                    .sums = r->sums + c->row_sum,
                                    .ldsums = r->ldsums,
                                    .out = r->out + column});
    }
}

/* The last rows may need another shape. */
INLINE void multiply_rows(const int levels, int64_t rows, struct ptqi_chunk *c, struct rows r)
{
    for (; rows > 0; rows -= BLOCK) {
        r.count = rows < BLOCK ? (int)rows : BLOCK;
        configure(c, r.count, r.step);
        if (r.count > SIDE)
            levels ? multiply_levels(1, c, &r) : multiply_groups(1, c, &r);
        else
            levels ? multiply_levels(0, c, &r) : multiply_groups(0, c, &r);
        r.x += BLOCK * r.ldx;
        r.sums += BLOCK * r.ldsums;
        r.out += BLOCK * NR;
        r.partial += BLOCK * NR;
    }
}

TARGET void AMX(release)(void)
{
    TILE_RELEASE();
}

TARGET void AMX(tile)(int64_t rows, struct ptqi_chunk *chunk, const int8_t *x, int64_t ldx,
                      const int32_t *sums, int64_t ldsums, float *out, int32_t *partial)
{
    /* Groups of an odd number of blocks of 32 columns cannot be taken 64 columns at a time. */
    const int odd = chunk->blocks % 2 || (chunk->groups > 1 && chunk->group_blocks % 2);
    multiply_rows(0, rows, chunk,
                  (struct rows){0, odd ? 1 : 2, x, ldx, sums, ldsums, out, partial});
}

TARGET void AMX(level_tile)(int64_t rows, struct ptqi_chunk *chunk, const int8_t *x, int64_t ldx,
                            const int32_t *sums, int64_t ldsums, float *out, int32_t *partial)
{
    multiply_rows(1, rows, chunk,
                  (struct rows){0, chunk->blocks % 2 ? 1 : 2, x, ldx, sums, ldsums, out, partial});
}
#else
typedef int ptqi_nothing_here;
#endif
