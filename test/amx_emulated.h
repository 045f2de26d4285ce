/*
 * AMX tile instructions in C, following Intel's manual, for kernel/amx.c: eight tiles of up to 16
 * rows of 64 bytes, whose shapes are set by a configuration. Memory outside a shape is neither read
 * nor written, and reads as zero. Uses that the CPU would reject end the test.
 */
#ifndef AMX_EMULATED_H
#define AMX_EMULATED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct {
    int configured;
    uint16_t bytes[8];
    uint8_t rows[8];
    uint8_t data[8][16][64];
} tiles;

static void check_tile(int t)
{
    if (!tiles.configured || tiles.bytes[t] == 0 || tiles.rows[t] == 0)
        abort();
}

static void emulate_configure(const void *config)
{
    const uint8_t *c = config;
    memset(&tiles, 0, sizeof tiles);
    if (c[0] != 1 || c[1] != 0)
        abort();
    for (int i = 2; i < 16; i++)
        if (c[i])
            abort();
    for (int t = 0; t < 16; t++) {
        uint16_t bytes;
        memcpy(&bytes, c + 16 + 2 * t, 2);
        if (bytes > 64 || c[48 + t] > 16 || !bytes != !c[48 + t] || (t >= 8 && bytes))
            abort();
        if (t < 8) {
            tiles.bytes[t] = bytes;
            tiles.rows[t] = c[48 + t];
        }
    }
    tiles.configured = 1;
}

static void emulate_release(void)
{
    memset(&tiles, 0, sizeof tiles);
}

static void emulate_zero(int t)
{
    check_tile(t);
    memset(tiles.data[t], 0, sizeof tiles.data[t]);
}

static void emulate_load(int t, const void *from, int64_t stride)
{
    check_tile(t);
    memset(tiles.data[t], 0, sizeof tiles.data[t]);
    for (int i = 0; i < tiles.rows[t]; i++)
        memcpy(tiles.data[t][i], (const uint8_t *)from + i * stride, tiles.bytes[t]);
}

static void emulate_store(int t, void *to, int64_t stride)
{
    check_tile(t);
    for (int i = 0; i < tiles.rows[t]; i++)
        memcpy((uint8_t *)to + i * stride, tiles.data[t][i], tiles.bytes[t]);
}

/* c += a b, a signed and b unsigned bytes, four at a time along a row of either. */
static void emulate_dot(int c, int a, int b)
{
    check_tile(a), check_tile(b), check_tile(c);
    if (tiles.rows[c] != tiles.rows[a] || tiles.bytes[c] != tiles.bytes[b] ||
        tiles.bytes[a] != 4 * tiles.rows[b])
        abort();
    for (int m = 0; m < tiles.rows[c]; m++)
        for (int n = 0; n < tiles.bytes[c] / 4; n++) {
            uint32_t sum;
            memcpy(&sum, tiles.data[c][m] + 4 * n, 4);
            for (int k = 0; k < tiles.bytes[a]; k++)
                sum +=
                    (uint32_t)((int8_t)tiles.data[a][m][k] * tiles.data[b][k / 4][4 * n + k % 4]);
            memcpy(tiles.data[c][m] + 4 * n, &sum, 4);
        }
}

#define TILE_CONFIGURE emulate_configure
#define TILE_RELEASE emulate_release
#define TILE_ZERO emulate_zero
#define TILE_LOAD emulate_load
#define TILE_STORE emulate_store
#define TILE_DOT emulate_dot

#endif
