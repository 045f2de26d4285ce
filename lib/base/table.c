#include "table.h"
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include "random.h"

void ptqi_table_begin(struct ptqi_table *t, ptq_context *context)
{
    static atomic_ullong tables; /* makes every table's seed different */
    struct timespec now = {0, 0};
    memset(t, 0, sizeof *t);
    t->context = context;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t state = (uint64_t)(uintptr_t)context ^ (uint64_t)now.tv_nsec << 32 ^
                     (uint64_t)now.tv_sec ^ atomic_fetch_add(&tables, 1) << 20;
    t->seed[0] = ptqi_random(&state);
    t->seed[1] = ptqi_random(&state);
}

void ptqi_table_end(struct ptqi_table *t)
{
    if (t->context)
        ptqi_free(t->context, t->slots);
    memset(t, 0, sizeof *t);
}

ptq_status ptqi_table_reserve(struct ptqi_table *t, int64_t items)
{
    struct ptqi_table larger = *t;
    if (items <= t->capacity / 3 * 2)
        return PTQ_OK;
    larger.count = 0;
    larger.capacity = t->capacity ? t->capacity : 16;
    while (larger.capacity / 3 * 2 < items && larger.capacity < INT64_MAX / 64)
        larger.capacity *= 2;
    larger.slots = ptqi_alloc(t->context, larger.capacity, (int64_t)sizeof *larger.slots);
    if (!larger.slots)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < larger.capacity; i++)
        larger.slots[i] = (struct ptqi_slot){0, PTQI_NO_ITEM};
    for (int64_t i = 0; i < t->capacity; i++)
        if (t->slots[i].item != PTQI_NO_ITEM)
            ptqi_table_add(&larger, t->slots[i].hash, t->slots[i].item);
    ptqi_free(t->context, t->slots);
    *t = larger;
    return PTQ_OK;
}

void ptqi_table_add(struct ptqi_table *t, uint64_t hash, int64_t item)
{
    const uint64_t mask = (uint64_t)t->capacity - 1;
    uint64_t slot = hash & mask;
    while (t->slots[slot].item != PTQI_NO_ITEM)
        slot = (slot + 1) & mask;
    t->slots[slot] = (struct ptqi_slot){hash, item};
    t->count++;
}

static uint64_t turn(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void round_once(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = turn(v[1], 13) ^ v[0];
    v[3] = turn(v[3], 16) ^ v[2];
    v[0] = turn(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = turn(v[1], 17) ^ v[2];
    v[3] = turn(v[3], 21) ^ v[0];
    v[2] = turn(v[2], 32);
}

uint64_t ptqi_table_hash(const struct ptqi_table *t, const void *data, int64_t bytes)
{
    const uint8_t *p = data;
    uint64_t v[4] = {t->seed[0] ^ 0x736f6d6570736575u, t->seed[1] ^ 0x646f72616e646f6du,
                     t->seed[0] ^ 0x6c7967656e657261u, t->seed[1] ^ 0x7465646279746573u};
    for (int64_t at = 0; at <= bytes; at += 8) {
        const int64_t left = bytes - at < 8 ? bytes - at : 8;
        uint64_t word = left < 8 ? (uint64_t)bytes << 56 : 0;
        for (int64_t i = 0; i < left; i++)
            word |= (uint64_t)p[at + i] << (8 * i);
        v[3] ^= word;
        round_once(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        round_once(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
