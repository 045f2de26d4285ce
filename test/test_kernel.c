/*
 * Every kernel of every instruction set against the portable one, in the manner of dav1d's
 * checkasm: random and extreme data, every number of rows, many sizes, memory that is aligned to
 * nothing, and canaries around what is written. The integer and f32 tiles are also held against
 * plain loops over the logical matrix, packed here by the words of kernel.h alone.
 */
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "kernel/kernel.h"

void test_kernel(void);

#define CANARY 0x5a
#define GUARD 256 /* bytes before and behind */

static uint64_t seed; /* of the data of the current round; printed where something differs */

/* Memory of bytes bytes at a multiple of 4 that is none of 8 where shift is 1, with canaries
 * around. */
struct guarded {
    uint8_t *memory;
    int64_t bytes, begin;
};

static struct guarded guard(int64_t bytes, int64_t begin)
{
    struct guarded g = {aligned_alloc(64, (size_t)((bytes + 2 * GUARD + 127) / 64 * 64)), bytes,
                        GUARD + begin};
    memset(g.memory, CANARY, (size_t)(bytes + 2 * GUARD));
    return g;
}

static void *in(const struct guarded *g)
{
    return g->memory + g->begin;
}

/* Frees the memory; 1 where the canaries are alive. */
static int unguard(struct guarded *g)
{
    int alive = 1;
    for (int64_t i = 0; i < g->begin; i++)
        alive &= g->memory[i] == CANARY;
    for (int64_t i = g->begin + g->bytes; i < g->bytes + 2 * GUARD; i++)
        alive &= g->memory[i] == CANARY;
    free(g->memory);
    return alive;
}

static void report(const struct ptqi_kernels *k, const char *what, int64_t size)
{
    printf("    %s: %s, size %lld, seed %llu\n", ptq_isa_name(k->isa), what, (long long)size,
           (unsigned long long)seed);
}

#define EXPECT(condition, what, size)                                                              \
    do {                                                                                           \
        if (!CHECK(condition))                                                                     \
            report(kernels, what, size);                                                           \
    } while (0)

/* Integer weights, unpacked: [nr][k] codes, [nr][groups] scales and zeros. */
struct logical {
    int64_t k, groups, group_blocks, blocks;
    int rows, nr, bits, with_zeros;
    int32_t zero;
    uint8_t *codes;
    float *scales;
    int32_t *zeros, *sums;
    int8_t *x;
};

enum { RANDOM, EXTREME, WRAPPING };

static float any_scale(struct random *r, int kind)
{
    static const float special[] = {0.0f, -0.0f, 1e-41f, -1e-45f, 1e30f, -1e30f, 1.0f, 0x1p-126f};
    return kind == RANDOM ? random_normal(r) * 0.01f : special[random_below(r, 8)];
}

static struct logical make_logical(struct random *r, int rows, int nr, int bits, int64_t k,
                                   int64_t group_blocks, int kind)
{
    struct logical l = {.k = k, .group_blocks = group_blocks, .rows = rows, .nr = nr, .bits = bits};
    const int top = (1 << bits) - 1;
    l.blocks = (k + 31) / 32;
    l.groups = (l.blocks + group_blocks - 1) / group_blocks;
    l.codes = malloc((size_t)(nr * k));
    l.scales = malloc((size_t)(nr * l.groups) * 4);
    l.zeros = malloc((size_t)(nr * l.groups) * 4);
    l.sums = calloc((size_t)(rows * l.groups), 4);
    l.x = calloc((size_t)(rows * l.blocks * 32), 1);
    l.with_zeros = (int)random_below(r, 2);
    l.zero = 1 << (bits - 1);
    for (int64_t i = 0; i < nr * k; i++)
        l.codes[i] = (uint8_t)(kind ? (random_below(r, 3) ? top : 0) : random_below(r, top + 1));
    for (int64_t i = 0; i < nr * l.groups; i++) {
        l.scales[i] = any_scale(r, kind);
        l.zeros[i] = kind == WRAPPING ? (int32_t)random_bits(r) : (int32_t)random_below(r, top + 1);
    }
    for (int m = 0; m < rows; m++)
        for (int64_t i = 0; i < k; i++) {
            int value = kind ? (random_below(r, 4) ? 127 : -127) : (int)random_below(r, 255) - 127;
            l.x[m * l.blocks * 32 + i] = (int8_t)value;
            l.sums[m * l.groups + i / (32 * group_blocks)] += value;
        }
    for (int64_t i = 0; kind == WRAPPING && i < rows * l.groups; i++)
        l.sums[i] = (int32_t)random_bits(r);
    return l;
}

