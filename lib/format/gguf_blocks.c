/*
 * Each product of a scale is rounded once, as ggml rounds it; those with codes are exact in f32.
 */
#include "format/gguf_blocks.h"
#include <string.h>
#include "base/half.h"

static float half_at(const uint8_t *bytes)
{
    return ptqi_f16_to_f32((uint16_t)(bytes[0] | bytes[1] << 8));
}

/* 2 count codes: the low nibbles, then the high ones. */
static void unpack_nibbles(const uint8_t *bytes, int count, uint8_t *codes)
{
    for (int i = 0; i < count; i++) {
        codes[i] = bytes[i] & 15;
        codes[count + i] = bytes[i] >> 4;
    }
}

/* Adds a fifth bit to 32 codes: that of code i is bit i of a little-endian word. */
static void add_fifth_bits(const uint8_t *word, uint8_t *codes)
{
    for (int i = 0; i < 32; i++)
        codes[i] |= (uint8_t)((word[i / 8] >> i % 8 & 1) << 4);
}

/* d, 16 bytes of nibbles; also IQ4_NL. */
static void unpack_q4_0(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    b->scales[0] = half_at(bytes);
    unpack_nibbles(bytes + 2, 16, b->codes);
}

/* d, m, nibbles */
static void unpack_q4_1(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    b->scales[0] = half_at(bytes);
    b->minima[0] = half_at(bytes + 2);
    unpack_nibbles(bytes + 4, 16, b->codes);
}

/* d, a word of fifth bits, nibbles */
static void unpack_q5_0(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    b->scales[0] = half_at(bytes);
    unpack_nibbles(bytes + 6, 16, b->codes);
    add_fifth_bits(bytes + 2, b->codes);
}

/* d, m, a word of fifth bits, nibbles */
static void unpack_q5_1(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    b->scales[0] = half_at(bytes);
    b->minima[0] = half_at(bytes + 2);
    unpack_nibbles(bytes + 8, 16, b->codes);
    add_fifth_bits(bytes + 4, b->codes);
}

/* d, 32 signed bytes */
static void unpack_q8_0(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    b->scales[0] = half_at(bytes);
    for (int i = 0; i < 32; i++)
        b->codes[i] = bytes[2 + i] ^ 128;
}

/*
 * d, dmin, 12 bytes with 8 scales and 8 minima of 6 bits. Those of groups 0 to 3 are the low bits
 * of bytes 0 to 7. Groups 4 to 7 have their low bits in the nibbles of bytes 8 to 11, and their
 * high bits in the two bits that bytes 0 to 7 have left.
 */
static void unpack_k_scales(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    const float d = half_at(bytes), least = half_at(bytes + 2);
    b->super_scale = d;
    b->super_minimum = least;
    const uint8_t *packed = bytes + 4;
    for (int g = 0; g < 8; g++) {
        const int i = g % 4;
        int scale = packed[i] & 63, minimum = packed[4 + i] & 63;
        if (g >= 4) {
            scale = (packed[8 + i] & 15) | packed[i] >> 6 << 4;
            minimum = packed[8 + i] >> 4 | packed[4 + i] >> 6 << 4;
        }
        b->scales[g] = d * (float)scale;
        b->minima[g] = -(least * (float)minimum);
    }
}

/* scales, then 32 bytes of nibbles for every 64 codes */
static void unpack_q4_k(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    unpack_k_scales(bytes, b);
    for (int i = 0; i < 4; i++)
        unpack_nibbles(bytes + 16 + 32 * i, 32, b->codes + 64 * i);
}

/* scales, 32 bytes of fifth bits, nibbles. Bit g of byte i belongs to code i of group g. */
static void unpack_q5_k(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    unpack_k_scales(bytes, b);
    for (int i = 0; i < 4; i++)
        unpack_nibbles(bytes + 48 + 32 * i, 32, b->codes + 64 * i);
    for (int i = 0; i < 256; i++)
        b->codes[i] |= (uint8_t)((bytes[16 + i % 32] >> i / 32 & 1) << 4);
}

/*
 * 128 bytes of nibbles, 64 bytes with two more bits for each code, 16 signed scales, d. Each half
 * of the block has 64 bytes of nibbles and 32 of bits. The bits of its codes i, i + 32, i + 64 and
 * i + 96 are in byte i, lowest first.
 */
static void unpack_q6_k(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    const float d = half_at(bytes + 208);
    b->super_scale = d;
    for (int half = 0; half < 2; half++) {
        const uint8_t *bits = bytes + 128 + 32 * half;
        uint8_t *codes = b->codes + 128 * half;
        unpack_nibbles(bytes + 64 * half, 64, codes);
        for (int i = 0; i < 128; i++)
            codes[i] |= (uint8_t)((bits[i % 32] >> 2 * (i / 32) & 3) << 4);
    }
    for (int g = 0; g < 16; g++) {
        const int scale = bytes[192 + g];
        b->scales[g] = d * (float)(scale < 128 ? scale : scale - 256);
    }
}

/* d, a word with the two high bits of 8 scales, 4 bytes with their nibbles, nibbles of codes */
static void unpack_iq4_xs(const uint8_t *bytes, struct ptqi_gguf_block *b)
{
    const float d = half_at(bytes);
    b->super_scale = d;
    const int high = bytes[2] | bytes[3] << 8;
    for (int g = 0; g < 8; g++) {
        const int scale = (bytes[4 + g / 2] >> 4 * (g % 2) & 15) | (high >> 2 * g & 3) << 4;
        b->scales[g] = d * (float)(scale - 32);
        unpack_nibbles(bytes + 8 + 16 * g, 16, b->codes + 32 * g);
    }
}

static const int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

static const struct ptqi_gguf_blocks types[] = {
    {"Q4_0", 4, 32, 0, NULL, 32, 18, unpack_q4_0},
    {"Q4_1", 4, 32, 1, NULL, 32, 20, unpack_q4_1},
    {"Q5_0", 5, 32, 0, NULL, 32, 22, unpack_q5_0},
    {"Q5_1", 5, 32, 1, NULL, 32, 24, unpack_q5_1},
    {"Q8_0", 8, 32, 0, NULL, 32, 34, unpack_q8_0},
    {"Q4_K", 4, 32, 1, NULL, 256, 144, unpack_q4_k},
    {"Q5_K", 5, 32, 1, NULL, 256, 176, unpack_q5_k},
    {"Q6_K", 6, 16, 0, NULL, 256, 210, unpack_q6_k},
    {"IQ4_NL", 4, 32, 0, iq4_levels, 32, 18, unpack_q4_0},
    {"IQ4_XS", 4, 32, 0, iq4_levels, 256, 136, unpack_iq4_xs},
};

const struct ptqi_gguf_blocks *ptqi_gguf_blocks(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name))
            return &types[i];
    return NULL;
}
