/*
 * Kernels for CPUs with AVX-VNNI, vpdpbusd on 256-bit registers without AVX-512: Intel laptops and
 * desktops since Alder Lake (2021), Sierra Forest; AMD since Zen 5.
 *
 * A test compiles this file again, with PTQI_EVEX defined and the instruction in its AVX-512 form,
 * which more machines have.
 */
#include "kernel.h"
#ifdef PTQI_X86
#ifdef PTQI_EVEX
#define NAME(function) function##_evex
#define TARGET __attribute__((target("avx512f,avx512vl,avx512vnni,avx2,fma,f16c")))
#define TABLE ptqi_kernels_evex
#else
#define NAME(function) function##_avx_vnni
#define TARGET __attribute__((target("avxvnni,avx2,fma,f16c")))
#define TABLE ptqi_kernels_avx_vnni
#endif
#include "vector_template.h"
#include "x86_256.h"
#include "x86_transpose.h"

/* Not the intrinsic; see avx512_vnni.c. */
INLINE VI vi_dot(VI sum, VI codes, VI x)
{
#ifdef PTQI_EVEX
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(x));
#else
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(codes), "x"(x));
#endif
    return sum;
}

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
#define STREAM_MR 6
#define STREAM_ROWS4 36, 36, 36
#define STREAM_ROWS8 48, 64, 72
#define STREAM_ROWS_LEVELS 40, 64, 72
#define STREAM_NV(rows) ((rows) > 2 ? 2 : 4)
#define TILE_MR 6
#define TILE_NV 2
#define X_AHEAD 32768
#define UNPACK_LEVELS 1
#define INT_BLOCKS "vnni_blocks.h"
#include "int_template.h"

extern const struct ptqi_kernels TABLE;
const struct ptqi_kernels TABLE = {
    .isa = PTQ_ISA_AVX_VNNI,
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
