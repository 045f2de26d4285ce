/* Features that both the CPU and the operating system support. */
#ifndef PTQI_CPU_H
#define PTQI_CPU_H

#include <stdint.h>

enum {
    PTQI_CPU_AVX2 = 1,        /* AVX2, FMA and F16C; the system saves ymm registers */
    PTQI_CPU_AVX_VNNI = 2,    /* vpdpbusd on ymm registers, VEX-encoded */
    PTQI_CPU_AVX512_VNNI = 4, /* AVX-512 F, BW, DQ, VL, VNNI */
    PTQI_CPU_AMX_INT8 = 8,    /* until the system refuses permission */
    PTQI_CPU_NEON = 16,
    PTQI_CPU_DOTPROD = 32,
    PTQI_CPU_I8MM = 64
};

/* The detected features, a set of the bits above. Detected once; the same for the whole process. */
uint32_t ptqi_cpu_features(void);

/*
 * Requests the AMX tiles from the operating system on the first call. Returns 1 if this process may
 * use them from now on; if not, AMX is removed from the features. Call this only when needed:
 * success grows the signal frames of the process by 8 KiB.
 */
int ptqi_cpu_request_tiles(void);

/* Sizes in bytes of a core's L1 data cache and L2 cache; likely values if the CPU does not report
 * them. */
void ptqi_cpu_caches(int64_t *l1, int64_t *l2);

#endif
