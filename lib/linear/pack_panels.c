/*
 * Packs rows into panels, for products with int8 activations: lib/kernel/README.md.
 */
#include <string.h>
#include "base/half.h"
#include "linear/pack.h"

/* Gathers the codes of a block from column `first` on, in quantization order. A block that the row
 * does not fill is padded with fill, which must become zero when packed. */
static void gather(const struct ptq_qtensor *q, const uint8_t *row, int64_t first, int fill,
                   uint8_t *codes)
{
    const int64_t count = ptqi_min(q->k - first, PTQI_BLOCK);
    if (!q->order)
        memcpy(codes, row + first, (size_t)count);
    for (int64_t i = 0; i < count && q->order; i++)
        codes[i] = row[q->order[first + i]];
    memset(codes + count, fill, (size_t)(PTQI_BLOCK - count));
}

/* Stores a block of 4-bit codes in a strip of this many rows, in runs of kr columns. kr is a
 * multiple of 4, so runs are whole words. */
static void pack_block4(const uint8_t *codes, int strip, int kr, uint8_t *out)
{
    for (int i = 0; i < PTQI_BLOCK / 2; i += 4) {
        uint32_t low, high;
        memcpy(&low, codes + i, 4);
        memcpy(&high, codes + PTQI_BLOCK / 2 + i, 4);
        low |= high << 4;
        memcpy(out + i / kr * strip * kr + i % kr, &low, 4);
    }
}

/* The same with a byte for each code. */
static void pack_block8(const uint8_t *codes, int strip, int kr, int offset, uint8_t *out)
{
    const uint32_t offsets = (uint32_t)offset * 0x01010101u;
    for (int i = 0; i < PTQI_BLOCK; i += 4) {
        uint32_t word;
        memcpy(&word, codes + i, 4);
        word ^= offsets; /* minus 128, or as it is */
        memcpy(out + i / kr * strip * kr + i % kr, &word, 4);
    }
}

/* Packs group g of row n, given the codes of the row. */
static void pack_group(const struct ptqi_packing *job, int64_t n, int64_t g, const uint8_t *codes,
                       uint8_t *group)
{
    const struct ptq_linear *l = job->l;
    const struct ptq_qtensor *q = job->q;
    const struct ptqi_panel *p = &l->panel;
    const int nr = job->layout.rows, strip = job->layout.strip, kr = job->layout.run;
    const int row = (int)(n % nr), offset = job->layout.w8_offset;
    uint8_t *header = group + nr * p->scale_bytes;
    const int64_t source = ptqi_source_row(job, n), of = g / l->split;
    const float scale = q->scales[source * q->groups + of];
    const uint16_t half = ptqi_f32_to_f16(scale);
    if (p->scale_bytes == 1)
        group[row] = (uint8_t)ptqi_round_even(scale / q->row_scales[source]);
    else if (p->scale_bytes == 2)
        memcpy(group + 2 * row, &half, 2);
    else
        memcpy(group + 4 * row, &scale, 4);
    if (l->minima)
        l->minima[ptqi_group_place(l, nr, n, g)] = q->minima[source * q->groups + of];
    if (p->has_zeros)
        header[row] = (uint8_t)ptqi_qtensor_zero(q, source, of);
    const int64_t blocks = ptqi_min(p->blocks - g * p->group_blocks, p->group_blocks);
    const int64_t block_bytes = 4 * l->code_bits * strip;
    uint8_t *out =
        header + nr * p->has_zeros + row / strip * (blocks * block_bytes) + row % strip * kr;
    for (int64_t b = 0; b < blocks; b++) {
        uint8_t block[PTQI_BLOCK];
        gather(q, codes, g * l->group_size + b * PTQI_BLOCK, offset, block);
        if (l->code_bits == 4)
            pack_block4(block, strip, kr, out + b * block_bytes);
        else
            pack_block8(block, strip, kr, offset, out + b * block_bytes);
    }
}

void ptqi_pack_panels(const struct ptqi_packing *job, int64_t begin, int64_t end,
                      const uint8_t *codes)
{
    const struct ptq_linear *l = job->l;
    const struct ptqi_panel *p = &l->panel;
    const int nr = job->layout.rows;
    const int64_t head = ptqi_first_group(p, nr) - p->data;
    const int64_t group_bytes =
        ptqi_group_bytes(nr, l->code_bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    uint8_t *panel = l->data + begin / nr * l->panel_bytes;
    if (l->two_level)
        memcpy(panel + begin % nr * (int64_t)sizeof(float),
               job->q->row_scales + ptqi_source_row(job, begin),
               (size_t)(end - begin) * sizeof(float));
    for (int64_t g = 0; g < l->groups; g++)
        for (int64_t n = begin; n < end; n++)
            pack_group(job, n, g, codes + (n - begin) * job->ld, panel + head + g * group_bytes);
}
