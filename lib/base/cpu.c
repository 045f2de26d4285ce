/*
 * CPU features: CPUID with XGETBV on x86-64 (the operating system may not save the AVX-512
 * registers of a CPU that has them), HWCAP on AArch64.
 */
#include "cpu.h"
#include <stdatomic.h>
#include "compiler.h"

#ifdef PTQI_X86
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Linux saves the large AMX tile registers only for processes that requested them. This only asks
 * whether a request would be granted; it changes nothing. */
static int knows_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { ARCH_GET_XCOMP_SUPP = 0x1021, XFEATURE_MASK_XTILE = 0x60000 };
    uint64_t supported = 0;
    return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &supported) == 0 &&
           (supported & XFEATURE_MASK_XTILE) == XFEATURE_MASK_XTILE;
#else
    return 0;
#endif
}

/* Makes the request, for the whole process. */
static int request_tiles(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return 0;
#endif
}

static uint64_t xgetbv0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static uint32_t detect(void)
{
    uint32_t a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    int fma_f16c = (c & bit_FMA) && (c & bit_F16C) && (c & bit_AVX);
    uint64_t saved = xgetbv0();
    int ymm = (saved & 0x06) == 0x06, zmm = (saved & 0xe6) == 0xe6;
    int tiles = (saved & 0x60000) == 0x60000;
    uint32_t b7, c7, d7, a71 = 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        return 0;
    if (a >= 1)
        __get_cpuid_count(7, 1, &a71, &b, &c, &d);
    if (!ymm || !fma_f16c || !(b7 & bit_AVX2))
        return 0;
    features |= PTQI_CPU_AVX2;
    if (a71 & (1u << 4))
        features |= PTQI_CPU_AVX_VNNI;
    uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if (zmm && (b7 & avx512) == avx512 && (c7 & (1u << 11)))
        features |= PTQI_CPU_AVX512_VNNI;
    if (tiles && (features & PTQI_CPU_AVX512_VNNI) && (d7 & (1u << 24)) && (d7 & (1u << 25)) &&
        knows_tiles())
        features |= PTQI_CPU_AMX_INT8;
    return features;
}

/* Leaf 4 on Intel and leaf 0x8000001d on AMD describe one cache per subleaf, in the same format. */
static void detect_caches(int64_t *l1, int64_t *l2)
{
    uint32_t a, b, c, d, leaf = 4;
    if (__get_cpuid_count(leaf, 0, &a, &b, &c, &d) == 0 || (a & 31) == 0)
        leaf = 0x8000001d;
    for (uint32_t i = 0; i < 8 && __get_cpuid_count(leaf, i, &a, &b, &c, &d) && (a & 31); i++) {
        int64_t ways = (b >> 22) + 1, partitions = (b >> 12 & 0x3ff) + 1, line = (b & 0xfff) + 1;
        int64_t bytes = ways * partitions * line * ((int64_t)c + 1);
        uint32_t level = a >> 5 & 7, kind = a & 31; /* 1: data, 2: instructions, 3: both */
        if (level == 1 && kind != 2)
            *l1 = bytes;
        if (level == 2)
            *l2 = bytes;
    }
}
#elif defined(PTQI_ARM)
#include <sys/auxv.h>
#define HWCAP_ASIMDDP_BIT (1ul << 20)
#define HWCAP2_I8MM_BIT (1ul << 13)

static uint32_t detect(void)
{
    uint32_t features = PTQI_CPU_NEON; /* part of every ARMv8-A */
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP_BIT)
        features |= PTQI_CPU_DOTPROD;
    if (getauxval(AT_HWCAP2) & HWCAP2_I8MM_BIT)
        features |= PTQI_CPU_I8MM;
    return features;
}
#else
static uint32_t detect(void)
{
    return 0;
}
#endif

#ifndef PTQI_X86
static int request_tiles(void)
{
    return 0;
}

static void detect_caches(int64_t *l1, int64_t *l2)
{
    (void)l1, (void)l2;
}
#endif

/* Cache sizes in KB, L2 in the upper half. They are detected only once, because cores may differ
 * and contexts whose block sizes depend on them must agree. */
static atomic_ullong caches;

void ptqi_cpu_caches(int64_t *l1, int64_t *l2)
{
    unsigned long long known = atomic_load_explicit(&caches, memory_order_relaxed);
    if (!known) {
        *l1 = 32 << 10;
        *l2 = 512 << 10;
        detect_caches(l1, l2);
        if (*l1 < 8 << 10 || *l2 < *l1) { /* bogus values from an emulator */
            *l1 = 32 << 10;
            *l2 = 512 << 10;
        }
        const unsigned long long found_now =
            (unsigned long long)(*l2 >> 10) << 32 | (unsigned long long)(*l1 >> 10);
        if (atomic_compare_exchange_strong(&caches, &known, found_now))
            known = found_now;
    }
    *l1 = (int64_t)(known & 0xffffffff) << 10;
    *l2 = (int64_t)(known >> 32) << 10;
}

/* The features, and two additional bits. */
#define DETECTED (1u << 31)
#define TILES_GRANTED (1u << 30)
static atomic_uint found;

uint32_t ptqi_cpu_features(void)
{
    uint32_t features = atomic_load_explicit(&found, memory_order_relaxed);
    if (!features) { /* all threads find the same, but AMX may have been removed since */
        uint32_t detected = detect() | DETECTED;
        if (atomic_compare_exchange_strong(&found, &features, detected))
            features = detected;
    }
    return features & ~(DETECTED | TILES_GRANTED);
}

int ptqi_cpu_request_tiles(void)
{
    if (!(ptqi_cpu_features() & PTQI_CPU_AMX_INT8))
        return 0;
    if (atomic_load_explicit(&found, memory_order_relaxed) & TILES_GRANTED)
        return 1;
    /* Concurrent requests are harmless. */
    const int granted = request_tiles();
    if (granted)
        atomic_fetch_or(&found, TILES_GRANTED);
    else
        atomic_fetch_and(&found, ~(uint32_t)PTQI_CPU_AMX_INT8);
    return granted;
}
