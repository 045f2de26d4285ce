/*
 * Integer products, written once for all vector instruction sets. The including file defines
 *
 *   NR, LANES        columns of a panel, and of a vector: 32-bit integers (VI) and floats (VF)
 *   INLINE, TARGET   how primitives and functions are declared
 *   STREAM_MR        most rows of a stream, and STREAM_NV(rows), the vectors of its strips
 *   TILE_MR, TILE_NV rows and vectors of a tile
 *   W8_OFFSET, SHIFT_ZEROS
 *   vi_load vi_store vi_set1 vi_sub vi_mul, vf_load vf_store vf_zero vf_fma vf_from_vi,
 *   vf_from_half (16-bit scales), vi_from_bytes (zeros)
 *   INT_BLOCKS       the file with the functions on blocks of 32 columns:
 *   dot_packed(rows, nv, ..)  a block of 4-bit codes times x, straight from the panel
 *   dot_bytes4, dot_bytes8    a block of codes with a byte each
 *   unpack_block              a block of 4-bit codes to bytes
 *
 * A strip is nv vectors of a panel: rows x nv sums are what registers hold. The zero points enter as
 * the first value of an integer sum: -zero times the group sum of x. With SHIFT_ZEROS the codes are
 * shifted by 15 - zero instead, in 0 .. 30, so that the zero point is 15 everywhere: where the dot
 * product has the bits for that, asymmetric groups cost no multiplication.
 */
#define MAX_NV 4
#define SHIFTED_ZERO 15
#include INT_BLOCKS

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

/* dot = -zero * sum of x, for each row; one number for all columns where there is one zero. */
INLINE void start_dots(const int rows, const int nv, const struct strip *s, int offset,
                       const int32_t *sums, int64_t ldsums, VI (*dot)[MAX_NV])
{
    if (!s->zeros && !s->wide_zeros) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            VI start = vi_set1((int32_t)(0u - (uint32_t)s->zero * (uint32_t)sums[m * ldsums]));
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                dot[m][v] = start;
        }
        return;
    }
    PTQI_UNROLL
    for (int v = 0; v < nv; v++) {
        VI zero = zeros_at(s, v, offset);
        PTQI_UNROLL
        for (int m = 0; m < rows; m++)
            dot[m][v] = vi_mul(zero, vi_set1((int32_t)(0u - (uint32_t)sums[m * ldsums])));
    }
}

INLINE VF scales_at(const uint8_t *scales, int scale_bytes, int column)
{
    return scale_bytes == 2 ? vf_from_half(scales + 2 * column)
                            : vf_load((const float *)(const void *)scales + column);
}

/*
 * A block's codes of a strip. Hardware follows a panel that is read from front to back better by
 * itself; a strip that leaves out the lines of its neighbours needs help.
 */
#define BYTES_AHEAD 8192
INLINE void prefetch_strip(const int nv, const int bits, const uint8_t *codes)
{
    PTQI_UNROLL
    for (int j = 0; j < bits; j++)
        PTQI_UNROLL
        for (int line = 0; line < nv * LANES * 4; line += 64)
            PTQI_PREFETCH(codes + j * 4 * NR + line);
}

