/*
 * The table of kernels. Every context has one, chosen once for its CPU (select.c); the portable C
 * kernels are the specification, and every other kernel gives the same bits.
 *
 * A tile is what a micro-kernel computes in registers: up to mr rows of x by some columns of y. A
 * panel is nr rows of W, packed so that the kernel reads it from front to back.
 */
#ifndef PTQI_KERNEL_H
#define PTQI_KERNEL_H

#include "base/context.h"

#define PTQI_MAX_MR 16
#define PTQI_MAX_NR 64
#define PTQI_BLOCK 32 /* columns of W that integer kernels take at a time; groups are multiples */

/*
 * A panel of integer weights, one stream of bytes. Along K it is cut into groups, and those into
 * blocks of 32 columns, the last one filled up with zero codes, whose inputs are zero too. For each
 * group:
 *
 * scales [nr], f32 or f16; f16 where every scale of the matrix is one exactly; or, of two-level
 * scales, levels [nr], one byte each, and then the panel begins with the scales of its rows,
 * f32 [nr];
 * zeros [nr], one byte each, only where has_zeros;
 * codes, strip by strip: a strip is the next int_strip of the nr rows of W, so that a kernel with
 * registers for one strip still reads from front to back. 4 bits, with kr for int_kr: for each
 * block, for j in 0..16/kr-1, for n in 0..strip-1, for i in 0..kr-1 one byte: the code of column
 * kr j + i in the low nibble and that of column 16 + kr j + i in the high one. So kr neighbouring
 * bytes are columns of one row, as the instructions of the CPU want them, and one load gives two
 * operands by a mask and a shift. kr is 4 for dot products of four bytes, 8 for products of
 * matrices of 2 x 8 bytes, 16 where vectors of one row are multiplied. 8 bits: for each block, for
 * j in 0..32/kr-1, n, i: the code of column kr j + i, minus the table's w8_offset.
 */
struct ptqi_panel {
    const uint8_t *data;
    int scale_bytes; /* 2 or 4; 1: levels */
    int has_zeros;
    int32_t zero;         /* of every group where there are no zeros; 8 bits: minus w8_offset */
    int64_t blocks;       /* of the whole row */
    int64_t group_blocks; /* of a group; the last group takes what is left */
};

/* Bytes of a group of so many blocks. */
PTQI_INLINE int64_t ptqi_group_bytes(int nr, int bits, int scale_bytes, int has_zeros,
                                     int64_t blocks)
{
    return nr * (scale_bytes + has_zeros + 4 * bits * blocks);
}

/* Where the groups of a panel begin: behind the scales of rows where there are levels. */
PTQI_INLINE const uint8_t *ptqi_first_group(const struct ptqi_panel *panel, int nr)
{
    return panel->data + (panel->scale_bytes == 1 ? 4 * nr : 0);
}

/*
 * A piece of a panel along K, unpacked once and used by many rows of x: whole groups, or a part of
 * one group. The unpacking function fills it in.
 */
struct ptqi_chunk {
    /* Set by the caller: where to unpack to. */
    uint8_t *room;       /* [blocks][32 / kr][nr][kr] */
    float *scale_room;   /* [groups][nr]; of levels 32 bits as the kernels like them */
    int32_t *zero_room;  /* [groups][nr]; the same */
    int64_t first_group; /* the groups of the panel that it holds */
    int64_t groups;      /* ... and how many */
    int64_t first_block; /* within the first group; 0 unless the chunk is a part of a group */
    int64_t blocks;      /* of all groups */
    int64_t row_sum;     /* two-level scales: offset from a row's group sums to its total over K */
    int64_t starts;      /* offset to the starts of its blocks, where kernels have them; a part of a
                            group but the last has an even number of blocks then */
    int resume, leave;   /* the chunk goes on with an integer sum; it ends within one */
    int tiles;           /* amx.c: the shape that tile registers have; 0 before the first chunk */

    /* Filled in. */
    int64_t group_blocks;
    const int32_t *zeros; /* NULL: zero for all */
    int32_t zero;
    const uint8_t *row_scales; /* f32 [nr], where there are levels */
};

