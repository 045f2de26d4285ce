/*
 * Elementwise and row operations of every instruction set, and products of packed words, compared
 * with the portable kernels and plain loops.
 */
#include "guarded.h"
#include <math.h>
#include "base/exact.h"
#include "rows/rows.h"

/* Row operations: x, y of n numbers go in, out comes out; all between canaries. */
struct vectors {
    struct guarded x, y, out;
    int64_t n;
};

static struct vectors make_vectors(int64_t n)
{
    struct random r = {++test_seed};
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
    struct vectors v = make_vectors(n);
    const float *x = in(&v.x), *y = in(&v.y);
    double most = 0, squares = 0, exps = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)x[i]));
        squares += (double)x[i] * (double)x[i];
        exps += exp((double)fminf(y[i], 8.0f) - 4);
    }
    EXPECT(same(ptqi_from_bits(kernels->magnitude(x, n)), (float)most), "magnitude", n);
    EXPECT(same(row_functions(kernels->isa)->sum_squares(x, n), rows_portable.sum_squares(x, n)),
           "sum_squares", n);
    EXPECT(fabs((double)row_functions(kernels->isa)->sum_squares(x, n) - squares) <=
               1e-5 * squares + 1e-36,
           "sum_squares", n);
    float *limited = in(&v.out);
    for (int64_t i = 0; i < n; i++)
        limited[i] = fminf(y[i], 8.0f);
    float sum = row_functions(kernels->isa)->sum_exp(limited, 4.0f, n);
    EXPECT(same(sum, rows_portable.sum_exp(limited, 4.0f, n)), "sum_exp", n);
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
        row_functions(kernels->isa)->silu_multiply(in_place ? out : x, y, out, n);
        rows_portable.silu_multiply(x, y, want, n);
        EXPECT(!memcmp(out, want, (size_t)n * 4), "silu_multiply", n);
    }
    for (int64_t i = 0; i < n; i++) {
        double silu = (double)x[i] / (1 + exp(-(double)x[i])) * (double)y[i];
        wrong += fabs((double)want[i] - silu) > 1e-6 * fabs(silu) + 1e-30;
    }
    memcpy(out, x, (size_t)n * 4);
    memcpy(want, x, (size_t)n * 4);
    row_functions(kernels->isa)->gelu(out, n);
    rows_portable.gelu(want, n);
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

/* Two limbs, and their sums joined; at s 1, all integers from -32385 to 32385 and some beyond. */
static void check_limbs(const struct ptqi_kernels *kernels, int64_t n, int s)
{
    const float scale = s ? 1.0f : 0.01f;
    struct vectors v = make_vectors(n);
    struct guarded high = guard(n, 3), low = guard(n, 1), joined = guard(n * 4, 4);
    float *x = in(&v.x);
    int8_t *hi = in(&high), *lo = in(&low);
    int wrong = 0;
    for (int64_t i = 0; i < n && s; i++)
        x[i] = (float)(i - n / 2) + (float)(i % 5) * 0.25f - 0.5f;
    kernels->quantize16(x, scale, n, hi, lo);
    for (int64_t i = 0; i < n; i++) {
        const int32_t code = (int32_t)rintf(fmaxf(-32385, fminf(32385, x[i] / scale)));
        const int32_t quotient = (abs(code) + 126) / 254;
        wrong += hi[i] != (code < 0 ? -quotient : quotient) || lo[i] != code - 254 * hi[i];
        wrong += hi[i] < -127 || lo[i] < -127;
    }
    EXPECT(wrong == 0, "quantize16", n);
    kernels->join(x, in(&v.y), in(&joined), n);
    for (int64_t i = 0; i < n; i++)
        wrong += ((float *)in(&joined))[i] != fmaf(254, x[i], ((float *)in(&v.y))[i]);
    EXPECT(wrong == 0, "join", n);
    int alive = unguard(&high) & unguard(&low) & unguard(&joined);
    alive &= free_vectors(&v);
    EXPECT(alive, "quantize16, canaries", n);
}

