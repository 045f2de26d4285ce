/*
 * ptq_linear against the formula in ptq/linear.h, as written in layer.c: every output to the bit,
 * for all kinds of matrices, activations, dtypes, threads and instruction sets, called in every
 * way.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/cpu.h"
#include "linalg/matmul.h"
#include "guarded.h"
#include "calls.h"
#include "layer.h"
#include "linear/linear.h"
#include "test.h"

void test_linear(void);

/* The four ways to call it. */
static void check_calls(const ptq_linear *linear, struct run *run)
{
    static const int64_t parts[] = {1, 2, 5};
    const int64_t rows = run->rows, scratch_bytes = scratch_size(linear, rows);
    const int64_t prepared_bytes = prepared_size(linear, rows);
    const int64_t part_bytes = part_scratch_size(linear, rows);
    struct guarded scratch = guard(scratch_bytes, 0), prepared = guard(prepared_bytes, 0);
    CHECK_OK(forward(linear, run->x, run->x_dtype, rows, run->ldx, start(run), run->y_dtype,
                     run->ldy, NULL));
    CHECK(is_right(run));
    CHECK_OK(forward(linear, run->x, run->x_dtype, rows, run->ldx, start(run), run->y_dtype,
                     run->ldy, in(&scratch)));
    CHECK(is_right(run));
    CHECK_OK(prepare(linear, run->x, run->x_dtype, rows, run->ldx, in(&prepared)));
    for (int own = 0; own < 2; own++) {
        CHECK_OK(forward_prepared(linear, in(&prepared), start(run), run->y_dtype, run->ldy,
                                  own ? in(&scratch) : NULL));
        CHECK(is_right(run));
    }
    for (int p = 0; p < 3; p++) {
        void *y = start(run);
        for (int64_t part = parts[p] - 1; part >= 0; part--) {
            struct guarded own = guard(part_bytes, 0);
            CHECK_OK(forward_part(linear, in(&prepared), y, run->y_dtype, run->ldy,
                                  part % 2 ? in(&own) : NULL, part, parts[p]));
            CHECK(unguard(&own));
        }
        CHECK(is_right(run));
    }
    CHECK(!tiles_in_use());
    CHECK(unguard(&scratch));
    CHECK(unguard(&prepared));
}

/* A context's kernels with tiles from the first row on that no single stream takes. */
static void begin_tiles_early(ptq_context *context)
{
    static struct ptqi_kernels early;
    if (context->isa ==
        PTQ_ISA_AMX_INT8) /* it does so by itself, and is recognized by its address */
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

/* One matrix and input on each instruction set, with threads if requested. */
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
                static const int others[] = {INT8 | INT16, INT8 | BY_GROUP, 0};
                const int other = what & INT8 ? others[variant % 3] : 0;
                struct shape shape = {shapes[s][0], shapes[s][1], shapes[s][2], bits[b]};
                int64_t rows = 1 + variant % 9;
                check_case(shape, (what ^ other) | (variant % 2 ? GAPS : 0), rows, 1 + variant % 3,
                           1 + variant / 3 % 3, variant % 5 == 4 ? SPECIAL : NORMAL, 0);
            }
}

/* More rows than the streams of any instruction set take. */
static void test_tiles(int integer)
{
    check_case((struct shape){75, 1100, 128, 4}, integer | ZEROS | ORDER | INPUT_SCALE | GAPS, 146,
               PTQ_DTYPE_F32, PTQ_DTYPE_F32, SPECIAL, integer == INT8);
    check_case((struct shape){130, 700, 64, 4}, integer | BIAS, 113, PTQ_DTYPE_BF16, PTQ_DTYPE_F32,
               NORMAL, integer == INT8);
    check_case((struct shape){70, 333, 32, 3}, integer | ZEROS | GAPS, 50, PTQ_DTYPE_F32,
               PTQ_DTYPE_F16, NORMAL, integer == INT8);
    check_case((struct shape){70, 600, 128, 8}, integer | ZEROS | BIAS, 226, PTQ_DTYPE_F16,
               PTQ_DTYPE_BF16, SPECIAL, integer == INT8);
    if (integer != BY_GROUP)
        check_case((struct shape){75, 1100, 128, 4},
                   integer | TWO_LEVEL | ZEROS | ORDER | INPUT_SCALE | BIAS | GAPS, 61,
                   PTQ_DTYPE_F32, PTQ_DTYPE_F32, SPECIAL, integer == INT8);
    /* groups divided into parts, the last of which may be odd */
    check_case((struct shape){70, 960, 0, 4}, integer | ZEROS, 146, PTQ_DTYPE_F32, PTQ_DTYPE_F32,
               NORMAL, 0);
    check_case((struct shape){70, 928, 0, 8}, integer, 226, PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL,
               0);
    if (integer != BY_GROUP)
        check_case((struct shape){70, 4864, 0, 4}, integer | TWO_LEVEL, 61, PTQ_DTYPE_F32,
                   PTQ_DTYPE_F32, NORMAL, 0);
}

