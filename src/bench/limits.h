/*
 * What this machine can do at best: bare loops that a kernel is measured against.
 */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdint.h>

struct limit_loop {
    int32_t isa;
    int integer;       /* 1: the best exact int8 dot-product sequence; 0: f32 multiply-adds */
    double operations; /* of one round */
    void (*run)(int64_t rounds); /* in registers only */
};

/* NULL where there is none, as for portable C. */
const struct limit_loop *limit_find(int32_t isa, int integer);
/* Reads bytes bytes, as plainly as can be, in so many streams side by side: which number brings
 * most depends on the machine. */
void limit_read(const void *memory, int64_t bytes, int streams);
/* "AMD EPYC ...", or "unknown"; and the bytes of the last-level cache. */
void limit_cpu_name(char *name, int64_t capacity);
int64_t limit_cache_bytes(void);

#endif
