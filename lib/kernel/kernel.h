/*
 * The table of kernels. Every context has one, chosen once for its CPU (select.c). The portable C
 * kernels are the specification; all other kernels give the same bits.
 *
 * A tile is what a micro-kernel computes in registers: up to mr rows of x by some columns of y. A
 * panel is nr rows of W, packed so that the kernel reads it from front to back.
 */
#ifndef PTQI_KERNEL_H
#define PTQI_KERNEL_H

#include "base/context.h"

#define PTQI_MAX_MR 16
#define PTQI_MAX_NR 64
#define PTQI_BLOCK 32 /* columns of W that integer kernels take at a time; divides every group */

/*
 * A panel of integer weights, one stream of bytes. Along K it is divided into groups, and these
 * into blocks of 32 columns. The last block is padded with zero codes, whose inputs are zero too.
 * For each group:
 *
 * scales [nr], f32 or f16; f16 if it represents every scale of the matrix exactly. Two-level scales
 * have levels [nr] instead, one byte each, and the panel then begins with its row scales, f32 [nr];
 * zeros [nr], one byte each, only if has_zeros;
 * codes, strip by strip: a strip is the next int_strip of the nr rows of W, so a kernel with
 * registers for one strip still reads from front to back. 4 bits, with kr for int_kr: for each
 * block, for j in 0..16/kr-1, for n in 0..strip-1, for i in 0..kr-1 one byte: the code of column
 * kr j + i in the low nibble and the code of column 16 + kr j + i in the high one. So kr adjacent
 * bytes are columns of one row, as the CPU's instructions need them, and one load gives two
 * operands by a mask and a shift. kr is 4 for dot products of four bytes, 8 for products of 2 x 8
 * byte matrices, 16 for products of vectors of one row. 8 bits: for each block, for j in
 * 0..32/kr-1, n, i: the code of column kr j + i, minus the table's w8_offset.
 */
struct ptqi_panel {
    const uint8_t *data;
    int scale_bytes; /* 2 or 4; 1: levels */
    int has_zeros;
    int32_t zero;         /* of all groups, unless has_zeros; 8 bits: minus w8_offset */
    int64_t blocks;       /* in a whole row */
    int64_t group_blocks; /* in a group; the last group may have fewer */
};

/* Bytes of a group with this many blocks. */
PTQI_INLINE int64_t ptqi_group_bytes(int nr, int bits, int scale_bytes, int has_zeros,
                                     int64_t blocks)
{
    return nr * (scale_bytes + has_zeros + 4 * bits * blocks);
}

/* The first group of a panel; with levels, it follows the row scales. */
PTQI_INLINE const uint8_t *ptqi_first_group(const struct ptqi_panel *panel, int nr)
{
    return panel->data + (panel->scale_bytes == 1 ? 4 * nr : 0);
}

/*
 * A part of a panel along K, unpacked once and used by many rows of x: whole groups, or a part of
 * one group. The unpacking function fills it in.
 */
struct ptqi_chunk {
    /* Set by the caller: the buffers and the range to unpack. */
    uint8_t *room;       /* [blocks][32 / kr][nr][kr] */
    float *scale_room;   /* [groups][nr]; for levels, 32 bits in the form that the kernel uses */
    int32_t *zero_room;  /* [groups][nr]; likewise */
    int64_t first_group; /* the first of its groups in the panel */
    int64_t groups;      /* the number of its groups */
    int64_t first_block; /* within the first group; 0 unless the chunk is a part of a group */
    int64_t blocks;      /* in all groups */
    int64_t row_sum;     /* two-level scales: offset from a row's group sums to its total over K */
    int64_t starts;      /* offset to the starts of its blocks, if kernels use them; then all parts
                            of a group but the last have an even number of blocks */
    int resume, leave;   /* the chunk begins within an integer sum; it ends within one */
    int tiles;           /* amx.c: shape of the tile registers; 0 before the first chunk */

    /* Set by the unpacking function. */
    int64_t group_blocks;
    const int32_t *zeros; /* NULL: zero applies to all */
    int32_t zero;
    const uint8_t *row_scales; /* f32 [nr], only with levels */
};

