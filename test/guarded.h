/*
 * Shared by the kernel tests: memory with canaries, reports that name the seed, hostile data.
 */
#ifndef GUARDED_H
#define GUARDED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "base/half.h"
#include "kernel/kernel.h"
#include "test.h"

#define CANARY 0x5a
#define GUARD 256 /* bytes before and after */

extern uint64_t test_seed; /* for the data of the current round; printed on a mismatch */

/* Memory of bytes bytes between canaries, begin bytes after a multiple of 64. */
struct guarded {
    uint8_t *memory;
    int64_t bytes, begin;
};

PTQI_INLINE struct guarded guard(int64_t bytes, int64_t begin)
{
    struct guarded g = {aligned_alloc(64, (size_t)((bytes + 2 * GUARD + 127) / 64 * 64)), bytes,
                        GUARD + begin};
    memset(g.memory, CANARY, (size_t)(bytes + 2 * GUARD));
    return g;
}

PTQI_INLINE void *in(const struct guarded *g)
{
    return g->memory + g->begin;
}

/* Frees the memory; returns 1 if the canaries are intact. */
PTQI_INLINE int unguard(struct guarded *g)
{
    int alive = 1;
    for (int64_t i = 0; i < g->begin; i++)
        alive &= g->memory[i] == CANARY;
    for (int64_t i = g->begin + g->bytes; i < g->bytes + 2 * GUARD; i++)
        alive &= g->memory[i] == CANARY;
    free(g->memory);
    return alive;
}

PTQI_INLINE void report(const struct ptqi_kernels *k, const char *what, int64_t size)
{
    printf("    %s: %s, size %lld, seed %llu\n", ptq_isa_name(k->isa), what, (long long)size,
           (unsigned long long)test_seed);
}

#define EXPECT(condition, what, size)                                                              \
    do {                                                                                           \
        if (!CHECK(condition))                                                                     \
            report(kernels, what, size);                                                           \
    } while (0)

enum { RANDOM, EXTREME, LARGEST }; /* LARGEST: sums as large as possible */

PTQI_INLINE float any_scale(struct random *r, int kind, int half)
{
    static const float special[] = {0.0f, -0.0f, 1e-41f, -1e-45f, 1e30f, -1e30f, 1.0f, 0x1p-126f};
    float scale = kind == RANDOM ? random_normal(r) * 0.01f : special[random_below(r, 8)];
    if (half && kind == RANDOM)
        return ptqi_round_to(scale, PTQ_DTYPE_F16);
    if (half) /* f16 denormals, negative zero, the largest */
        return ptqi_f16_to_f32((uint16_t)(random_bits(r) % 0x7c00 | (random_bits(r) & 0x8000)));
    return scale;
}

/* Numbers of all sizes, whose products do not overflow, since the sign of a NaN is not guaranteed.
 */
PTQI_INLINE float any_float(struct random *r)
{
    static const float special[] = {0.0f, -0.0f, 1e-45f, -1e-40f, 1e15f, -1e15f, 1.0f, 0x1p-126f};
    return random_below(r, 8) ? random_normal(r) : special[random_below(r, 8)];
}

/* test_rows.c: elementwise and row operations, and products of packed words. */
void test_row_kernels(const struct ptqi_kernels *kernels);

#endif
