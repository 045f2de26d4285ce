/*
 * ptq_linear against the formula in ptq/linear.h, written out here without any of the library's
 * code: every output to the bit, for all kinds of matrices, activations, dtypes, threads and
 * instruction sets, by each of the ways to call it.
 */
#include "test.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/cpu.h"
#include "base/half.h"
#include "kernel/kernel.h"
#include "linalg/matmul.h"
#include "linear.h"

void test_linear(void);

extern const struct ptqi_kernels ptqi_kernels_evex;
struct ptqi_kernels emulated_amx(void); /* amx.c */

enum {
    ZEROS = 1,
    ORDER = 2,
    INPUT_SCALE = 4,
    BIAS = 8,
    INT8 = 16,
    GAPS = 32,
    OVERFLOW = 64,
    TWO_LEVEL = 128
};

struct shape {
    int64_t n, k, group;
    int32_t bits;
};

/* A matrix with everything that it may have, and inputs. */
struct layer {
    struct shape s;
    int what;
    int64_t size, groups;
    uint8_t *codes, *zeros;
    float *scales, *row_scales, *input_scale, *bias;
    int32_t *order, *group_of;
    ptq_qtensor *q;
};

/* A multiple of the row's scale such that multiple * (code - zero) fits 8 bits. */
static float level_scale(const struct layer *l, struct random *r, int64_t n, int zero)
{
    const int top = (1 << l->s.bits) - 1, far = zero > top - zero ? zero : top - zero;
    const int most = 127 / far < 15 ? 127 / far : 15;
    return (float)(1 + random_below(r, most)) * l->row_scales[n];
}

static void fill_layer(struct layer *l, struct random *r)
{
    const int64_t n = l->s.n, k = l->s.k;
    for (int64_t i = 0; i < n * k; i++)
        l->codes[i] = (uint8_t)(random_bits(r) & ((1u << l->s.bits) - 1));
    for (int64_t i = 0; i < n; i++)
        l->row_scales[i] = 0.001f + fabsf(random_normal(r));
    for (int64_t i = 0; i < n * l->groups; i++) {
        l->zeros[i] = (uint8_t)(random_bits(r) & ((1u << l->s.bits) - 1));
        if (!(l->what & ZEROS))
            l->zeros[i] = (uint8_t)(1 << (l->s.bits - 1));
        l->scales[i] = random_normal(r) * (l->what & OVERFLOW ? 5e37f : 0.01f);
        if (l->what & TWO_LEVEL)
            l->scales[i] = level_scale(l, r, i / l->groups, l->zeros[i]);
    }
    for (int64_t i = 0; i < k; i++) {
        int64_t other = l->what & ORDER ? random_below(r, i + 1) : i;
        l->input_scale[i] = 0.2f + fabsf(random_normal(r));
        l->order[i] = l->order[other];
        l->order[other] = (int32_t)i;
    }
    for (int64_t i = 0; i < k; i++)
        l->group_of[l->order[i]] = (int32_t)(i / l->size);
    for (int64_t i = 0; i < n; i++)
        l->bias[i] = random_normal(r);
}

static struct layer make_layer(ptq_context *context, struct shape s, int what, uint64_t seed)
{
    struct random r = {seed};
    struct layer l = {.s = s, .what = what};
    l.size = s.group && s.group < s.k ? s.group : s.k;
    l.groups = (s.k + l.size - 1) / l.size;
    l.codes = malloc((size_t)(s.n * s.k));
    l.zeros = malloc((size_t)(s.n * l.groups));
    l.scales = malloc((size_t)(s.n * l.groups) * 4);
    l.row_scales = malloc((size_t)s.n * 4);
    l.input_scale = malloc((size_t)s.k * 4);
    l.order = malloc((size_t)s.k * 4);
    l.group_of = malloc((size_t)s.k * 4);
    l.bias = malloc((size_t)s.n * 4);
    fill_layer(&l, &r);
    CHECK_OK(ptq_qtensor_create(context, s.n, s.k, s.bits, s.group, &l.q));
    CHECK_OK(ptq_qtensor_set_codes(l.q, l.codes));
    CHECK_OK(ptq_qtensor_set_scales(l.q, l.scales));
    if (what & ZEROS)
        CHECK_OK(ptq_qtensor_set_zeros(l.q, l.zeros));
    if (what & TWO_LEVEL)
        CHECK_OK(ptq_qtensor_set_row_scales(l.q, l.row_scales));
    if (what & ORDER)
        CHECK_OK(ptq_qtensor_set_order(l.q, l.order));
    if (what & INPUT_SCALE)
        CHECK_OK(ptq_qtensor_set_input_scale(l.q, l.input_scale));
    CHECK_OK(ptq_qtensor_set_activations(l.q, what & INT8 ? PTQ_ACTIVATIONS_INT8_TOKEN
                                                          : PTQ_ACTIVATIONS_F32));
    return l;
}

