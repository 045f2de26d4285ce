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
#include "base/cpu.h"
#include "base/half.h"
#include "kernel/kernel.h"

extern const struct ptqi_kernels ptqi_kernels_evex; /* evex.c */

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
    int rows, nr, bits, with_zeros, half;
    int32_t zero;
    uint8_t *codes, *zeros;
    float *scales;
    int32_t *sums;
    int8_t *x;
};

enum { RANDOM, EXTREME, LARGEST }; /* the last: sums as large as they can be */

static float any_scale(struct random *r, int kind, int half)
{
    static const float special[] = {0.0f, -0.0f, 1e-41f, -1e-45f, 1e30f, -1e30f, 1.0f, 0x1p-126f};
    float scale = kind == RANDOM ? random_normal(r) * 0.01f : special[random_below(r, 8)];
    if (half && kind == RANDOM)
        return ptqi_round_to(scale, PTQ_F16);
    if (half) /* denormals of f16, negative zero, the largest */
        return ptqi_f16_to_f32((uint16_t)(random_bits(r) % 0x7c00 | (random_bits(r) & 0x8000)));
    return scale;
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
    l.zeros = malloc((size_t)(nr * l.groups));
    l.sums = calloc((size_t)(rows * l.groups), 4);
    l.x = calloc((size_t)(rows * l.blocks * 32), 1);
    l.with_zeros = (int)random_below(r, 2);
    l.half = (int)random_below(r, 2);
    l.zero = 1 << (bits - 1);
    for (int64_t i = 0; i < nr * k; i++)
        l.codes[i] = (uint8_t)(kind == RANDOM                          ? random_below(r, top + 1)
                               : kind == LARGEST || random_below(r, 3) ? top
                                                                       : 0);
    for (int64_t i = 0; i < nr * l.groups; i++) {
        l.scales[i] = any_scale(r, kind, l.half);
        l.zeros[i] = (uint8_t)(kind == LARGEST ? 0 : random_below(r, top + 1));
    }
    for (int m = 0; m < rows; m++)
        for (int64_t i = 0; i < k; i++) {
            int value = (int)random_below(r, 255) - 127;
            if (kind != RANDOM)
                value = kind == LARGEST || random_below(r, 4) ? 127 : -127;
            l.x[m * l.blocks * 32 + i] = (int8_t)value;
            l.sums[m * l.groups + i / (32 * group_blocks)] += value;
        }
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

/* The codes of a group of one row, as kernel.h says. */
static void pack_row(const struct logical *l, int n, int64_t g, int strip, int offset, uint8_t *out)
{
    const int64_t first = g * l->group_blocks * 32;
    int64_t blocks = l->blocks - g * l->group_blocks;
    blocks = blocks < l->group_blocks ? blocks : l->group_blocks;
    out += n / strip * (blocks * strip * 4 * l->bits);
    const uint8_t *codes = l->codes + n * l->k;
    n %= strip;
    for (int64_t c = first; c < first + l->group_blocks * 32 && c < l->k; c++) {
        uint8_t *block = out + (c - first) / 32 * strip * 4 * l->bits;
        int64_t quad = c % 32 / 4, i = c % 4;
        uint8_t code = codes[c];
        if (l->bits == 8)
            block[(quad * strip + n) * 4 + i] = (uint8_t)(code - offset);
        else
            block[(quad % 4 * strip + n) * 4 + i] |= (uint8_t)(code << (quad < 4 ? 0 : 4));
    }
}

/* The panel of kernel.h, in memory that is aligned to 4 bytes at most. */
static struct ptqi_panel pack(const struct ptqi_kernels *kernels, const struct logical *l,
                              struct guarded *data)
{
    const int scale_bytes = l->half ? 2 : 4, offset = l->bits == 8 ? kernels->w8_offset : 0;
    const int64_t row = (l->with_zeros + scale_bytes) * l->groups + 4 * l->bits * l->blocks;
    *data = guard(l->nr * row, 4);
    uint8_t *out = in(data);
    memset(out, 0, (size_t)data->bytes);
    for (int64_t g = 0; g < l->groups; g++) {
        int64_t left = l->blocks - g * l->group_blocks;
        uint8_t *zeros = out + l->nr * scale_bytes;
        uint8_t *codes = zeros + l->nr * l->with_zeros;
        for (int n = 0; n < l->nr; n++) {
            float scale = l->scales[n * l->groups + g];
            uint16_t half = ptqi_f32_to_f16(scale);
            memcpy(out + n * scale_bytes, l->half ? (void *)&half : &scale, (size_t)scale_bytes);
            if (l->with_zeros)
                zeros[n] = l->zeros[n * l->groups + g];
            pack_row(l, n, g, kernels->int_strip, offset, codes);
        }
        out = codes + l->nr * 4 * l->bits * (left < l->group_blocks ? left : l->group_blocks);
    }
    return (struct ptqi_panel){.data = in(data),
                               .scale_bytes = scale_bytes,
                               .has_zeros = l->with_zeros,
                               .zero = l->zero - offset,
                               .blocks = l->blocks,
                               .group_blocks = l->group_blocks};
}

/* The formula of kernel.h for one output. */
static float plain_output(const struct logical *l, int m, int n)
{
    float out = 0;
    for (int64_t g = 0; g < l->groups; g++) {
        int32_t zero = l->with_zeros ? l->zeros[n * l->groups + g] : l->zero;
        uint32_t dot = 0u - (uint32_t)zero * (uint32_t)l->sums[m * l->groups + g];
        for (int64_t c = g * l->group_blocks * 32; c < (g + 1) * l->group_blocks * 32; c++)
            if (c < l->k)
                dot += (uint32_t)(l->codes[n * l->k + c] * l->x[m * l->blocks * 32 + c]);
        out = fmaf(l->scales[n * l->groups + g], (float)(int32_t)dot, out);
    }
    return out;
}

/* A call of the kernels under test: x and sums in memory of their own, out. */
struct call {
    struct guarded data, x, sums, out;
    struct ptqi_panel panel;
    int64_t ldx, ldsums;
};

static struct call make_call(const struct ptqi_kernels *kernels, const struct logical *l)
{
    struct call c = {.ldx = l->blocks * 32 + 5, .ldsums = l->groups + 1};
    c.panel = pack(kernels, l, &c.data);
    c.out = guard((int64_t)l->rows * l->nr * 4, 4);
    c.x = guard(l->rows * c.ldx, 1);
    c.sums = guard(l->rows * c.ldsums * 4, 4);
    for (int m = 0; m < l->rows; m++) {
        memcpy((int8_t *)in(&c.x) + m * c.ldx, l->x + m * l->blocks * 32, (size_t)l->blocks * 32);
        memcpy((int32_t *)in(&c.sums) + m * c.ldsums, l->sums + m * l->groups,
               (size_t)l->groups * 4);
    }
    return c;
}

static int free_call(struct call *c)
{
    return unguard(&c->data) & unguard(&c->x) & unguard(&c->sums) & unguard(&c->out);
}

static int is_right(const struct logical *l, const struct call *c, const float *want)
{
    return !memcmp(in(&c->out), want, (size_t)(l->rows * l->nr) * 4);
}

/* The tile over chunks of so many blocks: whole groups where they hold one, else parts. */
static void run_chunks(const struct ptqi_kernels *kernels, const struct logical *l, struct call *c,
                       int64_t chunk_blocks)
{
    const int nr = l->nr;
    struct guarded room = guard(l->blocks * 32 * nr, 4), partial = guard(l->rows * nr * 4, 4);
    struct guarded scales = guard(l->groups * nr * 4, 4), zeros = guard(l->groups * nr * 4, 4);
    struct ptqi_chunk chunk = {
        .room = in(&room), .scale_room = in(&scales), .zero_room = in(&zeros)};
    memset(in(&c->out), 0, (size_t)(l->rows * nr) * 4);
    for (int64_t at = 0; at < l->blocks; at += chunk.blocks) {
        int64_t in_group = at % l->group_blocks, to_end = l->blocks - at;
        int64_t group_left = l->group_blocks - in_group;
        group_left = group_left < to_end ? group_left : to_end;
        chunk.first_group = at / l->group_blocks;
        chunk.first_block = in_group;
        chunk.resume = in_group > 0;
        if (chunk_blocks < l->group_blocks) {
            chunk.blocks = chunk_blocks < group_left ? chunk_blocks : group_left;
            chunk.groups = 1;
        } else {
            chunk.blocks = chunk_blocks / l->group_blocks * l->group_blocks;
            chunk.blocks = chunk.blocks < to_end ? chunk.blocks : to_end;
            chunk.groups = (chunk.blocks + l->group_blocks - 1) / l->group_blocks;
        }
        chunk.leave = chunk_blocks < l->group_blocks && chunk.blocks < group_left;
        (l->bits == 8 ? kernels->w8_unpack : kernels->w4_unpack)(&c->panel, &chunk);
        (l->bits == 8 ? kernels->w8a8_tile : kernels->w4a8_tile)(
            l->rows, &chunk, (int8_t *)in(&c->x) + at * 32, c->ldx,
            (int32_t *)in(&c->sums) + chunk.first_group, c->ldsums, in(&c->out), in(&partial));
    }
    int alive = unguard(&room) & unguard(&partial) & unguard(&scales) & unguard(&zeros);
    EXPECT(alive, "integer tile, canaries of a chunk", l->k);
}

static void check_integer(const struct ptqi_kernels *kernels, int rows, int bits, int64_t k,
                          int64_t group_blocks, int kind)
{
    static const int64_t chunks[] = {1, 3, 4, 8, 1 << 20};
    struct random r = {++seed};
    struct logical l = make_logical(&r, rows, kernels->int_nr, bits, k, group_blocks, kind);
    struct call c = make_call(kernels, &l);
    float *want = malloc((size_t)(rows * l.nr) * 4);
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < l.nr; n++)
            want[m * l.nr + n] = plain_output(&l, m, n);
    if (rows <= kernels->stream_mr) {
        (bits == 8 ? kernels->w8a8_stream : kernels->w4a8_stream)(
            rows, &c.panel, in(&c.x), c.ldx, in(&c.sums), c.ldsums, in(&c.out));
        EXPECT(is_right(&l, &c, want), bits == 8 ? "w8a8_stream" : "w4a8_stream", k);
    }
    for (int i = 0; i < 5 && kernels->tile_mr; i++) {
        run_chunks(kernels, &l, &c, chunks[i]);
        EXPECT(is_right(&l, &c, want), bits == 8 ? "w8a8_tile" : "w4a8_tile", k);
    }
    EXPECT(free_call(&c), "integer product, canaries", k);
    free(want);
    free_logical(&l);
}