static void free_logical(struct logical *l)
{
    free(l->codes);
    free(l->scales);
    free(l->zeros);
    free(l->sums);
    free(l->x);
}

/* 8-bit codes and zeros are held minus 128. */
static int32_t held(const struct logical *l, int32_t value)
{
    return l->bits == 8 ? (int32_t)((uint32_t)value - 128u) : value;
}

/* The panel of kernel.h, in memory that is aligned to 4 bytes at most. */
static struct ptqi_panel pack(const struct logical *l, struct guarded *codes,
                              struct guarded *scales, struct guarded *zeros)
{
    const int64_t block_bytes = (int64_t)l->nr * 32 * (l->bits == 8 ? 8 : 4) / 8;
    *codes = guard(l->blocks * block_bytes, 4);
    *scales = guard(l->nr * l->groups * 4, 12);
    *zeros = guard(l->nr * l->groups * 4, 20);
    uint8_t *out = in(codes);
    float *scale = in(scales);
    int32_t *zero = in(zeros);
    memset(out, 0, (size_t)codes->bytes);
    for (int n = 0; n < l->nr; n++) {
        for (int64_t c = 0; c < l->k; c++) {
            uint8_t *block = out + c / 32 * block_bytes;
            int64_t quad = c % 32 / 4, i = c % 4;
            if (l->bits == 8)
                block[(quad * l->nr + n) * 4 + i] = (uint8_t)held(l, l->codes[n * l->k + c]);
            else
                block[(quad % 4 * l->nr + n) * 4 + i] |=
                    (uint8_t)(l->codes[n * l->k + c] << (quad < 4 ? 0 : 4));
        }
        for (int64_t g = 0; g < l->groups; g++) {
            scale[g * l->nr + n] = l->scales[n * l->groups + g];
            zero[g * l->nr + n] = held(l, l->zeros[n * l->groups + g]);
        }
    }
    return (struct ptqi_panel){.codes = out,
                               .scales = scale,
                               .zeros = l->with_zeros ? zero : NULL,
                               .zero = held(l, l->zero),
                               .blocks = l->blocks,
                               .group_blocks = l->group_blocks};
}

/* The formula of kernel.h for one output. 8-bit codes: what is held takes part, as the sums may be
 * any number here. */
static float plain_output(const struct logical *l, int m, int n)
{
    float out = 0;
    for (int64_t g = 0; g < l->groups; g++) {
        int32_t zero = held(l, l->with_zeros ? l->zeros[n * l->groups + g] : l->zero);
        uint32_t dot = 0u - (uint32_t)zero * (uint32_t)l->sums[m * l->groups + g];
        for (int64_t c = g * l->group_blocks * 32; c < (g + 1) * l->group_blocks * 32; c++)
            if (c < l->k)
                dot += (uint32_t)(held(l, l->codes[n * l->k + c]) * l->x[m * l->blocks * 32 + c]);
        out = fmaf(l->scales[n * l->groups + g], (float)(int32_t)dot, out);
    }
    return out;
}

