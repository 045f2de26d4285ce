/* What differs between compilers, in one place, and what C lacks. */
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

/* Asks for memory that will be read soon; any address will do. */
#if defined(__GNUC__) || defined(__clang__)
#define PTQI_PREFETCH(p) __builtin_prefetch(p)
#define PTQI_PREFETCH_WRITE(p) __builtin_prefetch(p, 1)
#define PTQI_PREFETCH_LATER(p) __builtin_prefetch(p, 0, 2) /* to the second cache */
#else
#define PTQI_PREFETCH(p) (void)(p)
#define PTQI_PREFETCH_WRITE(p) (void)(p)
#define PTQI_PREFETCH_LATER(p) (void)(p)
#endif

/* From here on the compiler does not know where p points: it keeps no memory behind it in registers
 * that a loop needs for better things. */
#if defined(__GNUC__) || defined(__clang__)
#define PTQI_FORGET(p) __asm__("" : "+r"(p))
#else
#define PTQI_FORGET(p) (void)(p)
#endif

/* Before a loop of few, constant rounds whose arrays must become registers: GCC would unroll it too
 * late for that by itself. */
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

PTQI_INLINE int64_t ptqi_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
