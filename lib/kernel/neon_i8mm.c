/*
 * Kernels for ARM CPUs with the int8 matrix product: ARMv8.6 and many ARMv9 ones, Neoverse V1 and
 * N2 (2020), Cortex-A510, A710, X2, Apple's A15 and M2.
 */
#include "kernel.h"
#ifdef PTQI_ARM
#define NAME(function) function##_i8mm
#ifdef __clang__
#define TARGET __attribute__((target("dotprod,i8mm")))
#else
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod+i8mm")))
#endif
#include "vector_template.h"
#include "neon.h"

/*
 * sum plus the square of two rows of x by two rows of w. Not the intrinsic: Clang before 16 hides
 * it unless the whole file may use the instruction, and GCC puts its results into ever new
 * registers and copies them back at the end of a loop.
 */
INLINE VI vi_square(VI sum, int8x16_t x, int8x16_t w)
{
    __asm__("smmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(x), "w"(w));
    return sum;
}

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

/* A tile of 8 rows by 8 columns: 16 vectors of sums, 4 of x, 4 of W. */
#define NR 32
#define STRIP 16
#define KR 8
#define STREAM_MR 8
#define STREAM_NV(rows) ((rows) > 4 ? 2 : 4)
#define TILE_MR 8
#define TILE_NV 2
#define UNPACK_LEVELS 1
#define INT_BLOCKS "neon_i8mm_blocks.h"
#include "int_template.h"

const struct ptqi_kernels ptqi_kernels_neon_i8mm = {
    .isa = PTQ_ISA_NEON_I8MM,
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