static void check_tile(const struct ptqi_kernels *kernels, int rows, int bits, int64_t k,
                       int64_t group_blocks, int kind)
{
    struct random r = {++seed};
    struct guarded codes, scales, zeros;
    struct logical l = make_logical(&r, rows, kernels->int_nr, bits, k, group_blocks, kind);
    struct ptqi_panel panel = pack(&l, &codes, &scales, &zeros);
    const int64_t ldx = l.blocks * 32 + 5, ldsums = l.groups + 1;
    struct guarded out = guard((int64_t)rows * l.nr * 4, 4), x = guard(rows * ldx, 1);
    struct guarded sums = guard(rows * ldsums * 4, 4);
    for (int m = 0; m < rows; m++) {
        memcpy((int8_t *)in(&x) + m * ldx, l.x + m * l.blocks * 32, (size_t)l.blocks * 32);
        memcpy((int32_t *)in(&sums) + m * ldsums, l.sums + m * l.groups, (size_t)l.groups * 4);
    }
    (bits == 8 ? kernels->w8a8_tile : kernels->w4a8_tile)(rows, &panel, in(&x), ldx, in(&sums),
                                                          ldsums, in(&out));
    int wrong = 0;
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < l.nr; n++) {
            float want = plain_output(&l, m, n);
            wrong += memcmp((float *)in(&out) + m * l.nr + n, &want, 4) != 0;
        }
    EXPECT(wrong == 0, bits == 8 ? "w8a8_tile" : "w4a8_tile", k);
    int alive = unguard(&out) & unguard(&x) & unguard(&sums);
    alive &= unguard(&codes) & unguard(&scales) & unguard(&zeros);
    EXPECT(alive, "integer tile, canaries", k);
    free_logical(&l);
}

static void test_integer_tiles(const struct ptqi_kernels *kernels)
{
    static const int64_t sizes[] = {1, 31, 32, 33, 64, 96, 100, 128, 160, 577, 4096};
    static const int64_t groups[] = {1, 2, 4, 1 << 20};
    for (int rows = 1; rows <= kernels->int_mr; rows++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int g = 0; g < 4; g++) {
                int64_t blocks = (sizes[s] + 31) / 32, group = groups[g];
                for (int kind = RANDOM; kind <= WRAPPING; kind++) {
                    check_tile(kernels, rows, 4, sizes[s], group < blocks ? group : blocks, kind);
                    check_tile(kernels, rows, 8, sizes[s], group < blocks ? group : blocks, kind);
                }
            }
}

/* Numbers of all sizes, without products that overflow: the sign of a NaN is no one's promise. */
static float any_float(struct random *r)
{
    static const float special[] = {0.0f, -0.0f, 1e-45f, -1e-40f, 1e15f, -1e15f, 1.0f, 0x1p-126f};
    return random_below(r, 8) ? random_normal(r) : special[random_below(r, 8)];
}

static void check_f32_tile(const struct ptqi_kernels *kernels, int rows, int64_t k, int by_columns,
                           int accumulate)
{
    struct random r = {++seed};
    const int nr = kernels->f32_nr;
    const int64_t a_row = by_columns ? 1 : k + 3, a_k = by_columns ? rows + 2 : 1, ldc = nr + 5;
    struct guarded a = guard((rows * (k + 3) + k * (rows + 2)) * 4, 4);
    struct guarded b = guard(k * nr * 4, 4), c = guard(rows * ldc * 4, 4);
    float *pa = in(&a), *pb = in(&b), *pc = in(&c);
    for (int64_t i = 0; i < a.bytes / 4; i++)
        pa[i] = any_float(&r);
    for (int64_t i = 0; i < k * nr; i++)
        pb[i] = any_float(&r);
    for (int64_t i = 0; i < rows * ldc; i++)
        pc[i] = any_float(&r);
    float *want = malloc((size_t)(rows * ldc) * 4);
    memcpy(want, pc, (size_t)(rows * ldc) * 4);
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < nr; n++) {
            float sum = accumulate ? pc[m * ldc + n] : 0.0f;
            for (int64_t i = 0; i < k; i++)
                sum = fmaf(pa[m * a_row + i * a_k], pb[i * nr + n], sum);
            want[m * ldc + n] = sum;
        }
    kernels->f32_tile(rows, k, pa, a_row, a_k, pb, pc, ldc, accumulate);
    EXPECT(!memcmp(pc, want, (size_t)(rows * ldc) * 4), "f32_tile", k);
    free(want);
    int alive = unguard(&a) & unguard(&b) & unguard(&c);
    EXPECT(alive, "f32_tile, canaries", k);
}

