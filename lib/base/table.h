/*
 * A hash table with open addressing, from 64-bit hashes to 64-bit items. The caller compares items,
 * since different things may have the same hash. Hashes depend on a seed that differs from run to
 * run, so that a file cannot be crafted to fill the table in quadratic time. Nothing may depend on
 * the order of the table.
 */
#ifndef PTQI_TABLE_H
#define PTQI_TABLE_H

#include "context.h"

#define PTQI_NO_ITEM INT64_MIN

struct ptqi_slot {
    uint64_t hash;
    int64_t item; /* PTQI_NO_ITEM marks an empty slot */
};

struct ptqi_table {
    ptq_context *context;
    struct ptqi_slot *slots; /* a power of two; at least a third of them are empty */
    int64_t capacity, count;
    uint64_t seed[2];
};

/* Creates an empty table without memory. Always call ptqi_table_end; it may also be all zero. */
void ptqi_table_begin(struct ptqi_table *t, ptq_context *context);
void ptqi_table_end(struct ptqi_table *t);
/* Reserves space for a total of items items. */
ptq_status ptqi_table_reserve(struct ptqi_table *t, int64_t items);

/* The hash of some bytes (SipHash-1-3: Aumasson, Bernstein 2012). */
uint64_t ptqi_table_hash(const struct ptqi_table *t, const void *data, int64_t bytes);
/* The hash of a number. Different numbers have different hashes. */
PTQI_INLINE uint64_t ptqi_table_hash_number(const struct ptqi_table *t, uint64_t number)
{
    uint64_t h = (number ^ t->seed[0]) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32 ^ t->seed[1]) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

/* Adds an item; space must have been reserved. */
void ptqi_table_add(struct ptqi_table *t, uint64_t hash, int64_t item);
/* The next slot with this hash after *at, which is initially -1; NULL if there is none. */
PTQI_INLINE struct ptqi_slot *ptqi_table_next(const struct ptqi_table *t, uint64_t hash,
                                              int64_t *at)
{
    if (!t->capacity)
        return NULL;
    const uint64_t mask = (uint64_t)t->capacity - 1;
    uint64_t slot = *at < 0 ? hash & mask : ((uint64_t)*at + 1) & mask;
    while (t->slots[slot].hash != hash && t->slots[slot].item != PTQI_NO_ITEM)
        slot = (slot + 1) & mask;
    *at = (int64_t)slot;
    return t->slots[slot].item != PTQI_NO_ITEM ? &t->slots[slot] : NULL;
}

#endif
