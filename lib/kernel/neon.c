/*
 * Kernels for every 64-bit ARM CPU, using only ARMv8.0: Cortex-A53, A57, A72, A73, Raspberry Pi up
 * to 4.
 */
#include "kernel.h"
#ifdef PTQI_ARM
#define NAME(function) function##_neon
#define TARGET
#include "vector_template.h"
#include "neon.h"

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

/* A tile of 4 rows by 4 columns: 16 vectors of sums, 8 of x, 2 of W. */
#define NR 16
#define STRIP 16
#define KR 16
#define STREAM_MR 4
#define STREAM_NV(rows) ((rows) > 2 ? 1 : (rows) > 1 ? 2 : 4)
#define TILE_MR 4
#define TILE_NV 1
#define UNPACK_LEVELS 0
#define INT_BLOCKS "neon_blocks.h"
#include "int_template.h"

const struct ptqi_kernels ptqi_kernels_neon = {
    .isa = PTQ_ISA_NEON,
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