/* Groups of every size, one of which is all zeros. */
static void check_groups(const struct ptqi_kernels *kernels, int64_t n, int64_t group)
{
    struct vectors v = make_vectors(n);
    const int64_t groups = (n + group - 1) / group;
    struct guarded codes = guard(n, 1), totals = guard(groups * 4, 4),
                   scales = guard(groups * 4, 4);
    float *x = in(&v.x), *scale = in(&scales);
    int8_t *q = in(&codes);
    int32_t *sums = in(&totals);
    int wrong = 0;
    for (int64_t i = group; i < n && i < 2 * group; i++)
        x[i] = i % 2 ? 0.0f : -0.0f;
    kernels->quantize_groups(x, n, group, q, sums, scale);
    for (int64_t g = 0; g < groups; g++) {
        const int64_t end = (g + 1) * group < n ? (g + 1) * group : n;
        float most = 0;
        int32_t sum = 0;
        for (int64_t i = g * group; i < end; i++)
            most = fmaxf(most, fabsf(x[i]));
        wrong += !same(scale[g], most / 127);
        for (int64_t i = g * group; i < end; i++) {
            const float want = most / 127 > 0 ? rintf(x[i] / (most / 127)) : 0;
            wrong += q[i] != (int)fmaxf(-127, fminf(127, want));
            sum += q[i];
        }
        wrong += sums[g] != sum;
    }
    EXPECT(wrong == 0, "quantize_groups", n);
    int alive = unguard(&codes) & unguard(&totals) & unguard(&scales);
    alive &= free_vectors(&v);
    EXPECT(alive, "quantize_groups, canaries", n);
}

/* The position of a number that is not finite does not matter. */
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
    row_functions(kernels->isa)->softmax(x, n);
    rows_portable.softmax(want, n);
    EXPECT(!memcmp(x, want, (size_t)n * 4), "softmax", n);
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    EXPECT(fabs(sum - 1) < 1e-5, "softmax, the sum", n);
    EXPECT(free_vectors(&v), "softmax, canaries", n);
}

/* Its result is tested with ptqi_rotate; this tests that all kernels agree. */
static void check_rotate(const struct ptqi_kernels *kernels, int64_t blocks)
{
    for (int32_t block = 1; block <= 128; block *= 2) {
        struct vectors v = make_vectors(blocks * block);
        const size_t bytes = (size_t)(blocks * block) * 4;
        memcpy(in(&v.out), in(&v.x), bytes);
        kernels->rotate(in(&v.out), blocks, block);
        ptqi_kernels_portable.rotate(in(&v.x), blocks, block);
        EXPECT(!memcmp(in(&v.out), in(&v.x), bytes), "rotate", block);
        EXPECT(free_vectors(&v), "rotate, canaries", block);
    }
}

static void check_shrink(const struct ptqi_kernels *kernels, int64_t n, int candidates)
{
    struct vectors v = make_vectors(n);
    struct guarded errors = guard((int64_t)candidates * 4, 4);
    struct random r = {test_seed};
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
        double sum = 0, slack = 1e-30; /* for the f32 rounding of scale * (code - zero) */
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
    float *metric = in(&v.y);
    for (int64_t i = 0; i < n; i++)
        metric[i] = fabsf(fmaxf(-1e6f, fminf(1e6f, metric[i])));
    kernels->metric_errors(x, metric, n, scales, zeros, 15, candidates, in(&errors));
    ptqi_kernels_portable.metric_errors(x, metric, n, scales, zeros, 15, candidates, want);
    EXPECT(!memcmp(in(&errors), want, (size_t)candidates * 4), "metric_errors", n);
    for (int c = 0; c < candidates; c++) {
        double sum = 0, slack = 1e-30;
        for (int64_t i = 0; i < n; i++) {
            double code = rint((double)(x[i] / scales[c])) + (double)zeros[c];
            double back = (double)scales[c] * (fmax(0, fmin(15, code)) - (double)zeros[c]);
            double error = fabs(back - (double)x[i]), off = 1e-7 * fabs(back);
            sum += (double)metric[i] * error * error;
            slack += (double)metric[i] * (2 * error + off) * off;
        }
        wrong += fabs((double)want[c] - sum) > 1e-4 * sum + slack;
    }
    EXPECT(wrong == 0, "metric_errors, against plain loops", n);
    int alive = unguard(&errors);
    alive &= free_vectors(&v);
    EXPECT(alive, "shrink_errors, canaries", n);
}