static void free_layer(struct layer *l)
{
    ptq_qtensor_free(l->q);
    free(l->codes);
    free(l->zeros);
    free(l->scales);
    free(l->row_scales);
    free(l->input_scale);
    free(l->order);
    free(l->group_of);
    free(l->bias);
}

static float f32_output(const struct layer *l, const float *x, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < l->s.k; i++) {
        int64_t at = n * l->groups + l->group_of[i];
        float w = l->scales[at] * (float)(l->codes[n * l->s.k + i] - l->zeros[at]);
        sum = fmaf(x[i], w, sum);
    }
    return l->what & BIAS ? sum + l->bias[n] : sum;
}

static float int8_output(const struct layer *l, const int32_t *q, float sx, int64_t n)
{
    float sum = 0;
    int64_t total = 0; /* of levels times integers */
    for (int64_t g = 0; g < l->groups; g++) {
        int64_t products = 0, inputs = 0, at = n * l->groups + g;
        for (int64_t i = 0; i < l->s.k; i++)
            if (l->group_of[i] == g) {
                products += l->codes[n * l->s.k + i] * q[i];
                inputs += q[i];
            }
        sum = fmaf(l->scales[at], (float)(int32_t)(products - l->zeros[at] * inputs), sum);
        if (l->what & TWO_LEVEL)
            total += lrintf(l->scales[at] / l->row_scales[n]) * (products - l->zeros[at] * inputs);
    }
    if (l->what & TWO_LEVEL)
        sum = l->row_scales[n] * (float)total;
    return l->what & BIAS ? fmaf(sum, sx, l->bias[n]) : sum * sx;
}

