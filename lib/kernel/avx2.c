/*
 * Kernels for CPUs with AVX2 and FMA: Intel since Haswell (2013), AMD since Zen (2017).
 */
#include "kernel.h"
#ifdef PTQI_X86
#define NAME(function) function##_avx2
#define TARGET __attribute__((target("avx2,fma,f16c")))
#include "vector_template.h"
#include "x86_256.h"
#include "x86_transpose.h"

/* 16 registers: 12 sums, 2 vectors of b and one number of a. */
#define F32_MR 6
#define F32_NV 2
#define F32_CASES F32_CASE(6) F32_CASE(5) F32_CASE(4) F32_CASE(3) F32_CASE(2) F32_CASE(1)
#include "f32_template.h"
#define WORD_MR 4
#define WORD_PLACES 1
#define WORD_CASES WORD_CASE(1) WORD_CASE(2) WORD_CASE(3) WORD_CASE(4)
#include "word_template.h"

#include "general_template.h"
#include "quantize_template.h"

#define NR 64
#define STREAM_MR 4
#define STREAM_ROWS4 24, 24, 24
#define STREAM_ROWS8 1024, 1024, 1024
#define STREAM_ROWS_LEVELS 11, 13, 17
#define STREAM_NV(rows) ((rows) > 1 ? 2 : 4)
#define TILE_MR 4
#define TILE_NV 2
#define ROWS_HELD 4
#define X_AHEAD 32768
#define UNPACK_LEVELS 0
#define OWN_LEVELS "avx2_levels.h"
#define INT_BLOCKS "avx2_blocks.h"
#include "int_template.h"

const struct ptqi_kernels ptqi_kernels_avx2 = {
    .isa = PTQ_ISA_AVX2,
    F32_KERNELS,
    WORD_KERNELS,
    INT_KERNELS,
    .general = general,
    .magnitude = magnitude,
    .quantize = quantize,
    .quantize_groups = quantize_groups,
    .starts = starts,
    VECTOR_KERNELS,
};
#else
typedef int ptqi_nothing_here;
#endif
