/*
 * The machine's limits: bare loops to compare kernels with.
 */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdint.h>

struct limit_loop {
    int32_t isa;
    int integer;       /* 1: the best exact int8 dot-product sequence; 0: f32 multiply-adds */
    double operations; /* per round */
    void (*run)(int64_t rounds); /* uses only registers */
};

/* NULL if there is none, as for portable C. */
const struct limit_loop *limit_find(int32_t isa, int integer);
/* Reads bytes bytes as simply as possible, in `streams` parallel streams; the best number depends
 * on the machine. */
void limit_read(const void *memory, int64_t bytes, int streams);
/* "AMD EPYC ...", or "unknown"; and the size of the last-level cache in bytes. */
void limit_cpu_name(char *name, int64_t capacity);
int64_t limit_cache_bytes(void);

#endif