/* y [n] of one row of x, as f32. */
static void plain_row(const struct layer *l, const float *row, float *y)
{
    const int64_t k = l->s.k;
    float *x = malloc((size_t)k * 4), most = 0;
    int32_t *q = malloc((size_t)k * 4);
    int finite = 1;
    for (int64_t i = 0; i < k; i++) {
        x[i] = l->what & INPUT_SCALE ? row[i] / l->input_scale[i] : row[i];
        finite &= x[i] - x[i] == 0;
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    float sx = most / 127.0f;
    for (int64_t i = 0; i < k && finite; i++)
        q[i] = sx > 0 ? (int32_t)rintf(fmaxf(-127, fminf(127, x[i] / sx))) : 0;
    for (int64_t n = 0; n < l->s.n; n++) {
        if (!finite)
            y[n] = ptqi_from_bits(0x7fc00000);
        else
            y[n] = l->what & INT8 ? int8_output(l, q, sx, n) : f32_output(l, x, n);
        if (y[n] != y[n]) /* there is one NaN, also for infinity minus infinity */
            y[n] = ptqi_from_bits(0x7fc00000);
    }
    free(x);
    free(q);
}

/* Inputs and outputs of a run, in memory that shows what was written. */
struct run {
    int64_t rows, ldx, ldy;
    int32_t x_dtype, y_dtype;
    char *x, *want, *y;
    int64_t y_bytes;
};

enum { NORMAL, SPECIAL }; /* special: rows of zeros, NaN, infinity, tiny and huge numbers */

static float input(struct random *r, int kind, int64_t row, int64_t i)
{
    float x = random_normal(r);
    if (kind == NORMAL)
        return i == 3 ? 20 * x : x;
    switch (row % 6) {
    case 0:
        return row % 4 ? -0.0f : 0.0f;
    case 1:
        return i == 1 ? NAN : x;
    case 2:
        return i == 0 ? -INFINITY : x;
    case 3:
        return 1e-44f * x;
    case 4:
        return 1e30f * x;
    default:
        return x;
    }
}

static struct run make_run(const struct layer *l, int64_t rows, int32_t x_dtype, int32_t y_dtype,
                           int kind, uint64_t seed)
{
    struct random r = {seed};
    const int64_t gap = l->what & GAPS ? 3 : 0, n = l->s.n, k = l->s.k;
    struct run run = {
        .rows = rows, .ldx = k + gap, .ldy = n + gap, .x_dtype = x_dtype, .y_dtype = y_dtype};
    const int64_t x_size = ptq_dtype_size(x_dtype), y_size = ptq_dtype_size(y_dtype);
    float *row = malloc((size_t)k * 4), *y = malloc((size_t)n * 4);
    run.y_bytes = rows * run.ldy * y_size + 64;
    run.x = malloc((size_t)(rows * run.ldx * x_size) + 64);
    run.x += x_size; /* aligned to an element only */
    run.want = malloc((size_t)run.y_bytes);
    run.y = malloc((size_t)run.y_bytes);
    memset(run.want, 0x5a, (size_t)run.y_bytes);
    for (int64_t m = 0; m < rows; m++) {
        for (int64_t i = 0; i < k; i++)
            row[i] = input(&r, kind, m, i);
        ptqi_from_f32(run.x + m * run.ldx * x_size, x_dtype, row, k);
        ptqi_to_f32(row, run.x + m * run.ldx * x_size, x_dtype, k);
        plain_row(l, row, y);
        ptqi_from_f32(run.want + 2 * y_size + m * run.ldy * y_size, y_dtype, y, n);
    }
    free(row);
    free(y);
    return run;
}

static void free_run(struct run *run)
{
    free(run->x - ptq_dtype_size(run->x_dtype));
    free(run->want);
    free(run->y);
}

static void *start(struct run *run)
{
    memset(run->y, 0x5a, (size_t)run->y_bytes);
    return run->y + 2 * ptq_dtype_size(run->y_dtype); /* y too is aligned to an element only */
}

static int is_right(const struct run *run)
{
    return !memcmp(run->y, run->want, (size_t)run->y_bytes);
}

/* Aligned memory with canaries behind it. */
static char *guarded(int64_t bytes)
{
    char *memory = aligned_alloc(64, (size_t)(bytes + 191) / 64 * 64);
    memset(memory, 0x5a, (size_t)(bytes + 191) / 64 * 64);
    return memory;
}

static int unguard(char *memory, int64_t bytes)
{
    int alive = 1;
    for (int64_t i = bytes; i < (bytes + 191) / 64 * 64; i++)
        alive &= memory[i] == 0x5a;
    free(memory);
    return alive;
}

/* The four ways to call it. */
static void check_calls(const ptq_linear *linear, struct run *run)
{
    static const int64_t parts[] = {1, 2, 5};
    const int64_t rows = run->rows, scratch_bytes = ptq_linear_scratch_bytes(linear, rows);
    const int64_t prepared_bytes = ptq_linear_prepared_bytes(linear, rows);
    const int64_t part_bytes = ptq_linear_part_scratch_bytes(linear, rows);
    char *scratch = guarded(scratch_bytes), *prepared = guarded(prepared_bytes);
    CHECK_OK(ptq_linear_forward(linear, run->x, run->x_dtype, rows, run->ldx, start(run),
                                run->y_dtype, run->ldy, NULL));
    CHECK(is_right(run));
    CHECK_OK(ptq_linear_forward(linear, run->x, run->x_dtype, rows, run->ldx, start(run),
                                run->y_dtype, run->ldy, scratch));
    CHECK(is_right(run));
    CHECK_OK(ptq_linear_prepare(linear, run->x, run->x_dtype, rows, run->ldx, prepared));
    for (int own = 0; own < 2; own++) {
        CHECK_OK(ptq_linear_forward_prepared(linear, prepared, start(run), run->y_dtype, run->ldy,
                                             own ? scratch : NULL));
        CHECK(is_right(run));
    }
    for (int p = 0; p < 3; p++) {
        void *y = start(run);
        for (int64_t part = parts[p] - 1; part >= 0; part--) {
            char *own = guarded(part_bytes);
            CHECK_OK(ptq_linear_forward_part(linear, prepared, y, run->y_dtype, run->ldy,
                                             part % 2 ? own : NULL, part, parts[p]));
            CHECK(unguard(own, part_bytes));
        }
        CHECK(is_right(run));
    }
    CHECK(unguard(scratch, scratch_bytes));
    CHECK(unguard(prepared, prepared_bytes));
}

/* The AVX-VNNI kernels in the form of AVX-512, evex.c, and those of AMX with tiles in C, amx.c. */
enum { EVEX = 1000, EMULATED_AMX };

static int is_usable(int32_t isa)
{
#ifdef PTQI_X86
    if (isa == EVEX || isa == EMULATED_AMX)
        return (ptqi_cpu_features() & PTQI_CPU_AVX512_VNNI) != 0;
#endif
    return ptq_isa_usable(isa);
}

static ptq_context *make_context(int32_t threads, int32_t isa)
{
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    CHECK_OK(ptq_context_set_threads(context, threads));
#ifdef PTQI_X86
    if (isa == EVEX) {
        context->kernels = &ptqi_kernels_evex;
        return context;
    }
    if (isa == EMULATED_AMX) {
        static struct ptqi_kernels amx;
        amx = emulated_amx();
        context->kernels = &amx;
        return context;
    }
#endif
    CHECK_OK(ptq_context_set_isa(context, isa));
    return context;
}

/* A context's kernels with tiles from the first row on that no single stream takes. */
static void begin_tiles_early(ptq_context *context)
{
    static struct ptqi_kernels early;
    if (context->isa == PTQ_ISA_AMX_INT8) /* which does so by itself, and is known by its address */
        return;
    early = *context->kernels;
    struct ptqi_product *products[] = {&early.w4a8, &early.w8a8, &early.two_level};
    for (int i = 0; i < 9; i++)
        products[i / 3]->stream_rows[i % 3] = early.stream_mr;
    context->kernels = &early;
}

static void check_run(ptq_context *context, const struct layer *l, struct run *run)
{
    ptq_linear *linear;
    if (!CHECK_OK(ptq_linear_create(context, l->q, &linear)))
        return;
    CHECK(ptq_linear_n(linear) == l->s.n && ptq_linear_k(linear) == l->s.k &&
          ptq_linear_bytes(linear) > 0);
    CHECK(linear->blocking.chunk_groups || linear->blocking.chunk_blocks % 2 == 0);
    if (l->what & BIAS)
        CHECK_OK(ptq_linear_set_bias(linear, l->bias));
    check_calls(linear, run);
    ptq_linear_free(linear);
}

/* One matrix and input: on each instruction set, with threads where asked for. */
static void check_case(struct shape s, int what, int64_t rows, int32_t x_dtype, int32_t y_dtype,
                       int kind, int all_threads)
{
    static const int32_t isas[] = {PTQ_ISA_PORTABLE,     PTQ_ISA_AVX2,      PTQ_ISA_AVX_VNNI,
                                   PTQ_ISA_AVX512_VNNI,  PTQ_ISA_AMX_INT8,  PTQ_ISA_NEON,
                                   PTQ_ISA_NEON_DOTPROD, PTQ_ISA_NEON_I8MM, EVEX,
                                   EMULATED_AMX};
    static const int32_t threads[] = {1, 2, 3, 7};
    static uint64_t seed;
    int64_t failed = 0;
    struct layer l = make_layer(test_context(), s, what, ++seed);
    struct run run = make_run(&l, rows, x_dtype, y_dtype, kind, seed);
    for (int i = 0; i < 10; i++)
        for (int t = 0; t < (all_threads ? 4 : 1 + (rows > 4)) && is_usable(isas[i]); t++) {
            ptq_context *context = make_context(threads[t], isas[i]);
            if (t % 2)
                begin_tiles_early(context);
            check_run(context, &l, &run);
            if (!is_right(&run) && !failed++)
                printf("    %s, %d threads: n %d k %d group %d bits %d rows %d what %d dtypes %d "
                       "%d seed %d\n",
                       ptq_isa_name(context->isa), threads[t], (int)s.n, (int)s.k, (int)s.group,
                       s.bits, (int)rows, what, x_dtype, y_dtype, (int)seed);
            ptq_context_free(context);
        }
    free_run(&run);
    free_layer(&l);
}

static void test_kinds(void)
{
    static const int32_t bits[] = {2, 3, 4, 8};
    static const int64_t shapes[][3] = {{17, 64, 32}, {5, 100, 32},   {33, 160, 64}, {16, 77, 0},
                                        {1, 1, 0},    {40, 200, 128}, {7, 31, 32}};
    int variant = 0;
    for (int b = 0; b < 4; b++)
        for (int s = 0; s < 7; s++)
            for (int what = 0; what < 32; what += 1 + 2 * (s > 2), variant++) {
                struct shape shape = {shapes[s][0], shapes[s][1], shapes[s][2], bits[b]};
                int64_t rows = 1 + variant % 9;
                check_case(shape, what | (variant % 2 ? GAPS : 0), rows, 1 + variant % 3,
                           1 + variant / 3 % 3, variant % 5 == 4 ? SPECIAL : NORMAL, 0);
            }
}

static void test_sizes(void)
{
    static const int64_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 33};
    for (int i = 0; i < 10; i++)
        for (int integer = 0; integer <= INT8; integer += INT8)
            check_case((struct shape){75, 300, 64, 4}, integer | ZEROS | ORDER | INPUT_SCALE | GAPS,
                       rows[i], PTQ_F32, PTQ_F32, i % 2, rows[i] > 7);
    check_case((struct shape){130, 1024, 128, 4}, INT8, 65, PTQ_BF16, PTQ_F32, NORMAL, 1);
    check_case((struct shape){130, 1024, 128, 8}, INT8 | BIAS, 64, PTQ_F16, PTQ_BF16, SPECIAL, 1);
    /* more rows than any stream takes */
    check_case((struct shape){75, 1100, 128, 4}, INT8 | ZEROS | ORDER | INPUT_SCALE | GAPS, 146,
               PTQ_F32, PTQ_F32, SPECIAL, 1);
    check_case((struct shape){130, 700, 64, 4}, INT8 | BIAS, 113, PTQ_BF16, PTQ_F32, NORMAL, 1);
    check_case((struct shape){70, 333, 32, 3}, INT8 | ZEROS | GAPS, 50, PTQ_F32, PTQ_F16, NORMAL,
               1);
    check_case((struct shape){70, 600, 128, 8}, INT8 | ZEROS | BIAS, 226, PTQ_F16, PTQ_BF16,
               SPECIAL, 1);
    check_case((struct shape){75, 1100, 128, 4},
               INT8 | TWO_LEVEL | ZEROS | ORDER | INPUT_SCALE | BIAS | GAPS, 61, PTQ_F32, PTQ_F32,
               SPECIAL, 1);
    check_case((struct shape){5, 70, 32, 8}, INT8, 1027, PTQ_F32, PTQ_F32, NORMAL, 0);
    check_case((struct shape){130, 1024, 0, 3}, ZEROS | BIAS, 34, PTQ_F32, PTQ_F16, SPECIAL, 1);
    for (int integer = 0; integer <= INT8; integer += INT8)
        check_case((struct shape){20, 200, 32, 4}, integer | OVERFLOW | BIAS, 9, PTQ_F32, PTQ_F32,
                   NORMAL, 0);
    for (int i = 0; i < 10; i++)
        for (int what = 0; what <= (ZEROS | ORDER | INPUT_SCALE | BIAS); what++)
            check_case((struct shape){75, i % 3 ? 300 : 1100, i % 2 ? 32 : 128, 2 + i % 3},
                       what | TWO_LEVEL | INT8 | (what + i) % 2 * GAPS, rows[i], PTQ_F32, PTQ_F32,
                       i % 2, rows[i] > 7 && what % 4 == 3);
    check_case((struct shape){130, 1500, 0, 4}, TWO_LEVEL | INT8, 65, PTQ_F32, PTQ_F32, NORMAL, 1);
    check_case((struct shape){130, 1500, 64, 4}, TWO_LEVEL | INT8 | ZEROS, 130, PTQ_F32, PTQ_F32,
               NORMAL, 1);
    /* groups that are cut into pieces, the last one of which may be odd */
    check_case((struct shape){70, 960, 0, 4}, INT8 | ZEROS, 146, PTQ_F32, PTQ_F32, NORMAL, 0);
    check_case((struct shape){70, 928, 0, 8}, INT8, 226, PTQ_F32, PTQ_F32, NORMAL, 0);
    check_case((struct shape){70, 4864, 0, 4}, INT8 | TWO_LEVEL, 61, PTQ_F32, PTQ_F32, NORMAL, 0);
    check_case((struct shape){3, 20000, 0, 8}, INT8 | ZEROS, 2, PTQ_F32, PTQ_F32, NORMAL, 1);
}

