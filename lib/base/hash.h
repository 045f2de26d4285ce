/* A hash for telling things apart, FNV-1a of 64 bits; no protection against made-up collisions. */
#ifndef PTQI_HASH_H
#define PTQI_HASH_H

#include <stdint.h>
#include "compiler.h"

#define PTQI_HASH_START 14695981039346656037u

/* Goes on from h with more bytes. */
PTQI_INLINE uint64_t ptqi_hash(uint64_t h, const void *data, int64_t bytes)
{
    const uint8_t *p = data;
    for (int64_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

#endif