static void test_integers(const struct ptqi_kernels *kernels)
{
    static const int64_t sizes[] = {1, 31, 32, 33, 64, 96, 100, 128, 160, 577, 1024};
    static const int64_t groups[] = {1, 2, 4, 1 << 20};
    const int most =
        2 * kernels->tile_mr > kernels->stream_mr ? 2 * kernels->tile_mr : kernels->stream_mr;
    for (int rows = 1; rows <= most; rows++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int g = 0; g < 4; g++) {
                int64_t blocks = (sizes[s] + 31) / 32, group = groups[g];
                for (int kind = RANDOM; kind <= EXTREME; kind++)
                    for (int bits = 4; bits <= 8; bits += 4)
                        check_integer(kernels, rows, bits, sizes[s],
                                      group < blocks ? group : blocks, kind);
            }
    /* Sums of 8-bit products go beyond 2^31 here and wrap. */
    check_integer(kernels, 1, 8, 70000, 4, LARGEST);
    check_integer(kernels, 1, 8, 70000, 1 << 20, LARGEST);
    check_integer(kernels, 2, 8, 140000, 1 << 20, EXTREME);
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
    EXPECT(same(ptqi_from_bits(kernels->magnitude(x, n)), (float)most), "magnitude", n);
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
    static const int64_t groups[] = {32, 64, 96, 128, 1 << 20};
    for (int s = 0; s < 25; s++) {
        const float scale = scales[s % 5];
        const int64_t group = groups[s / 5] < n ? groups[s / 5] : n + !n;
        struct vectors v = make_vectors(n);
        struct guarded q = guard(n, 3), sums = guard((n + group - 1) / group * 4, 4);
        float *x = in(&v.x);
        int8_t *code = in(&q);
        int wrong = 0;
        int32_t sum = 0;
        for (int64_t i = 0; i < n && s % 5 == 4; i++)
            x[i] = (float)(i - n / 2) / 4; /* ties */
        kernels->quantize(x, scale, n, group, code, in(&sums));
        for (int64_t i = 0; i < n; i++) {
            wrong += code[i] != (int8_t)rintf(fmaxf(-127, fminf(127, x[i] / scale)));
            sum += code[i];
            if ((i + 1) % group == 0 || i + 1 == n) {
                wrong += ((int32_t *)in(&sums))[i / group] != sum;
                sum = 0;
            }
        }
        EXPECT(wrong == 0, "quantize", n);
        int alive = unguard(&q) & unguard(&sums);
        alive &= free_vectors(&v);
        EXPECT(alive, "quantize, canaries", n);
    }
}