/* Weight-only is the f32 product with the dequantized weights. */
static void test_f32_product(void)
{
    static const int64_t rows[] = {1, 33};
    for (int i = 0; i < 2; i++) {
        struct layer l =
            make_layer(test_context(), (struct shape){70, 333, 64, 4}, ZEROS | ORDER, 9);
        struct run run = make_run(&l, rows[i], PTQ_F32, PTQ_F32, NORMAL, 10);
        float *w = malloc(70 * 333 * 4), *y = malloc((size_t)rows[i] * 70 * 4);
        ptq_linear *linear;
        CHECK_OK(ptq_qtensor_dequantize(l.q, w));
        CHECK_OK(ptqi_matmul_linear(test_context(), rows[i], 70, 333, (const float *)(void *)run.x,
                                    w, y));
        CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
        CHECK_OK(
            ptq_linear_forward(linear, run.x, PTQ_F32, rows[i], 333, run.y, PTQ_F32, 70, NULL));
        CHECK(!memcmp(run.y, y, (size_t)rows[i] * 70 * 4));
        ptq_linear_free(linear);
        free(w);
        free(y);
        free_run(&run);
        free_layer(&l);
    }
}

/* One of the threads that run the same linear at the same time. */
struct caller {
    const ptq_linear *linear;
    struct run run;
    char *prepared; /* of all callers: then each runs a part of the columns */
    char *y;
    int64_t part, parts, wrong;
};

