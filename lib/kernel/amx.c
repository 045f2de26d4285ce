/*
 * Products of many rows for CPUs with AMX-INT8: Intel servers since Sapphire Rapids (2023). The
 * rest of their table is the same as for AVX512-VNNI (avx512_vnni.c), and the tiles read its panels
 * and chunks unchanged.
 *
 * One instruction multiplies a tile of 16 rows of x by a tile of 16 columns, 64 numbers deep, in 16
 * cycles; loading a tile takes 8. Four of the eight tile registers hold the sums of 16 rows by all
 * 64 columns. So x is read once, from the L2 cache, which leaves the L1 cache to the chunk. (Sums
 * of 32 x 32 would need fewer loads but read x twice.) The sums of a group go through memory to the
 * vector registers, and are scaled and added while the next group is multiplied.
 *
 * A test compiles this file again, with the tile instructions written in C and PTQI_AMX_EMULATED
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
/* Not intrinsics: GCC's do not say that they read memory, so GCC would drop the stores that prepare
 * a configuration. Nothing else uses tile registers. */
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
/* sums += a b; the bytes of a are signed, those of b unsigned */
#define TILE_DOT(sums, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #sums : :)
#endif

#define NR 64
#define SIDE 16 /* rows or columns of a tile of sums */

/* Tiles 0 .. 3: sums of SIDE rows by SIDE columns each; 4, 5: x; 6, 7: W. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t column_bytes[16];
    uint8_t rows[16];
};

/* Configures the tiles for up to SIDE rows of x and steps of one or two blocks of 32 columns. This
 * takes as long as many tile products, so the shape is kept until a chunk needs another one. */
TARGET static void configure(struct ptqi_chunk *chunk, int rows, int step)
{
    const int wanted = 4 * rows + step;
    if (chunk->tiles == wanted)
        return;
    chunk->tiles = wanted;
    const uint8_t few = (uint8_t)rows, codes = (uint8_t)(8 * step);
    const uint16_t columns = (uint16_t)(32 * step);
    const struct tile_config c = {
        .palette = 1,
        .column_bytes = {64, 64, 64, 64, columns, columns, 64, 64},
        .rows = {few, few, few, few, few, few, codes, codes},
    };
    TILE_CONFIGURE(&c);
}

/* Sets the sums to zero, or to partial [..][NR]. */
INLINE void begin_sums(const int32_t *partial)
{
    if (!partial) {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
        return;
    }
    TILE_LOAD(0, partial, 4 * NR);
    TILE_LOAD(1, partial + SIDE, 4 * NR);
    TILE_LOAD(2, partial + 2 * SIDE, 4 * NR);
    TILE_LOAD(3, partial + 3 * SIDE, 4 * NR);
}

INLINE void store_sums(int32_t *to)
{
    TILE_STORE(0, to, 4 * NR);
    TILE_STORE(1, to + SIDE, 4 * NR);
    TILE_STORE(2, to + 2 * SIDE, 4 * NR);
    TILE_STORE(3, to + 3 * SIDE, 4 * NR);
}

/* One step with x in tile t. */
#define MULTIPLY(t)                                                                                \
    do {                                                                                           \
        TILE_LOAD(t, x, ldx);                                                                      \
        TILE_LOAD(6, codes, 4 * NR);                                                               \
        TILE_DOT(0, t, 6);                                                                         \
        TILE_LOAD(7, codes + 4 * SIDE, 4 * NR);                                                    \
        TILE_DOT(1, t, 7);                                                                         \
        TILE_LOAD(6, codes + 8 * SIDE, 4 * NR);                                                    \
        TILE_DOT(2, t, 6);                                                                         \
        TILE_LOAD(7, codes + 12 * SIDE, 4 * NR);                                                   \
        TILE_DOT(3, t, 7);                                                                         \
        codes += step * 32 * NR;                                                                   \
        x += step * PTQI_BLOCK;                                                                    \
    } while (0)

/* Multiplies blocks of 32 columns, step at a time; codes [blocks][8][NR][4]. */
INLINE void multiply(int64_t blocks, int step, const uint8_t *codes, const int8_t *x, int64_t ldx)
{
    for (; blocks > step; blocks -= 2 * step) {
        MULTIPLY(4);
        MULTIPLY(5);
    }
    if (blocks > 0)
        MULTIPLY(4);
}

/* Rows whose integers are yet to be scaled and added to out. */
struct waiting {
    const int32_t *dots;  /* [rows][NR] */
    int rows;             /* 0: none */
    const void *scales;   /* f32 [NR] */
    const int32_t *zeros; /* [NR], or NULL: zero */
    int32_t zero;
    struct ptqi_rows x; /* its sums and scales */
    float *out;         /* [rows][NR] */
    int begin;          /* these are the first values of out */
};