/* Rows of x as integer products read them, in -127 .. 127. */
struct ptqi_rows {
    const int8_t *x;     /* rows ldx bytes apart */
    const int32_t *sums; /* of each group of columns; rows ldsums apart */
    int64_t ldx, ldsums;
};

/*
 * One chunk of a panel for any number of rows, best a multiple of tile_mr. x begins at the chunk.
 * Behind its group sums stands what two-level scales need, at the offsets that the chunk gives. out
 * [rows][nr] begins with the first group, or with two-level scales at the end of the row, and goes
 * on from what it holds. partial [rows][nr] keeps the integer of a sum that goes on in the next
 * chunk.
 */
typedef void ptqi_tile(int64_t rows, struct ptqi_chunk *chunk, const struct ptqi_rows *x,
                       float *out, int32_t *partial);

/*
 * Integer products of x int8 [rows][blocks * 32] with its group sums [rows][groups]:
 * out[m][n] = sum over g ascending of scale[g][n] * (dot_g - zero[g][n] * sums[m][g]), the integer
 * in wrapping 32 bits, one conversion to f32, one fused multiply-add, from +0. With two-level
 * scales the integer is the sum over g of level[g][n] * (dot_g - zero[g][n] * sums[m][g]), and out
 * is row_scale[n] times that, by one fused multiply-add from +0 again.
 */
struct ptqi_product {
    /* A whole panel for 1 <= rows <= stream_mr, straight from the packed codes; out is [rows][nr].
     * The way for few rows: up to stream_rows[i] where groups have one block, two or three, more;
     * stream_mr at least. */
    void (*stream)(int rows, const struct ptqi_panel *panel, const struct ptqi_rows *x, float *out);
    void (*unpack)(const struct ptqi_panel *panel, struct ptqi_chunk *chunk);
    ptqi_tile *tile; /* NULL where there are only streams */
    int stream_rows[3];
};

/*
 * A panel of f32_nr rows of W for products with f32 inputs, columns in their original order.
 * words [k * bits / 32][nr]: the codes of a row, the first column's in the lowest bits.
 */
struct ptqi_words {
    const uint32_t *words;
    int bits; /* 4 or 8 */
    int64_t k;
    const int32_t *group_of; /* [k] */
    const float *scales;     /* [groups][nr] */
    const int32_t *zeros;    /* [groups][nr], or NULL: zero */
    int32_t zero;
};

#define PTQI_GENERAL_NR 16

/*
 * A panel of PTQI_GENERAL_NR rows of W for integer products of any groups, the plain path for what
 * the other forms cannot express: codes less their zero points, or levels, as i16 [k][nr]; scales
 * and minima f32 [groups][nr].
 */
struct ptqi_general {
    const int16_t *codes;
    const float *scales, *minima; /* minima may be NULL */
    const int32_t *group_end;     /* [groups], columns in quantization order */
    int64_t groups;
};

struct ptqi_kernels {
    int32_t isa;

    /*
     * f32: c[m][n] = (accumulate ? c[m][n] : 0) + sum over k of a[m][k] b[k][n], one chain of fused
     * multiply-adds per element, k ascending. a: element (m, k) at a[m * a_row + k * a_k]; b packed
     * [k][nr]; c: nr columns, ldc apart; 1 <= rows <= f32_mr.
     */
    int f32_mr, f32_nr;
    void (*f32_tile)(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *b, float *c, int64_t ldc, int accumulate);
    /* out [k][nr] = the transpose of in, nr rows of k numbers, ld apart: packs W for f32_tile. */
    void (*f32_transpose)(const float *in, int64_t ld, int64_t k, float *out);

    /*
     * Weight-only. _dequantize: out [count][f32_nr] = scale (code - zero), rounded once, of the
     * columns from first on, a multiple of 8. _stream: out [m][f32_nr] = the product of all k
     * columns with 1 <= rows <= word_mr rows of x, in one chain of fused multiply-adds each; the
     * way for few rows. word_mr 0: there is none.
     */
    int word_mr;
    void (*word_dequantize)(const struct ptqi_words *w, int64_t first, int64_t count, float *out);
    void (*word_stream)(int rows, const struct ptqi_words *w, const float *x, int64_t ldx,
                        float *out);