static void *call_often(void *argument)
{
    struct caller *c = argument;
    struct run *r = &c->run;
    for (int i = 0; i < 20 && !c->prepared; i++) {
        c->wrong += ptq_linear_forward(c->linear, r->x, r->x_dtype, r->rows, r->ldx, start(r),
                                       r->y_dtype, r->ldy, NULL) != PTQ_OK;
        c->wrong += !is_right(r);
    }
    if (c->prepared)
        c->wrong += ptq_linear_forward_part(c->linear, c->prepared, c->y, r->y_dtype, r->ldy, NULL,
                                            c->part, c->parts) != PTQ_OK;
    return NULL;
}

static void run_callers(struct caller *callers)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, call_often, &callers[i]) == 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(callers[i].wrong, 0);
    }
}

/* A linear may be run by many threads at once, as a whole or by parts. */
static void test_callers(int what)
{
    ptq_context *context = make_context(3, PTQ_ISA_AUTO);
    struct layer l = make_layer(context, (struct shape){90, 256, 64, 4}, what, 5);
    struct caller callers[4];
    ptq_linear *linear;
    CHECK_OK(ptq_linear_create(context, l.q, &linear));
    for (int i = 0; i < 4; i++)
        callers[i] = (struct caller){
            .linear = linear, .run = make_run(&l, 5 + i, PTQ_F32, PTQ_F32, NORMAL, (uint64_t)i)};
    run_callers(callers);
    struct run *first = &callers[0].run;
    char *prepared = guarded(ptq_linear_prepared_bytes(linear, first->rows));
    CHECK_OK(ptq_linear_prepare(linear, first->x, PTQ_F32, first->rows, first->ldx, prepared));
    void *y = start(first);
    for (int i = 0; i < 4; i++) {
        callers[i].prepared = prepared;
        callers[i].y = y;
        callers[i].part = i;
        callers[i].parts = 4;
    }
    run_callers(callers);
    CHECK(is_right(first));
    free(prepared);
    for (int i = 0; i < 4; i++)
        free_run(&callers[i].run);
    ptq_linear_free(linear);
    free_layer(&l);
    ptq_context_free(context);
}