/* Quantized rows of x, -127 .. 127. */
struct ptqi_rows {
    const int8_t *x;     /* rows ldx bytes apart */
    const int32_t *sums; /* per group of columns; rows ldsums apart */
    int64_t ldx, ldsums;
    int64_t scales; /* offset from a row's group sums to the f32 scales of its groups; 0: none, and
                       always with two-level scales */
};

/* The scale of a row of x for the first of its groups. */
PTQI_INLINE const float *ptqi_group_scale(const struct ptqi_rows *x, int64_t row)
{
    return (const float *)(const void *)(x->sums + row * x->ldsums + x->scales);
}

/*
 * Multiplies one chunk of a panel by any number of rows, ideally a multiple of tile_mr. x begins at
 * the chunk. The values for two-level scales follow its group sums, at the offsets in the chunk.
 * out [rows][nr] starts at the first group, or with two-level scales at the end of the row; later
 * chunks add to it. partial [rows][nr] keeps an integer sum that continues in the next chunk.
 */
typedef void ptqi_tile(int64_t rows, struct ptqi_chunk *chunk, const struct ptqi_rows *x,
                       float *out, int32_t *partial);

/*
 * Integer products of x int8 [rows][blocks * 32] with its group sums [rows][groups]: out[m][n] =
 * sum over g ascending of scale[g][n] * (dot_g - zero[g][n] * sums[m][g]). The integer wraps at 32
 * bits and is converted to f32 once; each group is one fused multiply-add, starting from +0. With
 * two-level scales the integer is the sum over g of level[g][n] * (dot_g - zero[g][n] *
 * sums[m][g]), and out is row_scale[n] times that, again by one fused multiply-add from +0. If x
 * has scales for its groups, the f32 number is first multiplied by that of the row and the group.
 */
struct ptqi_product {
    /* Multiplies a whole panel by 1 <= rows <= stream_mr, directly from the packed codes; out is
     * [rows][nr]. Used for few rows: up to stream_rows[0] if groups have one block, [1] if two or
     * three, [2] if more; each at least stream_mr. */
    void (*stream)(int rows, const struct ptqi_panel *panel, const struct ptqi_rows *x, float *out);
    void (*unpack)(const struct ptqi_panel *panel, struct ptqi_chunk *chunk);
    ptqi_tile *tile; /* NULL: there are only streams */
    int stream_rows[3];
    int pass_rows[3]; /* more rows are divided into streams of at most so many; likewise */
};

/*
 * A panel of f32_nr rows of W for products with f32 inputs, columns in their original order. words
 * [k * bits / 32][nr]: the codes of a row, the first column in the lowest bits.
 */
struct ptqi_words {
    const uint32_t *words;
    int bits; /* 4 or 8 */
    int64_t k;
    const int32_t *group_of; /* [k] */
    int64_t groups;
    const float *scales;  /* [groups][nr] */
    const int32_t *zeros; /* [groups][nr], or NULL: zero */
    int32_t zero;
};

#define PTQI_GENERAL_NR 16

/*
 * A panel of PTQI_GENERAL_NR rows of W for integer products with arbitrary groups: the simple path
 * for everything that the other forms cannot express. Codes minus their zero points, or levels, are
 * i16 [k][nr]; scales and minima are f32 [groups][nr].
 */
struct ptqi_general {
    const int16_t *codes;
    const float *scales, *minima; /* minima may be NULL */
    const int32_t *group_end;     /* [groups], columns in quantization order */
    int64_t groups;
    int minima_last; /* minima are added after the scales of all groups, else after each */
};

struct ptqi_kernels {
    int32_t isa;

    /*
     * f32: c[m][n] = (accumulate ? c[m][n] : 0) + sum over k of a[m][k] b[k][n], one chain of fused
     * multiply-adds per element, k ascending. a: element (m, k) is a[m * a_row + k * a_k]; b:
     * nr columns, rows b_k apart; c: nr columns, rows ldc apart; 1 <= rows <= f32_mr.
     */
    int f32_mr, f32_nr;
    void (*f32_tile)(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *b, int64_t b_k, float *c, int64_t ldc, int accumulate);
    /* out [k][nr] = the transpose of in, nr rows of k numbers, ld apart: packs W for f32_tile. */
    void (*f32_transpose)(const float *in, int64_t ld, int64_t k, float *out);

