/*
 * Kernels for ARM CPUs with sdot: Cortex-A55 and A75 onwards (2017), Neoverse N1, the Raspberry Pi
 * 5, Apple's A11 to M1.
 */
#include "kernel.h"
#ifdef PTQI_ARM
#define NAME(function) function##_dotprod
#ifdef __clang__
#define TARGET __attribute__((target("dotprod")))
#else
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#include "vector_template.h"
#include "neon.h"

/*
 * sum += w times the four bytes of one lane of x. Not the intrinsic: Clang before 16 hides it
 * unless the whole file may use the instruction, and GCC puts its results into ever new registers
 * and copies them back at the end of a loop.
 */
#define DOT_LANE(sum, w, x, lane)                                                                  \
    __asm__("sdot %0.4s, %1.16b, %2.4b[" #lane "]" : "+w"(sum) : "w"(w), "w"(x))

/* 32 registers: 24 sums, 4 vectors of b and numbers of a. */
#define F32_MR 6
#define F32_NV 4
#define F32_CASES F32_CASE(6) F32_CASE(5) F32_CASE(4) F32_CASE(3) F32_CASE(2) F32_CASE(1)
#include "f32_template.h"
#define WORD_MR 4
#define WORD_PLACES 4
#define WORD_CASES WORD_CASE(1) WORD_CASE(2) WORD_CASE(3) WORD_CASE(4)
#include "word_template.h"

#include "general_template.h"
#include "quantize_template.h"

/* A tile of 4 rows by 16 columns: 16 vectors of sums, 4 of x, 4 of W. */
#define NR 32
#define STRIP 16
#define STREAM_MR 4
#define STREAM_NV(rows) 4
#define TILE_MR 4
#define TILE_NV 4
#define UNPACK_LEVELS 1
#define INT_BLOCKS "neon_dotprod_blocks.h"
#include "int_template.h"

const struct ptqi_kernels ptqi_kernels_neon_dotprod = {
    .isa = PTQ_ISA_NEON_DOTPROD,
    F32_KERNELS,
    WORD_KERNELS,
    INT_KERNELS,
    .general = general,
    .magnitude = magnitude,
    .quantize = quantize,
    .quantize_groups = quantize_groups,
    VECTOR_KERNELS,
};
#else
typedef int ptqi_nothing_here;
#endif