    /* One row of x, i16 [k], with its group sums: out[nr] = sum over g ascending of scale * dot,
     * then of minimum * sum, each one fused multiply-add from +0; dot is an integer in wrapping 32
     * bits.
     */
    void (*general)(const struct ptqi_general *w, const int16_t *x, const int32_t *sums,
                    float *out);

    /* Integer products: 4-bit codes, 8-bit codes, 4-bit codes with two-level scales. */
    struct ptqi_product w4a8, w8a8, two_level;
    int int_nr, int_strip, int_kr;
    /* 2: rows of x stand in pairs, [rows / 2][columns / 8][2][8], and ldx is half the distance of
     * two pairs; the second row of a pair may be missing, and then its bytes are read but not used.
     * 1: row after row. */
    int x_rows;
    int w8_offset; /* 128 where the dot product wants signed weights, else 0 */
    int stream_mr, tile_mr;
    int x_ahead; /* prefetch distance for x, in bytes; 0 disables it */
    /* Frees the tile registers of this thread's CPU, after the last tile; NULL: none were used. */
    void (*release)(void);

    /*
     * The largest |x|, by its bits, whose order is that of magnitudes: from 0x7f800000 on x is not
     * finite. q = round(x / scale), ties to even, within -127 .. 127, and the sum of each group of
     * q; scale > 0.
     */
    uint32_t (*magnitude)(const float *x, int64_t n);
    void (*quantize)(const float *x, float scale, int64_t n, int64_t group, int8_t *q,
                     int32_t *sums);
    /* What sums of 16 bits begin with where tiles have such (avx2_levels.h), start [blocks]: for
     * two blocks of a group a pair of such numbers, where the first one's would stand. NULL: there
     * are none. */
    void (*starts)(const int8_t *q, int64_t blocks, int64_t group_blocks, int32_t *start);

    /* Elementwise and row operations: vector_template.h says what each does. */
    void (*finish)(const float *sum, float scale, const float *bias, float *out, int64_t n,
                   int add);
    void (*swiglu)(const float *gate, float *up, int64_t n);
    void (*geglu)(const float *gate, float *up, int64_t n);
    void (*widen)(float *out, const void *in, int32_t dtype, int64_t n);
    void (*narrow)(void *out, int32_t dtype, const float *in, int64_t n);
    void (*divide)(const float *x, const float *divisor, float *out, int64_t n);
    void (*rotate)(float *x, int64_t blocks, int32_t block);
    void (*subtract_scaled)(float *w, const float *u, float factor, int64_t n);
    void (*shrink_errors)(const float *w, int64_t n, const float *scales, const float *zeros,
                          float top, int candidates, float *errors);
    void (*metric_errors)(const float *w, const float *metric, int64_t n, const float *scales,
                          const float *zeros, float top, int candidates, float *errors);
};

/* Those of the context for integer products, with the system's permission where they need one;
 * where it refuses, the next best, which packs in the same way. */
const struct ptqi_kernels *ptqi_product_kernels(const ptq_context *context);

/* Candidates of shrink_errors and metric_errors come in multiples of this. */
#define PTQI_SHRINK_UNIT 16

extern const struct ptqi_kernels ptqi_kernels_portable;
#ifdef PTQI_X86
extern const struct ptqi_kernels ptqi_kernels_avx2;
extern const struct ptqi_kernels ptqi_kernels_avx_vnni;
extern const struct ptqi_kernels ptqi_kernels_avx512_vnni;
extern const struct ptqi_kernels ptqi_kernels_amx_int8;
ptqi_tile ptqi_amx_tile, ptqi_amx_level_tile; /* amx.c */
void ptqi_amx_release(void);
#elif defined(PTQI_ARM)
extern const struct ptqi_kernels ptqi_kernels_neon;
extern const struct ptqi_kernels ptqi_kernels_neon_dotprod;
extern const struct ptqi_kernels ptqi_kernels_neon_i8mm;
#endif

#endif
