/* A hash for telling things apart, 64-bit FNV-1a; no protection against deliberate collisions. */
#ifndef PTQI_HASH_H
#define PTQI_HASH_H

#include <stdint.h>
#include <string.h>
#include "compiler.h"

#define PTQI_HASH_START 14695981039346656037u

/* Continues h with more bytes. */
PTQI_INLINE uint64_t ptqi_hash(uint64_t h, const void *data, int64_t bytes)
{
    const uint8_t *p = data;
    for (int64_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

/* A hash for the same purpose, fast enough for gigabytes: four chains, eight bytes at a time. Each
 * step is invertible, so that changing a single word always changes the hash. */
PTQI_INLINE uint64_t ptqi_hash_fast(uint64_t h, const void *data, int64_t bytes)
{
    const uint8_t *p = data;
    uint64_t chains[4] = {h, h ^ 1, h ^ 2, h ^ 3}, word;
    int64_t at = 0;
    for (; at + 32 <= bytes; at += 32)
        for (int i = 0; i < 4; i++) {
            memcpy(&word, p + at + 8 * i, 8);
            chains[i] = (chains[i] ^ word) * 0x9e3779b97f4a7c15u;
            chains[i] ^= chains[i] >> 29;
        }
    h = ptqi_hash(h, chains, (int64_t)sizeof chains);
    h = ptqi_hash(h, p + at, bytes - at);
    return ptqi_hash(h, &bytes, (int64_t)sizeof bytes);
}

#endif