/* sum * scale + bias, or that added to the existing value, with a single NaN. */
static void check_finish(const struct ptqi_kernels *kernels, int64_t n)
{
    static const float scales[] = {0.01f, -0.0f, 1e-44f, 1e38f, NAN};
    for (int s = 0; s < 20; s++) {
        struct vectors v = make_vectors(n);
        float *x = in(&v.x), *bias = in(&v.y), *out = in(&v.out), scale = scales[s / 4];
        int wrong = 0, add = s / 2 % 2;
        for (int64_t i = 0; i < n; i += 5)
            x[i] = i % 2 ? INFINITY : -INFINITY;
        for (int64_t i = 0; i < n; i++)
            out[i] = i % 7 == 3 ? INFINITY : i % 7 == 4 ? -NAN : x[n - 1 - i];
        kernels->finish(x, scale, s % 2 ? bias : NULL, out, n, add);
        for (int64_t i = 0; i < n; i++) {
            float old = i % 7 == 3 ? INFINITY : i % 7 == 4 ? -NAN : x[n - 1 - i];
            float want = s % 2 ? fmaf(x[i], scale, bias[i]) : x[i] * scale;
            want = add ? old + want : want;
            wrong += ptqi_bits(out[i]) != (want == want ? ptqi_bits(want) : 0x7fc00000u);
        }
        EXPECT(wrong == 0, "finish", n);
        EXPECT(free_vectors(&v), "finish, canaries", n);
    }
}

/* Rows of n halves to f32 and back, compared with conversion of single numbers: the next n of all
 * halves, and arbitrary bits, half of them around the range of f16. */
static void check_halves(const struct ptqi_kernels *kernels, int64_t n, int32_t dtype)
{
    static uint16_t next;
    struct random r = {++test_seed};
    struct guarded half = guard(n * 2, 2), single = guard(n * 4, 4);
    uint16_t *h = in(&half);
    float *x = in(&single);
    int wrong = 0;
    for (int64_t i = 0; i < n; i++)
        h[i] = (uint16_t)(next + i);
    kernels->widen(x, h, dtype, n);
    for (int64_t i = 0; i < n; i++) {
        const uint16_t old = (uint16_t)(next + i);
        wrong += !same(x[i], dtype == PTQ_DTYPE_F16 ? ptqi_f16_to_f32(old) : ptqi_bf16_to_f32(old));
        uint32_t bits = (uint32_t)random_bits(&r);
        x[i] = ptqi_from_bits(bits & 1 ? (bits & 0x8fffffff) + 0x30000000 : bits);
    }
    EXPECT(wrong == 0, "widen", n);
    kernels->narrow(h, dtype, x, n);
    for (int64_t i = 0; i < n; i++)
        wrong += h[i] != (dtype == PTQ_DTYPE_F16 ? ptqi_f32_to_f16(x[i]) : ptqi_f32_to_bf16(x[i]));
    EXPECT(wrong == 0, "narrow", n);
    int alive = unguard(&half) & unguard(&single);
    EXPECT(alive, "halves, canaries", n);
    next = (uint16_t)(next + n);
}

/* Codes packed in words: dequantized, and multiplied by rows of x. There are two panels of three
 * groups. */
struct word_case {
    struct guarded words, x, out;
    struct ptqi_words w;
    float scales[2 * 3 * PTQI_MAX_NR];
    int32_t zeros[2 * 3 * PTQI_MAX_NR], group_of[300];
};

#define WORD_ROWS 8 /* the most that any kernel takes */

