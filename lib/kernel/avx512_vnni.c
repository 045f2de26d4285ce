/*
 * Kernels for CPUs with AVX-512 and its VNNI: Intel servers since Cascade Lake (2019), laptops of
 * the Ice Lake to Rocket Lake years, AMD since Zen 4 (2022).
 */
#include "kernel.h"
#ifdef PTQI_X86
#define NAME(function) function##_avx512
#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")))
#include "vector_template.h"
#include "x86_512.h"
#include "x86_transpose.h"

/* Not the intrinsic: GCC gives its sums another type than VI, and moves them between registers. */
INLINE VI vi_dot(VI sum, VI codes, VI x)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(x));
    return sum;
}

/* 32 registers: 24 sums, 2 vectors of b and one number of a. */
#define F32_MR 12
#define F32_NV 2
#define F32_CASES                                                                                  \
    F32_CASE(12)                                                                                   \
    F32_CASE(11)                                                                                   \
    F32_CASE(10)                                                                                   \
    F32_CASE(9)                                                                                    \
    F32_CASE(8) F32_CASE(7) F32_CASE(6) F32_CASE(5) F32_CASE(4) F32_CASE(3) F32_CASE(2) F32_CASE(1)
#include "f32_template.h"
/* 32 registers: 16 sums, and for each of the two places a mask, an exponent and two zeros. */
#define WORD_MR 8
#define WORD_PLACES 2
#define WORD_CASES                                                                                 \
    WORD_CASE(1)                                                                                   \
    WORD_CASE(2) WORD_CASE(3) WORD_CASE(4) WORD_CASE(5) WORD_CASE(6) WORD_CASE(7) WORD_CASE(8)
#include "word_template.h"

#include "general_template.h"
#include "quantize_template.h"

#define NR 64
#define STREAM_MR 8
#define STREAM_HELD 6 /* 12 integer and 12 f32 sums; with more rows, 16 integer sums */
#define STREAM_PASS STREAM_HELD, STREAM_HELD, STREAM_MR
#define STREAM_ROWS4 84, 64, 80
#define STREAM_ROWS8 108, 112, 128
#define STREAM_ROWS_LEVELS 40, 48, 56
#define STREAM_NV(rows) 2
#define MANY_SUMS PTQI_MANY_SUMS
/* 12 integer and 12 f32 sums stay in registers; with two-level scales, 16 integer sums. */
#define TILE_MR 3
#define TILE_NV 4
#define HOLD_SUMS 1
#define LEVEL_MR 4
#define UNPACK_LEVELS 1
#define INT_BLOCKS "vnni_blocks.h"
#include "int_template.h"

const struct ptqi_kernels ptqi_kernels_avx512_vnni = {
    .isa = PTQ_ISA_AVX512_VNNI,
    F32_KERNELS,
    WORD_KERNELS,
    INT_KERNELS,
    .general = general,
    .magnitude = magnitude,
    .quantize = quantize,
    .quantize_groups = quantize_groups,
    VECTOR_KERNELS,
};

/* The same, with AMX tiles for more rows than a stream takes. */
const struct ptqi_kernels ptqi_kernels_amx_int8 = {
    .isa = PTQ_ISA_AMX_INT8,
    F32_KERNELS,
    WORD_KERNELS,
    INT_SHAPE,
    .tile_mr = 32, /* two tiles of sums: one is added while the other is multiplied */
    .release = ptqi_amx_release,
    .w4a8 = {w4a8_stream, w4a8_unpack, ptqi_amx_tile, {ONE_STREAM}, {STREAM_PASS}},
    .w8a8 = {w8a8_stream, w8a8_unpack, ptqi_amx_tile, {ONE_STREAM}, {STREAM_PASS}},
    .two_level =
        {two_level_stream, two_level_unpack, ptqi_amx_level_tile, {ONE_STREAM}, {STREAM_PASS}},
    .general = general,
    .magnitude = magnitude,
    .quantize = quantize,
    .quantize_groups = quantize_groups,
    VECTOR_KERNELS,
};
#else
typedef int ptqi_nothing_here;
#endif