static void check_transpose(const struct ptqi_kernels *kernels, int64_t k)
{
    struct random r = {++seed};
    const int nr = kernels->f32_nr;
    const int64_t ld = k + 3;
    struct guarded in_rows = guard(nr * ld * 4, 4), out = guard(k * nr * 4, 4);
    uint32_t *from = in(&in_rows), *to = in(&out);
    int wrong = 0;
    for (int64_t i = 0; i < nr * ld; i++)
        /* any bits come through, also those of negative zeros and of signalling NaNs */
        from[i] = random_below(&r, 2)   ? (uint32_t)random_bits(&r)
                  : random_below(&r, 2) ? 0x80000000u
                                        : 0x7f800001u;
    kernels->f32_transpose(in(&in_rows), ld, k, in(&out));
    for (int64_t i = 0; i < k; i++)
        for (int n = 0; n < nr; n++)
            wrong += to[i * nr + n] != from[n * ld + i];
    EXPECT(wrong == 0, "f32_transpose", k);
    int alive = unguard(&in_rows) & unguard(&out);
    EXPECT(alive, "f32_transpose, canaries", k);
}

static void test_f32_tiles(const struct ptqi_kernels *kernels)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 16, 31, 64, 255, 300};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int rows = 1; rows <= kernels->f32_mr; rows++)
            for (int variant = 0; variant < 4; variant++)
                check_f32_tile(kernels, rows, sizes[s], variant & 1, variant & 2);
        check_transpose(kernels, sizes[s]);
    }
}

/* Row operations: x, y of n numbers go in, out comes out; all beside canaries. */
struct vectors {
    struct guarded x, y, out;
    int64_t n;
};

static struct vectors make_vectors(int64_t n)
{
    struct random r = {++seed};
    struct vectors v = {guard(n * 4, 4), guard(n * 4, 12), guard(n * 4, 8), n};
    float *x = in(&v.x), *y = in(&v.y);
    for (int64_t i = 0; i < n; i++) {
        x[i] = any_float(&r);
        y[i] = any_float(&r);
    }
    return v;
}

static int free_vectors(struct vectors *v)
{
    return unguard(&v->x) & unguard(&v->y) & unguard(&v->out);
}

static int same(float a, float b)
{
    return ptqi_bits(a) == ptqi_bits(b);
}

static void check_reductions(const struct ptqi_kernels *kernels, int64_t n)
{
    const struct ptqi_kernels *p = &ptqi_kernels_portable;
    struct vectors v = make_vectors(n);
    const float *x = in(&v.x), *y = in(&v.y);
    double most = 0, squares = 0, exps = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i]));
        squares += (double)x[i] * (double)x[i];
        exps += exp((double)fminf(y[i], 8.0f) - 4);
    }
    EXPECT(same(kernels->absmax(x, n), (float)most), "absmax", n);
    EXPECT(same(kernels->sum_squares(x, n), p->sum_squares(x, n)), "sum_squares", n);
    EXPECT(fabs((double)kernels->sum_squares(x, n) - squares) <= 1e-5 * squares + 1e-36,
           "sum_squares", n);
    float *limited = in(&v.out);
    for (int64_t i = 0; i < n; i++)
        limited[i] = fminf(y[i], 8.0f);
    float sum = kernels->sum_exp(limited, 4.0f, n);
    EXPECT(same(sum, p->sum_exp(limited, 4.0f, n)), "sum_exp", n);
    EXPECT(fabs((double)sum - exps) <= 1e-5 * exps, "sum_exp", n);
    EXPECT(free_vectors(&v), "reductions, canaries", n);
}

