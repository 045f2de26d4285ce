/* What the CPU and the operating system together can do. */
#ifndef PTQI_CPU_H
#define PTQI_CPU_H

#include <stdint.h>

enum {
    PTQI_CPU_AVX2 = 1,        /* AVX2, FMA and F16C, with the system saving ymm registers */
    PTQI_CPU_AVX_VNNI = 2,    /* vpdpbusd on ymm registers, VEX-encoded */
    PTQI_CPU_AVX512_VNNI = 4, /* AVX-512 F, BW, DQ, VL, VNNI */
    PTQI_CPU_AMX_INT8 = 8,    /* until the system refuses its permission */
    PTQI_CPU_NEON = 16,
    PTQI_CPU_DOTPROD = 32,
    PTQI_CPU_I8MM = 64
};

/* The features found, a set of the bits above. Detected once; the same for the whole process. */
uint32_t ptqi_cpu_features(void);

/*
 * Asks the system for AMX's tiles, at the first call: 1 where this process may use them from now
 * on. Where not, AMX is no longer among the features. Not to be called without need: the answer
 * changes the process, whose signal frames grow by 8 KiB.
 */
int ptqi_cpu_request_tiles(void);

/* Bytes of the first-level data cache and of the second-level cache of a core; likely ones where
 * the CPU does not tell. */
void ptqi_cpu_caches(int64_t *l1, int64_t *l2);

#endif