/* The place of a number that is not finite does not matter. */
static void check_not_finite(const struct ptqi_kernels *kernels, int64_t n)
{
    static const uint32_t bad[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001};
    struct vectors v = make_vectors(n);
    uint32_t *x = in(&v.x);
    int wrong = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t kept = x[i];
        x[i] = bad[i % 5];
        wrong += kernels->magnitude(in(&v.x), n) != (bad[i % 5] & 0x7fffffff);
        x[i] = kept;
    }
    EXPECT(wrong == 0, "magnitude", n);
    EXPECT(free_vectors(&v), "magnitude, canaries", n);
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

/* sum scale + bias, and one NaN. */
static void check_finish(const struct ptqi_kernels *kernels, int64_t n)
{
    static const float scales[] = {0.01f, -0.0f, 1e-44f, 1e38f, NAN};
    for (int s = 0; s < 10; s++) {
        struct vectors v = make_vectors(n);
        float *x = in(&v.x), *bias = in(&v.y), *out = in(&v.out), scale = scales[s / 2];
        int wrong = 0;
        for (int64_t i = 0; i < n; i += 5)
            x[i] = i % 2 ? INFINITY : -INFINITY;
        kernels->finish(x, scale, s % 2 ? bias : NULL, out, n);
        for (int64_t i = 0; i < n; i++) {
            float want = s % 2 ? fmaf(x[i], scale, bias[i]) : x[i] * scale;
            wrong += ptqi_bits(out[i]) != (want == want ? ptqi_bits(want) : 0x7fc00000u);
        }
        EXPECT(wrong == 0, "finish", n);
        EXPECT(free_vectors(&v), "finish, canaries", n);
    }
}