static void check_elementwise(const struct ptqi_kernels *kernels, int64_t n)
{
    const struct ptqi_kernels *p = &ptqi_kernels_portable;
    struct vectors v = make_vectors(n);
    float *x = in(&v.x), *y = in(&v.y), *out = in(&v.out);
    float *want = malloc((size_t)n * 4 + 4);
    for (int64_t i = 0; i < n; i++)
        y[i] = y[i] == 0 ? 1 : y[i];
    kernels->divide(x, y, out, n);
    p->divide(x, y, want, n);
    EXPECT(!memcmp(out, want, (size_t)n * 4), "divide", n);
    int wrong = 0;
    for (int64_t i = 0; i < n; i++)
        wrong += !same(want[i], x[i] / y[i]);
    for (int in_place = 0; in_place < 2; in_place++) {
        memcpy(out, x, (size_t)n * 4);
        kernels->silu_multiply(in_place ? out : x, y, out, n);
        p->silu_multiply(x, y, want, n);
        EXPECT(!memcmp(out, want, (size_t)n * 4), "silu_multiply", n);
    }
    for (int64_t i = 0; i < n; i++) {
        double silu = (double)x[i] / (1 + exp(-(double)x[i])) * (double)y[i];
        wrong += fabs((double)want[i] - silu) > 1e-6 * fabs(silu) + 1e-30;
    }
    memcpy(out, x, (size_t)n * 4);
    memcpy(want, x, (size_t)n * 4);
    kernels->gelu(out, n);
    p->gelu(want, n);
    EXPECT(!memcmp(out, want, (size_t)n * 4), "gelu", n);
    for (int64_t i = 0; i < n; i++) {
        double at = (double)x[i], u = 0.7978845608028654 * (at + 0.044715 * at * at * at);
        double gelu = 0.5 * at * (1 + tanh(u));
        wrong += fabs((double)want[i] - gelu) > 1e-6 * (1 + fabs(at));
    }
    memcpy(out, x, (size_t)n * 4);
    kernels->subtract_scaled(out, y, 0.3f, n);
    for (int64_t i = 0; i < n; i++)
        wrong += !same(out[i], fmaf(-0.3f, y[i], x[i]));
    EXPECT(wrong == 0, "elementwise, against plain loops", n);
    free(want);
    EXPECT(free_vectors(&v), "elementwise, canaries", n);
}

static void check_quantize(const struct ptqi_kernels *kernels, int64_t n)
{
    static const float scales[] = {0.01f, 1.0f, 1e-44f, 3e38f, 0.5f};
    for (int s = 0; s < 5; s++) {
        struct vectors v = make_vectors(n);
        struct guarded q = guard(n, 3);
        float *x = in(&v.x);
        int wrong = 0;
        for (int64_t i = 0; i < n && s == 4; i++)
            x[i] = (float)(i - n / 2) / 4; /* ties */
        kernels->quantize(x, scales[s], in(&q), n);
        for (int64_t i = 0; i < n; i++)
            wrong +=
                ((int8_t *)in(&q))[i] != (int8_t)rintf(fmaxf(-127, fminf(127, x[i] / scales[s])));
        EXPECT(wrong == 0, "quantize", n);
        int alive = unguard(&q);
        alive &= free_vectors(&v);
        EXPECT(alive, "quantize, canaries", n);
    }
}

static void check_softmax(const struct ptqi_kernels *kernels, int64_t n)
{
    struct vectors v = make_vectors(n);
    float *x = in(&v.x), *want = in(&v.y);
    double sum = 0;
    memcpy(want, x, (size_t)n * 4);
    kernels->softmax(x, n);
    ptqi_kernels_portable.softmax(want, n);
    EXPECT(!memcmp(x, want, (size_t)n * 4), "softmax", n);
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    EXPECT(fabs(sum - 1) < 1e-5, "softmax, the sum", n);
    EXPECT(free_vectors(&v), "softmax, canaries", n);
}