/* Groups of the weights that are divided for x. */
static void test_divided_groups(void)
{
    static const int64_t sizes[][2] = {{1000, 0}, {1000, 512}, {1000, 192}, {480, 160}, {577, 544}};
    for (int i = 0; i < 5; i++)
        for (int rows = 3; rows < 250; rows += 57)
            check_case((struct shape){70, sizes[i][0], sizes[i][1], i % 2 ? 8 : 4},
                       BY_GROUP | (rows % 2 ? ZEROS | ORDER : BIAS), rows, PTQ_DTYPE_F32,
                       PTQ_DTYPE_F32, i % 2, 0);
}

/* Minima, with few rows and with many; more groups than are added at once. */
static void test_minima(int precision)
{
    static const int64_t sizes[][2] = {{2500, 32}, {1000, 0}, {77, 0}}, rows[] = {1, 7, 100};
    for (int i = 0; i < 9; i++)
        check_case((struct shape){70, sizes[i / 3][0], sizes[i / 3][1], i % 2 ? 4 : 5},
                   precision | MINIMA | (i % 2 ? BIAS | GAPS : ORDER | INPUT_SCALE), rows[i % 3],
                   PTQ_DTYPE_F32, PTQ_DTYPE_F32, i % 4 == 2, 0);
}

/* The kinds of activations. */
static const int precisions[] = {0, INT8, INT16, BY_GROUP};

static void test_sizes(void)
{
    static const int64_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 33};
    for (int i = 0; i < 10; i++)
        for (int p = 0; p < 4; p++)
            check_case((struct shape){75, 300, 64, 4},
                       precisions[p] | ZEROS | ORDER | INPUT_SCALE | GAPS, rows[i], PTQ_DTYPE_F32,
                       PTQ_DTYPE_F32, i % 2, rows[i] > 7);
    check_case((struct shape){130, 1024, 128, 4}, INT8, 65, PTQ_DTYPE_BF16, PTQ_DTYPE_F32, NORMAL,
               1);
    check_case((struct shape){130, 1024, 128, 8}, INT8 | BIAS, 64, PTQ_DTYPE_F16, PTQ_DTYPE_BF16,
               SPECIAL, 1);
    for (int p = 1; p < 4; p++)
        test_tiles(precisions[p]);
    test_divided_groups();
    for (int p = 0; p < 4; p++)
        test_minima(precisions[p]);
    check_case((struct shape){5, 70, 32, 8}, INT8, 1027, PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, 0);
    check_case((struct shape){130, 1024, 0, 3}, ZEROS | BIAS, 34, PTQ_DTYPE_F32, PTQ_DTYPE_F16,
               SPECIAL, 1);
    for (int integer = 0; integer <= INT8; integer += INT8)
        check_case((struct shape){20, 200, 32, 4}, integer | OVERFLOW | BIAS, 9, PTQ_DTYPE_F32,
                   PTQ_DTYPE_F32, NORMAL, 0);
    for (int i = 0; i < 10; i++)
        for (int what = 0; what <= (ZEROS | ORDER | INPUT_SCALE | BIAS); what++)
            check_case((struct shape){75, i % 3 ? 300 : 1100, i % 2 ? 32 : 128, 2 + i % 3},
                       what | TWO_LEVEL | ((what + i) % 3 ? INT8 : INT16) | (what + i) % 2 * GAPS,
                       rows[i], PTQ_DTYPE_F32, PTQ_DTYPE_F32, i % 2, rows[i] > 7 && what % 4 == 3);
    check_case((struct shape){130, 1500, 0, 4}, TWO_LEVEL | INT8, 65, PTQ_DTYPE_F32, PTQ_DTYPE_F32,
               NORMAL, 1);
    check_case((struct shape){130, 1500, 64, 4}, TWO_LEVEL | INT8 | ZEROS, 130, PTQ_DTYPE_F32,
               PTQ_DTYPE_F32, NORMAL, 1);
    check_case((struct shape){3, 20000, 0, 8}, INT8 | ZEROS, 2, PTQ_DTYPE_F32, PTQ_DTYPE_F32,
               NORMAL, 1);
}