/* Activations prepared by one linear go into another with the same recipe only. */
static void test_recipes(void)
{
    static const struct {
        struct shape s;
        int what, fits;
    } others[] = {
        {{9, 128, 32, 8}, INT8 | ZEROS, 1}, {{5, 128, 64, 4}, INT8, 0},
        {{5, 160, 32, 4}, INT8, 0},         {{5, 128, 32, 4}, 0, 0},
        {{5, 128, 32, 4}, INT8 | ORDER, 0}, {{5, 128, 32, 4}, INT8 | INPUT_SCALE, 0},
    };
    struct layer l = make_layer(test_context(), (struct shape){5, 128, 32, 4}, INT8, 1);
    struct run run = make_run(&l, 3, PTQ_F32, PTQ_F32, NORMAL, 1);
    ptq_linear *linear, *other;
    float y[3 * 9];
    CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
    char *prepared = guarded(ptq_linear_prepared_bytes(linear, 3));
    CHECK_OK(ptq_linear_prepare(linear, run.x, PTQ_F32, 3, run.ldx, prepared));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct layer o = make_layer(test_context(), others[i].s, others[i].what, 2);
        CHECK_OK(ptq_linear_create(test_context(), o.q, &other));
        ptq_status wanted = others[i].fits ? PTQ_OK : PTQ_ERROR_CONFLICT;
        CHECK_STATUS(ptq_linear_forward_prepared(other, prepared, y, PTQ_F32, 9, NULL), wanted);
        CHECK_STATUS(ptq_linear_forward_part(other, prepared, y, PTQ_F32, 9, NULL, 0, 1), wanted);
        ptq_linear_free(other);
        free_layer(&o);
    }
    memset(prepared, 0, 64); /* not prepared at all */
    CHECK_STATUS(ptq_linear_forward_prepared(linear, prepared, y, PTQ_F32, 9, NULL),
                 PTQ_ERROR_CONFLICT);
    free(prepared);
    ptq_linear_free(linear);
    free_run(&run);
    free_layer(&l);
}

/* Prepared by one linear for another on the same x: right, or refused if kernels differ. */
static void check_foreign(ptq_linear *linear, ptq_linear *other, struct run *run, int may_differ)
{
    const int64_t bytes = ptq_linear_prepared_bytes(linear, run->rows);
    const int64_t scratch_bytes = ptq_linear_part_scratch_bytes(other, run->rows);
    char *prepared = guarded(bytes), *scratch = guarded(scratch_bytes);
    CHECK_OK(ptq_linear_prepare(linear, run->x, PTQ_F32, run->rows, run->ldx, prepared));
    ptq_status status =
        ptq_linear_forward_part(other, prepared, start(run), PTQ_F32, run->ldy, scratch, 0, 1);
    CHECK(status ? status == PTQ_ERROR_CONFLICT && may_differ : is_right(run));
    CHECK(unguard(scratch, scratch_bytes));
    CHECK(unguard(prepared, bytes));
}

/* Instruction sets may arrange activations differently. */
static void test_foreign_kernels(void)
{
    static const int64_t rows[] = {3, 30, 50};
    struct layer l = make_layer(test_context(), (struct shape){9, 128, 32, 4}, INT8, 1);
    for (int i = 0; i < 3 * 30 * 30; i++) {
        const int32_t from = i / 30 % 30, to = i % 30;
        if (from == PTQ_ISA_AUTO || to == PTQ_ISA_AUTO || !is_usable(from) || !is_usable(to))
            continue;
        struct run run = make_run(&l, rows[i / 900], PTQ_F32, PTQ_F32, NORMAL, 1);
        ptq_context *one = make_context(1, from), *two = make_context(1, to);
        ptq_linear *linear, *other;
        CHECK_OK(ptq_linear_create(one, l.q, &linear));
        CHECK_OK(ptq_linear_create(two, l.q, &other));
        check_foreign(linear, other, &run,
                      linear->kernels->x_rows != other->kernels->x_rows ||
                          !linear->kernels->tile_mr != !other->kernels->tile_mr ||
                          linear->blocking.chunk_blocks != other->blocking.chunk_blocks);
        ptq_linear_free(linear);
        ptq_linear_free(other);
        ptq_context_free(one);
        ptq_context_free(two);
        free_run(&run);
    }
    free_layer(&l);
}