static void check_shrink(const struct ptqi_kernels *kernels, int64_t n, int candidates)
{
    struct vectors v = make_vectors(n);
    struct guarded errors = guard((int64_t)candidates * 4, 4);
    struct random r = {seed};
    float scales[80], zeros[80], want[80], *x = in(&v.x);
    for (int i = 0; i < candidates; i++) {
        scales[i] = i % 11 ? fabsf(random_normal(&r)) + 1e-6f : 1e-38f;
        zeros[i] = (float)random_below(&r, 16);
    }
    for (int64_t i = 0; i < n; i++) /* no infinite errors, whose differences are NaNs */
        x[i] = fmaxf(-1e6f, fminf(1e6f, x[i]));
    kernels->shrink_errors(x, n, scales, zeros, 15, candidates, in(&errors));
    ptqi_kernels_portable.shrink_errors(x, n, scales, zeros, 15, candidates, want);
    EXPECT(!memcmp(in(&errors), want, (size_t)candidates * 4), "shrink_errors", n);
    int wrong = 0;
    for (int c = 0; c < candidates; c++) {
        double sum = 0, slack = 1e-30; /* of the f32 rounding of scale (code - zero) */
        for (int64_t i = 0; i < n; i++) {
            double code = rint((double)(x[i] / scales[c])) + (double)zeros[c];
            double back = (double)scales[c] * (fmax(0, fmin(15, code)) - (double)zeros[c]);
            double error = pow(fabs(back - (double)x[i]), 2.4);
            sum += error;
            slack += pow(fabs(back - (double)x[i]) + 1e-7 * fabs(back), 2.4) - error;
        }
        wrong += fabs((double)want[c] - sum) > 1e-4 * sum + slack;
    }
    EXPECT(wrong == 0, "shrink_errors, against plain loops", n);
    int alive = unguard(&errors);
    alive &= free_vectors(&v);
    EXPECT(alive, "shrink_errors, canaries", n);
}

static void test_vectors(const struct ptqi_kernels *kernels)
{
    for (int64_t n = 0; n < 600; n += n < 70 ? 1 : 97) {
        check_reductions(kernels, n);
        check_elementwise(kernels, n);
        check_quantize(kernels, n);
        if (n)
            check_softmax(kernels, n);
        if (n < 40 || n % 2)
            for (int candidates = 0; candidates <= 80; candidates += 16)
                check_shrink(kernels, n, candidates);
    }
}

void test_kernel(void)
{
    static const int32_t isas[] = {PTQ_ISA_PORTABLE,     PTQ_ISA_AVX2,     PTQ_ISA_AVX_VNNI,
                                   PTQ_ISA_AVX512_VNNI,  PTQ_ISA_AMX_INT8, PTQ_ISA_NEON,
                                   PTQ_ISA_NEON_DOTPROD, PTQ_ISA_NEON_I8MM};
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        char reason[64];
        if (!ptq_isa_usable(isas[i])) {
            snprintf(reason, sizeof reason, "kernels for %s: not on this CPU or in this build",
                     ptq_isa_name(isas[i]));
            test_skip(reason);
            continue;
        }
        CHECK_OK(ptq_context_set_isa(context, isas[i]));
        const struct ptqi_kernels *kernels = context->kernels;
        CHECK(kernels->isa == isas[i] && kernels->int_mr <= PTQI_MAX_MR &&
              kernels->int_nr <= PTQI_MAX_NR && kernels->f32_mr <= PTQI_MAX_MR &&
              kernels->f32_nr <= PTQI_MAX_NR);
        for (int round = 0; round < (test_long() ? 30 : 1); round++) {
            seed = (uint64_t)round * 1000000;
            test_integer_tiles(kernels);
            test_f32_tiles(kernels);
            test_vectors(kernels);
        }
    }
    ptq_context_free(context);
}