/* Weight-only is the f32 product with the dequantized weights. */
static void test_f32_product(void)
{
    static const int64_t rows[] = {1, 33};
    for (int i = 0; i < 2; i++) {
        struct layer l =
            make_layer(test_context(), (struct shape){70, 333, 64, 4}, ZEROS | ORDER, 9);
        struct run run = make_run(&l, rows[i], PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, 10);
        float *w = malloc(70 * 333 * 4), *y = malloc((size_t)rows[i] * 70 * 4);
        ptq_linear *linear;
        CHECK_OK(ptq_qtensor_dequantize(l.q, w));
        CHECK_OK(ptqi_matmul_linear(test_context(), rows[i], 70, 333, (const float *)(void *)run.x,
                                    w, y));
        CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
        CHECK_OK(
            forward(linear, run.x, PTQ_DTYPE_F32, rows[i], 333, run.y, PTQ_DTYPE_F32, 70, NULL));
        CHECK(!memcmp(run.y, y, (size_t)rows[i] * 70 * 4));
        ptq_linear_free(linear);
        free(w);
        free(y);
        free_run(&run);
        free_layer(&l);
    }
}

/* One of the threads that run the same linear concurrently. */
struct caller {
    const ptq_linear *linear;
    struct run run;
    char *prepared; /* shared by all callers: each runs a part of the columns */
    char *y;
    int64_t part, parts, wrong;
};