/* One strip, beginning at a column of the panel, over all groups. */
INLINE void stream_strip(const int rows, const int nv, const int bits, const int shift,
                         const struct ptqi_panel *p, const int column, const int8_t *x,
                         int64_t ldx, const int32_t *sums, int64_t ldsums, float *out)
{
    VF sum[STREAM_MR][MAX_NV];
    const uint8_t *data = p->data;
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            sum[m][v] = vf_zero();
    for (int64_t block = 0; block < p->blocks; sums++) {
        const int64_t left = p->blocks - block;
        const int64_t blocks = left < p->group_blocks ? left : p->group_blocks;
        const uint8_t *scales = data, *zeros = data + NR * p->scale_bytes;
        const uint8_t *codes = zeros + (p->has_zeros ? NR : 0) + 4 * column;
        const int zeros_here = p->has_zeros && !shift;
        const struct strip s = {.zeros = zeros_here ? zeros + column : NULL,
                                .zero = shift ? SHIFTED_ZERO : p->zero};
        VI dot[STREAM_MR][MAX_NV], shifts[MAX_NV];
        if (shift)
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                shifts[v] = shift_of(vi_from_bytes(zeros + column + v * LANES));
        start_dots(rows, nv, &s, bits == 8 ? W8_OFFSET : 0, sums, ldsums, dot);
        for (int64_t b = 0; b < blocks; b++) {
            if (nv * LANES < NR)
                prefetch_strip(nv, bits, codes + BYTES_AHEAD);
            if (bits == 4)
                dot_packed(rows, nv, shift, codes, x, ldx, shifts, dot);
            else
                dot_bytes8(rows, nv, codes, x, ldx, dot);
            codes += 4 * bits * NR;
            x += PTQI_BLOCK;
        }
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            VF scale = scales_at(scales, p->scale_bytes, column + v * LANES);
            PTQI_UNROLL
            for (int m = 0; m < rows; m++)
                sum[m][v] = vf_fma(scale, vf_from_vi(dot[m][v]), sum[m][v]);
        }
        data += ptqi_group_bytes(NR, bits, p->scale_bytes, p->has_zeros, blocks);
        block += blocks;
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            vf_store(out + m * NR + column + v * LANES, sum[m][v]);
}

#define STREAM_CASE(rows, bits, shift)                                                             \
    case rows:                                                                                     \
        for (int c = 0; c < NR; c += STREAM_NV(rows) * LANES)                                      \
            stream_strip(rows, STREAM_NV(rows), bits, shift, panel, c, x, ldx, sums, ldsums, out); \
        break;

/* The number of rows must be a constant for the sums to stay in registers. */
#define STREAM(name, bits, shift)                                                                  \
    TARGET static void name(int rows, const struct ptqi_panel *panel, const int8_t *x,             \
                            int64_t ldx, const int32_t *sums, int64_t ldsums, float *out)          \
    {                                                                                              \
        switch (rows) {                                                                            \
            STREAM_CASES(bits, shift)                                                              \
        }                                                                                          \
    }

/* A strip of a tile over the groups of a chunk. */
INLINE void tile_strip(const int rows, const int nv, const int bits, const struct ptqi_chunk *c,
                       const int column, const int8_t *x, int64_t ldx, const int32_t *sums,
                       int64_t ldsums, float *out, int32_t *partial)
{
    VF sum[TILE_MR][MAX_NV];
    const uint8_t *codes = c->codes + 4 * column;
    int64_t left = c->blocks;
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            sum[m][v] = vf_load(out + m * NR + column + v * LANES);
    for (int64_t g = 0; g < c->groups; g++) {
        const int64_t blocks = left < c->group_blocks ? left : c->group_blocks;
        const uint8_t *block = codes + g * c->group_bytes;
        const struct strip s = {.wide_zeros = c->zeros ? c->zeros + g * NR + column : NULL,
                                .zero = c->zero};
        VI dot[TILE_MR][MAX_NV];
        if (c->resume)
            PTQI_UNROLL
            for (int m = 0; m < rows; m++)
                PTQI_UNROLL
                for (int v = 0; v < nv; v++)
                    dot[m][v] = vi_load(partial + m * NR + column + v * LANES);
        else
            start_dots(rows, nv, &s, 0, sums + g, ldsums, dot);
        for (int64_t b = 0; b < blocks; b++) {
            PTQI_UNROLL
            for (int m = 0; m < rows; m++)
                PTQI_PREFETCH(x + (TILE_MR + m) * ldx);
            if (bits == 4)
                dot_bytes4(rows, nv, block, x, ldx, dot);
            else
                dot_bytes8(rows, nv, block, x, ldx, dot);
            block += 32 * NR;
            x += PTQI_BLOCK;
        }
        left -= blocks;
        if (c->leave) {
            PTQI_UNROLL
            for (int m = 0; m < rows; m++)
                PTQI_UNROLL
                for (int v = 0; v < nv; v++)
                    vi_store(partial + m * NR + column + v * LANES, dot[m][v]);
            return;
        }
        PTQI_UNROLL
        for (int v = 0; v < nv; v++) {
            VF scale = vf_load(c->scale_room + g * NR + column + v * LANES);
            PTQI_UNROLL
            for (int m = 0; m < rows; m++)
                sum[m][v] = vf_fma(scale, vf_from_vi(dot[m][v]), sum[m][v]);
        }
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++)
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            vf_store(out + m * NR + column + v * LANES, sum[m][v]);
}