static const struct {
    int32_t bits;
    int what;
} forms[] = {{4, INT8}, {4, INT8 | TWO_LEVEL}, {8, INT8}, {4, 0}};

/* What is enough for some rows is enough for fewer. */
static void test_sizes_grow(void)
{
    for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EMULATED_AMX; isa = isa == 30 ? EVEX : isa + 1)
        for (int i = 0; i < 4 && is_usable(isa); i++) {
            ptq_context *context = make_context(2, isa);
            struct layer l =
                make_layer(context, (struct shape){5, 640, 128, forms[i].bits}, forms[i].what, 1);
            ptq_linear *linear;
            CHECK_OK(ptq_linear_create(context, l.q, &linear));
            for (int64_t m = 0; m < 1100; m++) {
                CHECK(ptq_linear_prepared_bytes(linear, m) <=
                      ptq_linear_prepared_bytes(linear, m + 1));
                CHECK(ptq_linear_scratch_bytes(linear, m) <=
                      ptq_linear_scratch_bytes(linear, m + 1));
                CHECK(ptq_linear_part_scratch_bytes(linear, m) <=
                      ptq_linear_part_scratch_bytes(linear, m + 1));
            }
            ptq_linear_free(linear);
            free_layer(&l);
            ptq_context_free(context);
        }
}

/* No rows: nothing happens, however it is called. */
static void test_no_rows(void)
{
    for (int i = 0; i < 4; i++) {
        struct layer l = make_layer(test_context(), (struct shape){5, 640, 128, forms[i].bits},
                                    forms[i].what, 1);
        ptq_linear *linear;
        float x[640] = {0}, y[5] = {7};
        CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
        char *prepared = guarded(ptq_linear_prepared_bytes(linear, 0));
        CHECK_OK(ptq_linear_prepare(linear, x, PTQ_F32, 0, 640, prepared));
        CHECK_OK(ptq_linear_forward_prepared(linear, prepared, y, PTQ_F32, 5, NULL));
        CHECK_OK(ptq_linear_forward_part(linear, prepared, y, PTQ_F32, 5, NULL, 0, 2));
        CHECK_OK(ptq_linear_accumulate_prepared(linear, prepared, y, PTQ_F32, 5, NULL));
        CHECK_OK(ptq_linear_forward(linear, x, PTQ_F32, 0, 640, y, PTQ_F32, 5, NULL));
        CHECK(y[0] == 7);
        free(prepared);
        ptq_linear_free(linear);
        free_layer(&l);
    }
}

/* Forms of weights begin to be run by tiles at different numbers of rows, and share x anyway. */
static void test_foreign_forms(void)
{
    static const int64_t rows[] = {8, 20, 40, 60, 100};
    for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EMULATED_AMX; isa = isa == 30 ? EVEX : isa + 1)
        for (int i = 0; i < 3 * 3 * 5 * 3 && is_usable(isa); i++) {
            ptq_context *context = make_context(1, isa);
            struct layer layers[2];
            ptq_linear *linears[2];
            for (int j = 0; j < 2; j++) {
                const int form = j ? i / 3 % 3 : i % 3;
                const struct shape s = {9, 640, 32 << i / 45, forms[form].bits};
                layers[j] = make_layer(context, s, forms[form].what, 1);
                CHECK_OK(ptq_linear_create(context, layers[j].q, &linears[j]));
            }
            struct run run = make_run(&layers[1], rows[i / 9 % 5], PTQ_F32, PTQ_F32, NORMAL, 1);
            check_foreign(linears[0], linears[1], &run, 0);
            free_run(&run);
            for (int j = 0; j < 2; j++) {
                ptq_linear_free(linears[j]);
                free_layer(&layers[j]);
            }
            ptq_context_free(context);
        }
}