static void *call_often(void *argument)
{
    struct caller *c = argument;
    struct run *r = &c->run;
    for (int i = 0; i < 20 && !c->prepared; i++) {
        c->wrong += forward(c->linear, r->x, r->x_dtype, r->rows, r->ldx, start(r), r->y_dtype,
                            r->ldy, NULL) != PTQ_OK;
        c->wrong += !is_right(r);
    }
    if (c->prepared)
        c->wrong += forward_part(c->linear, c->prepared, c->y, r->y_dtype, r->ldy, NULL, c->part,
                                 c->parts) != PTQ_OK;
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

/* Many threads may run a linear at once, as a whole or in parts. */
static void test_callers(int what)
{
    ptq_context *context = make_context(3, PTQ_AUTO);
    struct layer l = make_layer(context, (struct shape){90, 256, 64, 4}, what, 5);
    struct caller callers[4];
    ptq_linear *linear;
    CHECK_OK(ptq_linear_create(context, l.q, &linear));
    for (int i = 0; i < 4; i++)
        callers[i] = (struct caller){
            .linear = linear,
            .run = make_run(&l, 5 + i, PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, (uint64_t)i)};
    run_callers(callers);
    struct run *first = &callers[0].run;
    struct guarded prepared = guard(prepared_size(linear, first->rows), 0);
    CHECK_OK(prepare(linear, first->x, PTQ_DTYPE_F32, first->rows, first->ldx, in(&prepared)));
    void *y = start(first);
    for (int i = 0; i < 4; i++) {
        callers[i].prepared = in(&prepared);
        callers[i].y = y;
        callers[i].part = i;
        callers[i].parts = 4;
    }
    run_callers(callers);
    CHECK(is_right(first));
    CHECK(unguard(&prepared));
    for (int i = 0; i < 4; i++)
        free_run(&callers[i].run);
    ptq_linear_free(linear);
    free_layer(&l);
    ptq_context_free(context);
}

static void test_arguments(void)
{
    struct layer l = make_layer(test_context(), (struct shape){5, 64, 32, 4}, INT8, 1);
    ptq_linear *linear;
    float x[64] = {0}, y[5];
    struct guarded scratch = guard(1 << 16, 0);
    CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
#define FORWARD(x, x_dtype, rows, ldx, y, y_dtype, ldy, scratch)                                   \
    forward(linear, x, x_dtype, rows, ldx, y, y_dtype, ldy, scratch)
    CHECK_OK(FORWARD(x, PTQ_DTYPE_F32, 0, 64, y, PTQ_DTYPE_F32, 5, NULL));
    CHECK_STATUS(FORWARD(x, PTQ_DTYPE_F32, -1, 64, y, PTQ_DTYPE_F32, 5, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(NULL, PTQ_DTYPE_F32, 1, 64, y, PTQ_DTYPE_F32, 5, NULL),
                 PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_DTYPE_F32, 1, 63, y, PTQ_DTYPE_F32, 5, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_DTYPE_F32, 1, 64, NULL, PTQ_DTYPE_F32, 5, NULL),
                 PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_DTYPE_F32, 1, 64, y, PTQ_DTYPE_F32, 4, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(FORWARD(x, PTQ_DTYPE_I8, 1, 64, y, PTQ_DTYPE_F32, 5, NULL), PTQ_ERROR_DTYPE);
    CHECK_STATUS(FORWARD(x, PTQ_DTYPE_F32, 1, 64, y, PTQ_DTYPE_U8, 5, NULL), PTQ_ERROR_DTYPE);
    CHECK_STATUS(FORWARD(x, PTQ_DTYPE_F32, 1, 64, y, PTQ_DTYPE_F32, 5, (char *)in(&scratch) + 4),
                 PTQ_ERROR_ARGUMENT);
    CHECK(FORWARD(x, PTQ_DTYPE_F32, INT64_MAX / 8, 64, y, PTQ_DTYPE_F32, 5, NULL) != PTQ_OK);
    CHECK_STATUS(prepare(linear, x, PTQ_DTYPE_F32, 1, 64, NULL), PTQ_ERROR_MISSING);
    CHECK_OK(prepare(linear, x, PTQ_DTYPE_F32, 1, 64, in(&scratch)));
    CHECK_STATUS(forward_part(linear, in(&scratch), y, PTQ_DTYPE_F32, 5, NULL, 2, 2),
                 PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(forward_part(linear, in(&scratch), y, PTQ_DTYPE_F32, 5, NULL, -1, 2),
                 PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(forward_part(linear, in(&scratch), y, PTQ_DTYPE_F32, 5, NULL, 0, 0),
                 PTQ_ERROR_ARGUMENT);
    CHECK(scratch_size(linear, -1) == 0 && prepared_size(linear, -1) == 0);
    ptq_linear_free(linear);
    CHECK(unguard(&scratch));
    CHECK_STATUS(ptq_linear_create(test_context(), NULL, &linear), PTQ_ERROR_ARGUMENT);
    CHECK(linear == NULL);
    CHECK_STATUS(ptq_linear_create(test_context(), l.q, NULL), PTQ_ERROR_ARGUMENT);
    free_layer(&l);
    CHECK_OK(ptq_qtensor_create(test_context(), 5, 64, 4, 32, &l.q));
    CHECK_STATUS(ptq_linear_create(test_context(), l.q, &linear), PTQ_ERROR_MISSING);
    ptq_qtensor_free(l.q);
    ptq_linear_free(NULL);
}

/* The number of allocations for running a call `times` times with scratch memory given. */
static int64_t allocations(int times, int what, int32_t threads)
{
    ptq_context *context = test_failing_context(0);
    ptq_linear *linear;
    ptq_call *call;
    CHECK_OK(ptq_context_set_threads(context, threads));
    struct layer l = make_layer(context, (struct shape){64, 512, 32, 4}, what, 1);
    struct run run = make_run(&l, 32, PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, 1);
    CHECK_OK(ptq_linear_create(context, l.q, &linear));
    CHECK_OK(ptq_call_create(context, (const ptq_linear *const *)&linear, 1, &call));
    struct guarded scratch = guard(ptq_call_scratch_bytes(call, 32, 0), 0);
    for (int i = 0; i < times; i++) {
        CHECK_OK(ptq_call_set_x(call, run.x, PTQ_DTYPE_F32, 32, run.ldx));
        CHECK_OK(ptq_call_set_y(call, 0, start(&run), PTQ_DTYPE_F32, 32, run.ldy));
        CHECK_OK(ptq_call_run(call, in(&scratch), scratch.bytes));
        CHECK(is_right(&run));
    }
    CHECK(unguard(&scratch));
    ptq_call_free(call);
    ptq_linear_free(linear);
    free_run(&run);
    free_layer(&l);
    return test_free_failing(context);
}

static void test_no_allocation(void)
{
    for (int p = 0; p < 4; p++) {
        CHECK_EQ(allocations(0, precisions[p], 1), allocations(3, precisions[p], 1));
        /* threads start once */
        CHECK_EQ(allocations(1, precisions[p], 3), allocations(4, precisions[p], 3));
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
        status = forward(linear, run->x, PTQ_DTYPE_F32, run->rows, run->ldx, start(run),
                         PTQ_DTYPE_F32, run->ldy, NULL);
    ptq_linear_free(linear);
    return status;
}

static void test_memory(void)
{
    for (int what = BIAS; what < 32; what += what == BIAS ? 6 : 17)
        for (int64_t n = 1, done = 0; !done && CHECK(n < 100); n++) {
            struct layer l = make_layer(test_context(), (struct shape){9, 96, 32, 4}, what, 1);
            struct run run = make_run(&l, 3, PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, 1);
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
    test_callers(INT16 | ZEROS | INPUT_SCALE);
    test_callers(BY_GROUP | ZEROS | INPUT_SCALE);
    test_arguments();
    test_no_allocation();
    test_memory();
}