/* Codes in words: dequantized, and multiplied with rows of x. */
struct word_case {
    struct guarded words, x, out;
    struct ptqi_words w;
    float scales[3 * PTQI_MAX_NR];
    int32_t zeros[3 * PTQI_MAX_NR], group_of[300];
};

static void make_words(struct word_case *c, int64_t k, int bits, int nr, int by_group)
{
    struct random r = {++seed};
    const int64_t per_word = 32 / bits, words = (k + per_word - 1) / per_word;
    c->words = guard(words * nr * 4, 4);
    c->x = guard(4 * (k + 3) * 4, 4);
    c->out = guard((k > 4 ? k : 4) * nr * 4, 4);
    uint32_t *word = in(&c->words);
    float *x = in(&c->x);
    for (int64_t i = 0; i < words * nr; i++)
        word[i] = (uint32_t)random_bits(&r);
    for (int64_t i = 0; i < 4 * (k + 3); i++)
        x[i] = random_normal(&r);
    for (int i = 0; i < 3 * nr; i++) {
        c->scales[i] = any_scale(&r, (int)random_below(&r, 2), 0);
        c->zeros[i] = (int32_t)random_below(&r, 1 << bits);
    }
    for (int64_t i = 0; i < k; i++)
        c->group_of[i] = (int32_t)(by_group ? 3 * i / k : random_below(&r, 3));
    c->w = (struct ptqi_words){.words = word,
                               .bits = bits,
                               .k = k,
                               .group_of = c->group_of,
                               .scales = c->scales,
                               .zeros = random_below(&r, 2) ? c->zeros : NULL,
                               .zero = 7};
}

