#include "bench/limits.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/compiler.h"
#include "ptq/context.h"

#define FIVE(X) X(0) X(1) X(2) X(3) X(4)
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define SIXTEEN(X) TWELVE(X) X(12) X(13) X(14) X(15)

#ifdef PTQI_X86
#include <cpuid.h>
#include <immintrin.h>

/* An empty statement that claims to change a register, so that the loop cannot be optimized away.
 */
#define TOUCH(constraint, register) __asm__ volatile("" : "+" constraint(register))

#define AVX2 __attribute__((target("avx2,fma")))
#define VNNI __attribute__((target("avxvnni,avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vnni")))

/* A loop of chains that each add STEP(a, u, s) to an accumulator. */
#define LOOP(name, attributes, type, constraint, chains, zero, step)                               \
    attributes static void name(int64_t rounds)                                                    \
    {                                                                                              \
        type u = zero, s = zero;                                                                   \
        chains(DEFINE_##name) for (int64_t i = 0; i < rounds; i++)                                 \
        {                                                                                          \
            TOUCH(constraint, u);                                                                  \
            TOUCH(constraint, s);                                                                  \
            chains(step)                                                                           \
        }                                                                                          \
        chains(KEEP_##name)                                                                        \
    }

#define DEFINE_dot512(i)                                                                           \
    __m512i a##i = _mm512_setzero_si512();                                                         \
    TOUCH("v", a##i);
#define KEEP_dot512(i) TOUCH("v", a##i);
#define STEP_dot512(i) a##i = _mm512_dpbusd_epi32(a##i, u, s);
LOOP(dot512, AVX512, __m512i, "v", SIXTEEN, _mm512_setzero_si512(), STEP_dot512)

#define DEFINE_fma512(i)                                                                           \
    __m512 a##i = _mm512_setzero_ps();                                                             \
    TOUCH("v", a##i);
#define KEEP_fma512(i) TOUCH("v", a##i);
#define STEP_fma512(i) a##i = _mm512_fmadd_ps(u, s, a##i);
LOOP(fma512, AVX512, __m512, "v", SIXTEEN, _mm512_setzero_ps(), STEP_fma512)

#define DEFINE_dot256(i)                                                                           \
    __m256i a##i = _mm256_setzero_si256();                                                         \
    TOUCH("x", a##i);
#define KEEP_dot256(i) TOUCH("x", a##i);
#define STEP_dot256(i) a##i = _mm256_dpbusd_avx_epi32(a##i, u, s);
LOOP(dot256, VNNI, __m256i, "x", TWELVE, _mm256_setzero_si256(), STEP_dot256)

#define DEFINE_fma256(i)                                                                           \
    __m256 a##i = _mm256_setzero_ps();                                                             \
    TOUCH("x", a##i);
#define KEEP_fma256(i) TOUCH("x", a##i);
#define STEP_fma256(i) a##i = _mm256_fmadd_ps(u, s, a##i);
LOOP(fma256, AVX2, __m256, "x", TWELVE, _mm256_setzero_ps(), STEP_fma256)

/* Eight vpmaddubsw added in 16 bits and one vpmaddwd, in five chains: with the operands, this uses
 * all registers. */
AVX2 static void maddubs(int64_t rounds)
{
    __m256i u = _mm256_setzero_si256(), s = u, ones = _mm256_set1_epi16(1);
    TOUCH("x", s);
#define DEFINE(i)                                                                                  \
    __m256i a##i = _mm256_setzero_si256(), p##i;                                                   \
    TOUCH("x", a##i);
    FIVE(DEFINE)
    for (int64_t r = 0; r < rounds; r++) {
#define FIRST(i)                                                                                   \
    p##i = _mm256_maddubs_epi16(u, s);                                                             \
    TOUCH("x", u);
        FIVE(FIRST)
#define NEXT(i)                                                                                    \
    p##i = _mm256_add_epi16(p##i, _mm256_maddubs_epi16(u, s));                                     \
    TOUCH("x", p##i);                                                                              \
    TOUCH("x", u);
#define SEVEN_TIMES(X) X X X X X X X
        SEVEN_TIMES(FIVE(NEXT))
#define WIDEN(i) a##i = _mm256_add_epi32(a##i, _mm256_madd_epi16(p##i, ones));
        FIVE(WIDEN)
    }
#define KEEP(i) TOUCH("x", a##i);
    FIVE(KEEP)
}

/* Four tiles of sums, two of each operand. */
__attribute__((target("amx-tile,amx-int8"))) static void tiles(int64_t rounds)
{
    const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t column_bytes[16];
        uint8_t rows[16];
    } c = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    __asm__ volatile("ldtilecfg %0" : : "m"(c));
    for (int64_t r = 0; r < rounds; r++)
        __asm__ volatile("tdpbsud %tmm6, %tmm4, %tmm0\n\ttdpbsud %tmm7, %tmm4, %tmm1\n\t"
                         "tdpbsud %tmm6, %tmm5, %tmm2\n\ttdpbsud %tmm7, %tmm5, %tmm3");
    __asm__ volatile("tilerelease");
}

static const struct limit_loop loops[] = {
    {PTQ_ISA_AVX2, 1, 2.0 * 32 * 5 * 8, maddubs},
    {PTQ_ISA_AVX2, 0, 2.0 * 8 * 12, fma256},
    {PTQ_ISA_AVX_VNNI, 1, 2.0 * 32 * 12, dot256},
    {PTQ_ISA_AVX_VNNI, 0, 2.0 * 8 * 12, fma256},
    {PTQ_ISA_AVX512_VNNI, 1, 2.0 * 64 * 16, dot512},
    {PTQ_ISA_AVX512_VNNI, 0, 2.0 * 16 * 16, fma512},
    {PTQ_ISA_AMX_INT8, 1, 2.0 * 16 * 16 * 64 * 4, tiles},
    {PTQ_ISA_AMX_INT8, 0, 2.0 * 16 * 16, fma512},
};
enum { LOOPS = sizeof loops / sizeof *loops };

void limit_cpu_name(char *name, int64_t capacity)
{
    uint32_t r[12];
    char text[49] = "unknown";
    if (__get_cpuid(0x80000002, &r[0], &r[1], &r[2], &r[3]) &&
        __get_cpuid(0x80000003, &r[4], &r[5], &r[6], &r[7]) &&
        __get_cpuid(0x80000004, &r[8], &r[9], &r[10], &r[11]))
        memcpy(text, r, sizeof r);
    text[48] = 0;
    for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
        text[n - 1] = 0;
    snprintf(name, (size_t)capacity, "%s", text[0] ? text : "unknown");
}
#else
#ifdef PTQI_ARM
#include <arm_neon.h>
#endif
static const struct limit_loop loops[1];
enum { LOOPS = 0 };

void limit_cpu_name(char *name, int64_t capacity)
{
    snprintf(name, (size_t)capacity, "unknown");
}
#endif

const struct limit_loop *limit_find(int32_t isa, int integer)
{
    for (int i = 0; i < LOOPS; i++)
        if (loops[i].isa == isa && loops[i].integer == integer)
            return &loops[i];
    return NULL;
}

/* The widest loads of the CPU, since narrower ones may be slower than memory. */
#define READ(name, attributes, type, load, constraint)                                             \
    attributes static void name(const char *memory, int64_t bytes, int streams)                    \
    {                                                                                              \
        const int64_t part = bytes / streams / 128 * 128, word = (int64_t)sizeof(type);            \
        for (int64_t i = 0; i < part; i += 128)                                                    \
            for (int s = 0; s < streams; s++)                                                      \
                for (int64_t j = 0; j < 128; j += word) {                                          \
                    const type w = load((const void *)(memory + s * part + i + j));                \
                    __asm__ volatile("" : : constraint(w));                                        \
                }                                                                                  \
    }

#ifdef PTQI_ARM
READ(read128, , uint8x16_t, vld1q_u8, "w")
#else
#define LOAD64(p) (*(const uint64_t *)(p))
READ(read64, , uint64_t, LOAD64, "r")
#endif
#ifdef PTQI_X86
READ(read256, AVX2, __m256i, _mm256_loadu_si256, "x")
READ(read512, AVX512, __m512i, _mm512_loadu_si512, "v")
#endif

void limit_read(const void *memory, int64_t bytes, int streams)
{
#ifdef PTQI_X86
    if (ptq_isa_usable(PTQ_ISA_AVX512_VNNI)) {
        read512(memory, bytes, streams);
        return;
    }
    if (ptq_isa_usable(PTQ_ISA_AVX2)) {
        read256(memory, bytes, streams);
        return;
    }
#endif
#ifdef PTQI_ARM
    read128(memory, bytes, streams);
#else
    read64(memory, bytes, streams);
#endif
}

/* The cache available to one core; sysconf may report the total of all. */
int64_t limit_cache_bytes(void)
{
    long bytes = 0, kilobytes = 0;
    FILE *file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
    if (file) {
        if (fscanf(file, "%ldK", &kilobytes) == 1)
            bytes = kilobytes << 10;
        fclose(file);
    }
#ifdef _SC_LEVEL3_CACHE_SIZE
    if (bytes <= 0)
        bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    return bytes > 0 && bytes < 1l << 30 ? bytes : 32l << 20;
}