#define TILE_CASE(rows, bits)                                                                      \
    case rows:                                                                                     \
        for (int n = 0; n < NR; n += TILE_NV * LANES)                                              \
            tile_strip(rows, TILE_NV, bits, chunk, n, x, ldx, sums, ldsums, out, partial);         \
        break;

#define TILE(name, bits)                                                                           \
    TARGET static void name(int rows, const struct ptqi_chunk *chunk, const int8_t *x,             \
                            int64_t ldx, const int32_t *sums, int64_t ldsums, float *out,          \
                            int32_t *partial)                                                      \
    {                                                                                              \
        switch (rows) {                                                                            \
            TILE_CASES(bits)                                                                       \
        }                                                                                          \
    }

/* Scales and zeros of a chunk's groups, and its codes where they must be unpacked. */
INLINE void unpack(const int bits, const struct ptqi_panel *p, struct ptqi_chunk *c)
{
    const int64_t stride =
        ptqi_group_bytes(NR, bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    const int shift = SHIFT_ZEROS && bits == 4 && p->has_zeros;
    const int64_t header = NR * (p->scale_bytes + p->has_zeros);
    const uint8_t *group = p->data + c->first_group * stride;
    int64_t left = c->blocks;
    c->group_blocks = p->group_blocks;
    c->group_bytes = bits == 4 ? 32 * NR * p->group_blocks : stride;
    c->codes = bits == 4 ? c->room : group + header + c->first_block * 32 * NR;
    c->zeros = p->has_zeros && !shift ? c->zero_room : NULL;
    c->zero = shift ? SHIFTED_ZERO : p->zero;
    uint8_t *room = c->room;
    for (int64_t g = 0; g < c->groups; g++, group += stride) {
        const uint8_t *zeros = p->has_zeros ? group + NR * p->scale_bytes : NULL;
        const struct strip s = {.zeros = zeros, .zero = p->zero};
        for (int v = 0; v < NR / LANES; v++) {
            vf_store(c->scale_room + g * NR + v * LANES,
                     scales_at(group, p->scale_bytes, v * LANES));
            if (c->zeros)
                vi_store(c->zero_room + g * NR + v * LANES,
                         zeros_at(&s, v, bits == 8 ? W8_OFFSET : 0));
        }
        const uint8_t *codes = group + header + c->first_block * 16 * NR;
        for (int64_t b = 0; bits == 4 && b < p->group_blocks && b < left; b++) {
            unpack_block(shift, codes, zeros, room);
            codes += 16 * NR;
            room += 32 * NR;
        }
        left -= p->group_blocks;
    }
}

TARGET static void w4_unpack(const struct ptqi_panel *panel, struct ptqi_chunk *chunk)
{
    unpack(4, panel, chunk);
}

TARGET static void w8_unpack(const struct ptqi_panel *panel, struct ptqi_chunk *chunk)
{
    unpack(8, panel, chunk);
}

STREAM(w4a8_stream_plain, 4, 0)
#if SHIFT_ZEROS
STREAM(w4a8_stream_shifted, 4, 1)
#endif
STREAM(w8a8_stream, 8, 0)
TILE(w4a8_tile, 4)
TILE(w8a8_tile, 8)

TARGET static void w4a8_stream(int rows, const struct ptqi_panel *panel, const int8_t *x,
                               int64_t ldx, const int32_t *sums, int64_t ldsums, float *out)
{
#if SHIFT_ZEROS
    if (panel->has_zeros) {
        w4a8_stream_shifted(rows, panel, x, ldx, sums, ldsums, out);
        return;
    }
#endif
    w4a8_stream_plain(rows, panel, x, ldx, sums, ldsums, out);
}

#define INT_KERNELS                                                                                \
    .int_nr = NR, .w8_offset = W8_OFFSET, .stream_mr = STREAM_MR, .stream_rows = STREAM_ROWS,      \
    .w4a8_stream = w4a8_stream, .w8a8_stream = w8a8_stream, .tile_mr = TILE_MR,                    \
    .w4_unpack = w4_unpack, .w8_unpack = w8_unpack, .w4a8_tile = w4a8_tile,                        \
    .w8a8_tile = w8a8_tile