static float weight_of(const struct word_case *c, int nr, int64_t i, int n)
{
    const int64_t per_word = 32 / c->w.bits, at = c->group_of[i] * nr + n;
    const uint32_t word = c->w.words[i / per_word * nr + n];
    int32_t code = (int32_t)(word >> (i % per_word * c->w.bits)) & ((1 << c->w.bits) - 1);
    return c->scales[at] * (float)(code - (c->w.zeros ? c->zeros[at] : 7));
}

static void check_words(const struct ptqi_kernels *kernels, int64_t k, int bits, int by_group)
{
    struct word_case c;
    const int nr = kernels->f32_nr;
    make_words(&c, k, bits, nr, by_group);
    const float *got = in(&c.out), *x = in(&c.x);
    for (int64_t first = 0; first < k; first += 64) {
        int wrong = 0;
        kernels->word_dequantize(&c.w, first, k - first, in(&c.out));
        for (int64_t i = first; i < k; i++)
            for (int n = 0; n < nr; n++)
                wrong += !same(got[(i - first) * nr + n], weight_of(&c, nr, i, n));
        EXPECT(wrong == 0, "word_dequantize", k);
    }
    for (int rows = 1; rows <= kernels->word_mr; rows++) {
        int wrong = 0;
        kernels->word_stream(rows, &c.w, x, k + 3, in(&c.out));
        for (int m = 0; m < rows; m++)
            for (int n = 0; n < nr; n++) {
                float sum = 0;
                for (int64_t i = 0; i < k; i++)
                    sum = fmaf(x[m * (k + 3) + i], weight_of(&c, nr, i, n), sum);
                wrong += !same(got[m * nr + n], sum) &&
                         (sum == sum || got[m * nr + n] == got[m * nr + n]);
            }
        EXPECT(wrong == 0, "word_stream", k);
    }
    int alive = unguard(&c.words) & unguard(&c.x) & unguard(&c.out);
    EXPECT(alive, "words, canaries", k);
}

static void test_vectors(const struct ptqi_kernels *kernels)
{
    for (int64_t n = 0; n < 600; n += n < 70 ? 1 : 97) {
        check_reductions(kernels, n);
        check_elementwise(kernels, n);
        check_quantize(kernels, n);
        check_not_finite(kernels, n);
        check_finish(kernels, n);
        if (n < 300) {
            check_words(kernels, n, 4, n % 2);
            check_words(kernels, n, 8, n % 2);
        }
        if (n)
            check_softmax(kernels, n);
        if (n < 40 || n % 2)
            for (int candidates = 0; candidates <= 80; candidates += 16)
                check_shrink(kernels, n, candidates);
    }
}

static void test_table(const struct ptqi_kernels *kernels)
{
    CHECK(kernels->tile_mr <= PTQI_MAX_MR && kernels->stream_mr <= PTQI_MAX_MR &&
          kernels->int_nr <= PTQI_MAX_NR && kernels->f32_mr <= PTQI_MAX_MR &&
          kernels->f32_nr <= PTQI_MAX_NR && kernels->word_mr <= 4);
    for (int round = 0; round < (test_long() ? 30 : 2); round++) {
        seed = (uint64_t)round * 1000000;
        test_integers(kernels);
        test_f32_tiles(kernels);
        test_vectors(kernels);
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
        CHECK(kernels->isa == isas[i]);
        test_table(kernels);
    }
    ptq_context_free(context);
#ifdef PTQI_X86
    if (ptqi_cpu_features() & PTQI_CPU_AVX512_VNNI)
        test_table(&ptqi_kernels_evex);
    else
        test_skip("AVX-VNNI kernels in EVEX form: not on this CPU");
#endif
}