    /*
     * Weight-only. _dequantize: out [count][f32_nr] = scale (code - zero), rounded once, for count
     * columns from first on; first is a multiple of 8. _stream: out [m][f32_nr] = the product of
     * all k columns with 1 <= rows <= word_mr rows of x, one chain of fused multiply-adds per
     * element; used for few rows. _pair: out [2][f32_nr] = the product of one row with a panel and
     * the next one, whose words and scales follow those of the first: the sums of one panel would
     * wait for each other. word_mr 0: there is neither _stream nor _pair.
     */
    int word_mr;
    void (*word_dequantize)(const struct ptqi_words *w, int64_t first, int64_t count, float *out);
    void (*word_stream)(int rows, const struct ptqi_words *w, const float *x, int64_t ldx,
                        float *out);
    void (*word_pair)(const struct ptqi_words *w, const float *x, float *out);

    /* Rows of x, i16 [k], with their group sums: out[m][nr] = sum over g ascending of scale * dot,
     * then of minimum * sum, each by one fused multiply-add, starting from +0; dot is an integer
     * that wraps at 32 bits. x_scales [groups], rows ldsums apart, or NULL: dot and sum, as f32,
     * are first multiplied by it. */
    void (*general)(int rows, const struct ptqi_general *w, const int16_t *x, int64_t ldx,
                    const int32_t *sums, int64_t ldsums, const float *x_scales, float *out);

    /* Integer products: 4-bit codes, 8-bit codes, 4-bit codes with two-level scales. */
    struct ptqi_product w4a8, w8a8, two_level;
    int int_nr, int_strip, int_kr;
    /* 2: rows of x are stored in pairs, [rows / 2][columns / 8][2][8], and ldx is half the distance
     * between two pairs. The second row of the last pair may be missing; its bytes are then read
     * but not used. 1: row after row. */
    int x_rows;
    int w8_offset; /* 128 if the dot product needs signed weights, else 0 */
    int stream_mr, tile_mr;
    int x_ahead; /* prefetch distance for x, in bytes; 0 disables it */
    /* Frees the tile registers of this thread's CPU after the last tile; NULL: none are used. */
    void (*release)(void);

    /*
     * magnitude: the largest |x| as bits, which are ordered like magnitudes; 0x7f800000 or more if
     * x is not finite. quantize: q = round(x / scale), ties to even, within -127 .. 127, and the
     * sum of each group of q; scale > 0.
     */
    uint32_t (*magnitude)(const float *x, int64_t n);
    void (*quantize)(const float *x, float scale, int64_t n, int64_t group, int8_t *q,
                     int32_t *sums);
    /* The same with a scale for each group, max |x| / 127; 0 if all x are 0, and then q is 0. x is
     * finite. */
    void (*quantize_groups)(const float *x, int64_t n, int64_t group, int8_t *q, int32_t *sums,
                            float *scales);
    /* q = round(x / scale), ties to even, within -32385 .. 32385, as 254 hi + lo with both in -127
     * .. 127: hi = sign(q) floor((|q| + 126) / 254). scale > 0. */
    void (*quantize16)(const float *x, float scale, int64_t n, int8_t *hi, int8_t *lo);
    /* out = 254 hi + lo, fused. */
    void (*join)(const float *hi, const float *lo, float *out, int64_t n);
    /* Initial values of 16-bit sums, for tiles that use them (avx2_levels.h). start [blocks]: for
     * every two blocks of a group, a pair of 16-bit numbers in the first block's element. NULL: not
     * used. */
    void (*starts)(const int8_t *q, int64_t blocks, int64_t group_blocks, int32_t *start);

    /* Elementwise and row operations; vector_template.h describes them. */
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

/* The context's kernels for integer products. Requests the system's permission if they need one; if
 * it is refused, returns the next best kernels, whose packed layout is the same. */
const struct ptqi_kernels *ptqi_product_kernels(const ptq_context *context);

#define PTQI_MOST16 32385.0f /* 254 * 127 + 127: the largest integer of two limbs */

/* The number of candidates of shrink_errors and metric_errors is a multiple of this. */
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