static void make_words(struct word_case *c, int64_t k, int bits, int nr, int by_group)
{
    struct random r = {++test_seed};
    const int64_t per_word = 32 / bits, words = (k + per_word - 1) / per_word;
    c->words = guard(2 * words * nr * 4, 4);
    c->x = guard(WORD_ROWS * (k + 3) * 4, 4);
    c->out = guard((k > WORD_ROWS ? k : WORD_ROWS) * nr * 4, 4);
    uint32_t *word = in(&c->words);
    float *x = in(&c->x);
    for (int64_t i = 0; i < 2 * words * nr; i++)
        word[i] = (uint32_t)random_bits(&r);
    for (int64_t i = 0; i < WORD_ROWS * (k + 3); i++)
        x[i] = random_normal(&r);
    for (int i = 0; i < 2 * 3 * nr; i++) {
        c->scales[i] = any_scale(&r, (int)random_below(&r, 2), 0);
        c->zeros[i] = (int32_t)random_below(&r, 1 << bits);
    }
    for (int64_t i = 0; i < k; i++)
        c->group_of[i] = (int32_t)(by_group ? 3 * i / k : random_below(&r, 3));
    c->w = (struct ptqi_words){.words = word,
                               .bits = bits,
                               .k = k,
                               .group_of = c->group_of,
                               .groups = 3,
                               .scales = c->scales,
                               .zeros = random_below(&r, 2) ? c->zeros : NULL,
                               .zero = 7};
}

/* Row n of the two panels. */
static float weight_of(const struct word_case *c, int nr, int64_t i, int n)
{
    const int64_t per_word = 32 / c->w.bits, panel = n / nr;
    const int64_t words = (c->w.k + per_word - 1) / per_word;
    const int64_t at = (panel * 3 + c->group_of[i]) * nr + n % nr;
    const uint32_t word = c->w.words[(panel * words + i / per_word) * nr + n % nr];
    int32_t code = (int32_t)(word >> (i % per_word * c->w.bits)) & ((1 << c->w.bits) - 1);
    return c->scales[at] * (float)(code - (c->w.zeros ? c->zeros[at] : 7));
}

/* The wrong elements of got [rows][columns]. */
static int count_wrong_products(const struct word_case *c, const float *got, int rows, int columns,
                                int nr)
{
    const int64_t k = c->w.k;
    int wrong = 0;
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < columns; n++, got++) {
            const float *x = (const float *)in(&c->x) + m * (k + 3);
            float sum = 0;
            for (int64_t i = 0; i < k; i++)
                sum = fmaf(x[i], weight_of(c, nr, i, n), sum);
            wrong += !same(*got, sum) && (sum == sum || *got == *got);
        }
    return wrong;
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
        kernels->word_stream(rows, &c.w, x, k + 3, in(&c.out));
        EXPECT(count_wrong_products(&c, got, rows, nr, nr) == 0, "word_stream", k);
    }
    if (kernels->word_mr) {
        kernels->word_pair(&c.w, x, in(&c.out));
        EXPECT(count_wrong_products(&c, got, 1, 2 * nr, nr) == 0, "word_pair", k);
    }
    int alive = unguard(&c.words) & unguard(&c.x) & unguard(&c.out);
    EXPECT(alive, "words, canaries", k);
}

void test_row_kernels(const struct ptqi_kernels *kernels)
{
    for (int64_t n = 0; n < 600; n += n < 70 ? 1 : 97) {
        check_reductions(kernels, n);
        check_elementwise(kernels, n);
        check_quantize(kernels, n);
        check_limbs(kernels, n, 0);
        check_groups(kernels, n, n % 3 ? 32 : 77);
        check_not_finite(kernels, n);
        check_finish(kernels, n);
        for (int32_t dtype = PTQ_DTYPE_F16; dtype <= PTQ_DTYPE_BF16; dtype++)
            check_halves(kernels, n, dtype);
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
    check_limbs(kernels, 65001, 1);
    for (int64_t blocks = 0; blocks < 4; blocks++)
        check_rotate(kernels, blocks);
    for (int32_t dtype = PTQ_DTYPE_F16; dtype <= PTQ_DTYPE_BF16; dtype++)
        for (int i = 0; i < 17; i++) /* all 65536 halves */
            check_halves(kernels, 4001, dtype);
}