static void test_arguments(void)
{
    struct layer l = make_layer(test_context(), (struct shape){5, 64, 32, 4}, INT8, 1);
    ptq_linear *linear;
    float x[64] = {0}, y[5];
    char *scratch = guarded(1 << 16);
    CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
#define FORWARD(x, x_dtype, rows, ldx, y, y_dtype, ldy, scratch)                                   \
    ptq_linear_forward(linear, x, x_dtype, rows, ldx, y, y_dtype, ldy, scratch)
    CHECK_OK(FORWARD(x, PTQ_F32, 0, 64, y, PTQ_F32, 5, NULL));
    CHECK_STATUS(FORWARD(x, PTQ_F32, -1, 64, y, PTQ_F32, 5, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(NULL, PTQ_F32, 1, 64, y, PTQ_F32, 5, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_F32, 1, 63, y, PTQ_F32, 5, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_F32, 1, 64, NULL, PTQ_F32, 5, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_F32, 1, 64, y, PTQ_F32, 4, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_I8, 1, 64, y, PTQ_F32, 5, NULL), PTQ_ERROR_DTYPE);
    CHECK_STATUS(FORWARD(x, PTQ_F32, 1, 64, y, PTQ_U8, 5, NULL), PTQ_ERROR_DTYPE);
    CHECK_STATUS(FORWARD(x, PTQ_F32, 1, 64, y, PTQ_F32, 5, scratch + 4), PTQ_ERROR_ARGUMENT);
    CHECK(FORWARD(x, PTQ_F32, INT64_MAX / 8, 64, y, PTQ_F32, 5, NULL) != PTQ_OK);
    CHECK_STATUS(ptq_linear_prepare(linear, x, PTQ_F32, 1, 64, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_OK(ptq_linear_prepare(linear, x, PTQ_F32, 1, 64, scratch));
    CHECK_STATUS(ptq_linear_forward_part(linear, scratch, y, PTQ_F32, 5, NULL, 2, 2),
                 PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_forward_part(linear, scratch, y, PTQ_F32, 5, NULL, -1, 2),
                 PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_forward_part(linear, scratch, y, PTQ_F32, 5, NULL, 0, 0),
                 PTQ_ERROR_ARGUMENT);
    CHECK(ptq_linear_scratch_bytes(linear, -1) == 0 && ptq_linear_prepared_bytes(linear, -1) == 0);
    ptq_linear_free(linear);
    free(scratch);
    CHECK_STATUS(ptq_linear_create(test_context(), NULL, &linear), PTQ_ERROR_ARGUMENT);
    CHECK(linear == NULL);
    CHECK_STATUS(ptq_linear_create(test_context(), l.q, NULL), PTQ_ERROR_ARGUMENT);
    free_layer(&l);
    CHECK_OK(ptq_qtensor_create(test_context(), 5, 64, 4, 32, &l.q));
    CHECK_STATUS(ptq_linear_create(test_context(), l.q, &linear), PTQ_ERROR_MISSING);
    ptq_qtensor_free(l.q);
    ptq_linear_free(NULL);
}

/* How many allocations it takes to run a linear so many times, with scratch memory given. */
static int64_t allocations(int times, int what, int32_t threads)
{
    ptq_context *context = test_failing_context(0);
    ptq_linear *linear;
    CHECK_OK(ptq_context_set_threads(context, threads));
    struct layer l = make_layer(context, (struct shape){64, 512, 32, 4}, what, 1);
    struct run run = make_run(&l, 32, PTQ_F32, PTQ_F32, NORMAL, 1);
    CHECK_OK(ptq_linear_create(context, l.q, &linear));
    char *scratch = guarded(ptq_linear_scratch_bytes(linear, 32));
    for (int i = 0; i < times; i++)
        CHECK_OK(ptq_linear_forward(linear, run.x, PTQ_F32, 32, run.ldx, start(&run), PTQ_F32,
                                    run.ldy, scratch));
    free(scratch);
    ptq_linear_free(linear);
    free_run(&run);
    free_layer(&l);
    return test_free_failing(context);
}

static void test_no_allocation(void)
{
    for (int integer = 0; integer <= INT8; integer += INT8) {
        CHECK_EQ(allocations(0, integer, 1), allocations(3, integer, 1));
        CHECK_EQ(allocations(1, integer, 3), allocations(4, integer, 3)); /* threads start once */
    }
}

static ptq_status create_and_run(ptq_context *context, const struct layer *l, struct run *run)
{
    ptq_linear *linear;
    ptq_status status = ptq_linear_create(context, l->q, &linear);
    CHECK((status == PTQ_OK) == (linear != NULL));
    if (!status)
        status = ptq_linear_set_bias(linear, l->bias);
    if (!status)
        status = ptq_linear_forward(linear, run->x, PTQ_F32, run->rows, run->ldx, start(run),
                                    PTQ_F32, run->ldy, NULL);
    ptq_linear_free(linear);
    return status;
}

static void test_memory(void)
{
    for (int what = BIAS; what < 32; what += what == BIAS ? 6 : 17)
        for (int64_t n = 1, done = 0; !done && CHECK(n < 100); n++) {
            struct layer l = make_layer(test_context(), (struct shape){9, 96, 32, 4}, what, 1);
            struct run run = make_run(&l, 3, PTQ_F32, PTQ_F32, NORMAL, 1);
            ptq_context *context = test_failing_context(n);
            ptq_status status = context ? create_and_run(context, &l, &run) : PTQ_ERROR_MEMORY;
            CHECK(status == PTQ_ERROR_MEMORY || (status == PTQ_OK && is_right(&run)));
            done = status == PTQ_OK;
            test_free_failing(context);
            free_run(&run);
            free_layer(&l);
        }
}

void test_linear(void)
{
    test_kinds();
    test_sizes();
    test_f32_product();
    test_callers(0);
    test_callers(INT8 | ZEROS | INPUT_SCALE);
    test_recipes();
    test_foreign_kernels();
    test_foreign_forms();
    test_sizes_grow();
    test_no_rows();
    test_arguments();
    test_no_allocation();
    test_memory();
}
