/*
 * The inverse of gguf_blocks.c, where the layouts are described.
 */
#include "format/gguf_pack.h"
#include <string.h>
#include "base/half.h"

static void put_half(uint8_t *bytes, float value)
{
    const uint16_t half = ptqi_f32_to_f16(value);
    bytes[0] = (uint8_t)half;
    bytes[1] = (uint8_t)(half >> 8);
}

/* The low nibbles of 2 count codes. */
static void put_nibbles(uint8_t *bytes, int count, const uint8_t *codes)
{
    for (int i = 0; i < count; i++)
        bytes[i] = (uint8_t)((codes[i] & 15) | (codes[count + i] & 15) << 4);
}

static void put_fifth_bits(uint8_t *word, const uint8_t *codes)
{
    for (int i = 0; i < 32; i++)
        word[i / 8] |= (uint8_t)((codes[i] >> 4) << i % 8);
}

static void pack_q4_0(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    put_half(bytes, f->d);
    put_nibbles(bytes + 2, 16, f->codes);
}

static void pack_q4_1(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    put_half(bytes, f->d);
    put_half(bytes + 2, f->m);
    put_nibbles(bytes + 4, 16, f->codes);
}

static void pack_q5_0(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    put_half(bytes, f->d);
    put_fifth_bits(bytes + 2, f->codes);
    put_nibbles(bytes + 6, 16, f->codes);
}

static void pack_q5_1(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    put_half(bytes, f->d);
    put_half(bytes + 2, f->m);
    put_fifth_bits(bytes + 4, f->codes);
    put_nibbles(bytes + 8, 16, f->codes);
}

static void pack_q8_0(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    put_half(bytes, f->d);
    for (int i = 0; i < 32; i++)
        bytes[2 + i] = f->codes[i] ^ 128;
}

static void put_k_scales(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    uint8_t *packed = bytes + 4;
    put_half(bytes, f->d);
    put_half(bytes + 2, f->m);
    for (int g = 0; g < 4; g++) {
        const int scale = f->scales[4 + g], minimum = f->minima[4 + g];
        packed[g] = (uint8_t)(f->scales[g] | scale >> 4 << 6);
        packed[4 + g] = (uint8_t)(f->minima[g] | minimum >> 4 << 6);
        packed[8 + g] = (uint8_t)((scale & 15) | (minimum & 15) << 4);
    }
}

static void pack_q4_k(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    put_k_scales(f, bytes);
    for (int i = 0; i < 4; i++)
        put_nibbles(bytes + 16 + 32 * i, 32, f->codes + 64 * i);
}

static void pack_q5_k(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    put_k_scales(f, bytes);
    for (int i = 0; i < 4; i++)
        put_nibbles(bytes + 48 + 32 * i, 32, f->codes + 64 * i);
    for (int i = 0; i < 256; i++)
        bytes[16 + i % 32] |= (uint8_t)((f->codes[i] >> 4) << i / 32);
}

static void pack_q6_k(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    for (int half = 0; half < 2; half++) {
        const uint8_t *codes = f->codes + 128 * half;
        put_nibbles(bytes + 64 * half, 64, codes);
        for (int i = 0; i < 128; i++)
            bytes[128 + 32 * half + i % 32] |= (uint8_t)((codes[i] >> 4) << 2 * (i / 32));
    }
    for (int g = 0; g < 16; g++)
        bytes[192 + g] = (uint8_t)f->scales[g];
    put_half(bytes + 208, f->d);
}

static void pack_iq4_xs(const struct ptqi_gguf_fields *f, uint8_t *bytes)
{
    int high = 0;
    put_half(bytes, f->d);
    for (int g = 0; g < 8; g++) {
        const int scale = f->scales[g] + 32;
        high |= scale >> 4 << 2 * g;
        bytes[4 + g / 2] |= (uint8_t)((scale & 15) << 4 * (g % 2));
        put_nibbles(bytes + 8 + 16 * g, 16, f->codes + 32 * g);
    }
    bytes[2] = (uint8_t)high;
    bytes[3] = (uint8_t)(high >> 8);
}

static const struct {
    const char *name;
    void (*pack)(const struct ptqi_gguf_fields *f, uint8_t *bytes);
} types[] = {
    {"Q4_0", pack_q4_0},   {"Q4_1", pack_q4_1},     {"Q5_0", pack_q5_0}, {"Q5_1", pack_q5_1},
    {"Q8_0", pack_q8_0},   {"Q4_K", pack_q4_k},     {"Q5_K", pack_q5_k}, {"Q6_K", pack_q6_k},
    {"IQ4_NL", pack_q4_0}, {"IQ4_XS", pack_iq4_xs},
};

void ptqi_gguf_pack(const struct ptqi_gguf_blocks *type, const struct ptqi_gguf_fields *fields,
                    uint8_t *bytes)
{
    memset(bytes, 0, (size_t)type->bytes);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, type->name))
            types[i].pack(fields, bytes);
}