INLINE void add_rows(const struct waiting *w, const int with_zeros)
{
    VF scale[NR / LANES];
    PTQI_UNROLL
    for (int v = 0; v < NR / LANES; v++)
        scale[v] = vf_load((const float *)w->scales + v * LANES);
    for (int m = 0; m < w->rows; m++) {
        const int32_t sum = w->x.sums[m * w->x.ldsums];
        const float one = 1, *x_scale = w->x.scales ? ptqi_group_scale(&w->x, m) : &one;
        const VI same = vi_set1((int32_t)((uint32_t)w->zero * (uint32_t)sum));
        PTQI_UNROLL
        for (int v = 0; v < NR / LANES; v++) {
            const VI less = with_zeros ? vi_mul(vi_load(w->zeros + v * LANES), vi_set1(sum)) : same;
            const VI dot = vi_sub(vi_load(w->dots + m * NR + v * LANES), less);
            float *out = w->out + m * NR + v * LANES;
            const VF before = w->begin ? vf_zero() : vf_load(out);
            const VF number = vf_mul(vf_set1(x_scale), vf_from_vi(dot));
            vf_store(out, vf_fma(scale[v], number, before));
        }
    }
}

INLINE void add_waiting(const struct waiting *w)
{
    if (w->rows && w->zeros)
        add_rows(w, 1);
    else if (w->rows)
        add_rows(w, 0);
}

/* The operands of a call: up to SIDE consecutive rows of x. */
struct rows {
    int count, step;
    struct ptqi_rows x;
    float *out;
    int32_t *partial;
    int32_t *dots; /* [SIDE][NR] */
};

/* Group by group; the sums of one group are added while the next one is multiplied. Two-level
 * scales have one sum over all of K, and their bytes have the same zero everywhere. */
INLINE void multiply_groups(const int levels, const struct ptqi_chunk *c, const struct rows *r,
                            struct waiting *waiting)
{
    const int64_t groups = levels ? 1 : c->groups, most = levels ? c->blocks : c->group_blocks;
    int64_t left = c->blocks;
    for (int64_t g = 0; g < groups; g++, left -= most) {
        const int64_t done = c->blocks - left;
        begin_sums(c->resume ? r->partial : NULL);
        multiply(left < most ? left : most, r->step, c->room + done * 32 * NR,
                 r->x.x + done * PTQI_BLOCK, r->x.ldx);
        if (c->leave) {
            store_sums(r->partial);
            return;
        }
        add_waiting(waiting);
        store_sums(r->dots);
        *waiting = (struct waiting){
            .dots = r->dots,
            .rows = r->count,
            .scales = levels ? (const void *)c->row_scales : c->scale_room + g * NR,
            .zeros = c->zeros ? c->zeros + g * NR : NULL,
            .zero = c->zero,
            .x = {.sums = r->x.sums + (levels ? c->row_sum : g),
                  .ldsums = r->x.ldsums,
                  .scales = levels ? 0 : r->x.scales},
            .out = r->out,
            .begin = levels || c->first_group + g == 0,
        };
    }
}

/* The last rows may need another shape. */
INLINE void multiply_rows(const int levels, int step, int64_t rows, struct ptqi_chunk *c,
                          const struct ptqi_rows *x, float *out, int32_t *partial)
{
    _Alignas(64) int32_t dots[SIDE * NR];
    struct waiting waiting = {.rows = 0};
    for (int64_t m = 0; m < rows; m += SIDE) {
        struct rows r = {
            .count = rows - m < SIDE ? (int)(rows - m) : SIDE,
            .step = step,
            .x = {x->x + m * x->ldx, x->sums + m * x->ldsums, x->ldx, x->ldsums, x->scales},
            .out = out + m * NR,
            .partial = partial + m * NR,
            .dots = dots,
        };
        configure(c, r.count, step);
        multiply_groups(levels, c, &r, &waiting);
    }
    add_waiting(&waiting);
}

TARGET void AMX(release)(void)
{
    TILE_RELEASE();
}

TARGET void AMX(tile)(int64_t rows, struct ptqi_chunk *chunk, const struct ptqi_rows *x, float *out,
                      int32_t *partial)
{
    /* Groups with an odd number of blocks of 32 columns cannot be processed 64 columns at a
     * time. */
    const int odd = chunk->blocks % 2 || (chunk->groups > 1 && chunk->group_blocks % 2);
    multiply_rows(0, odd ? 1 : 2, rows, chunk, x, out, partial);
}

TARGET void AMX(level_tile)(int64_t rows, struct ptqi_chunk *chunk, const struct ptqi_rows *x,
                            float *out, int32_t *partial)
{
    const int odd = chunk->blocks % 2;
    multiply_rows(1, odd ? 1 : 2, rows, chunk, x, out, partial);
}
#else
typedef int ptqi_nothing_here;
#endif
