/* Compiler differences in one place, and helpers missing from C. */
#ifndef PTQI_COMPILER_H
#define PTQI_COMPILER_H

#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define PTQI_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define PTQI_INLINE static inline __attribute__((always_inline, unused))
#define PTQI_NOINLINE __attribute__((noinline))
#else
#define PTQI_PRINTF(text, first)
#define PTQI_INLINE static inline
#define PTQI_NOINLINE
#endif

/* For functions whose sums fill the registers: GCC otherwise gives the sums before and after an
 * instruction one register where it can, and has to move many of them, even to memory. */
#if defined(__GNUC__) && !defined(__clang__)
#define PTQI_MANY_SUMS __attribute__((optimize("no-tree-coalesce-vars")))
#else
#define PTQI_MANY_SUMS
#endif

/* Prefetches memory that will be read soon; any address is allowed. */
#if defined(__GNUC__) || defined(__clang__)
#define PTQI_PREFETCH(p) __builtin_prefetch(p)
#define PTQI_PREFETCH_WRITE(p) __builtin_prefetch(p, 1)
#define PTQI_PREFETCH_LATER(p) __builtin_prefetch(p, 0, 2) /* to the L2 cache */
#else
#define PTQI_PREFETCH(p) (void)(p)
#define PTQI_PREFETCH_WRITE(p) (void)(p)
#define PTQI_PREFETCH_LATER(p) (void)(p)
#endif

/* Hides from the compiler where p points, so that it does not keep values loaded through p, or
 * addresses computed from it, in registers that a loop needs for other things. */
#if defined(__GNUC__) || defined(__clang__)
#define PTQI_FORGET(p) __asm__("" : "+r"(p))
#else
#define PTQI_FORGET(p) (void)(p)
#endif

/* In a loop that waits for another thread: leaves the core's units to others for some tens of
 * nanoseconds. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define PTQI_PAUSE() __builtin_ia32_pause()
#elif defined(__GNUC__) && defined(__aarch64__)
#define PTQI_PAUSE() __asm__ volatile("isb")
#else
#define PTQI_PAUSE() (void)0
#endif

/* Fully unrolls a short loop with a constant trip count, so that its arrays become registers. GCC
 * by itself would unroll it too late for that. */
#if defined(__clang__)
#define PTQI_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define PTQI_UNROLL _Pragma("GCC unroll 16")
#else
#define PTQI_UNROLL
#endif

#if defined(__x86_64__)
#define PTQI_X86 1
#elif defined(__aarch64__)
#define PTQI_ARM 1
#endif

PTQI_INLINE int64_t ptqi_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

PTQI_INLINE int64_t ptqi_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
