/*
 * Unpacking for int_template.h: a chunk of a panel, for its tiles.
 */
/* Unpacks a block of a strip to bytes [32 / KR][NR][KR] of a chunk. */
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

/* Unpacks the scales and zeros of a group for tiles. */
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

/* Unpacks the scales, zeros and codes of a chunk's groups. */
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
