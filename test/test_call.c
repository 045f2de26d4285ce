/*
 * Calls of several matrices: every result equals, to the bit, what its matrix gives alone, with
 * epilogues and lists of rows computed by hand.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/exact.h"
#include "base/half.h"
#include "calls.h"
#include "guarded.h"
#include "layer.h"
#include "linear/call.h"
#include "test.h"

void test_call(void);

enum { MATRICES = 4, K = 320, MAX_ROWS = 150, MAX_N = 130 };

/* Matrices that share their input, and their rows of x. */
struct set {
    ptq_context *context;
    struct layer layers[MATRICES];
    ptq_linear *linears[MATRICES];
    float *x; /* [MAX_ROWS][K] */
};

static const int64_t sizes[MATRICES] = {70, 70, MAX_N, MAX_N};

static struct set make_set(int32_t isa, int32_t threads, int what)
{
    struct set s = {.context = make_context(threads, isa)};
    struct random r = {7};
    for (int i = 0; i < MATRICES; i++) {
        const struct shape shape = {sizes[i], K, 64, i % 2 && !(what & TWO_LEVEL) ? 8 : 4};
        s.layers[i] = make_layer(s.context, shape, what | (i == 2 ? ZEROS : 0), (uint64_t)i + 1);
        if (what & INPUT_SCALE)
            CHECK_OK(ptq_qtensor_set_input_scale(s.layers[i].q, s.layers[0].input_scale));
        if (what & ORDER)
            CHECK_OK(ptq_qtensor_set_order(s.layers[i].q, s.layers[0].order));
        CHECK_OK(ptq_linear_create(s.context, s.layers[i].q, &s.linears[i]));
        if (i == 1)
            CHECK_OK(ptq_linear_set_bias(s.linears[i], s.layers[i].bias));
    }
    s.x = malloc(MAX_ROWS * K * sizeof *s.x);
    for (int i = 0; i < MAX_ROWS * K; i++)
        s.x[i] = random_normal(&r) * (i / K % 7 == 3 ? 30.0f : 1.0f);
    return s;
}

static void free_set(struct set *s)
{
    for (int i = 0; i < MATRICES; i++) {
        ptq_linear_free(s->linears[i]);
        free_layer(&s->layers[i]);
    }
    free(s->x);
    ptq_context_free(s->context);
}

/* out [count][n] = rows of x by matrix i alone. */
static void alone(const struct set *s, int i, const int32_t *list, int64_t count, float *out)
{
    for (int64_t m = 0; m < count; m++)
        CHECK_OK(forward(s->linears[i], s->x + (list ? list[m] : m) * K, PTQ_DTYPE_F32, 1, K,
                         out + m * sizes[i], PTQ_DTYPE_F32, sizes[i], NULL));
}

enum way { WHOLE, WHOLE_IN_SCRATCH, PARTS };

/* Runs a call in one of the ways. */
static void run_call(ptq_call *call, int64_t rows, enum way way)
{
    const int64_t bytes = ptq_call_part_scratch_bytes(call, rows);
    if (way == WHOLE) {
        CHECK_OK(ptq_call_run(call, NULL, 0));
        return;
    }
    if (way == WHOLE_IN_SCRATCH) {
        struct guarded scratch = guard(ptq_call_scratch_bytes(call, rows, 2), 0);
        CHECK_OK(ptq_call_run(call, in(&scratch), scratch.bytes));
        CHECK(unguard(&scratch));
        return;
    }
    struct guarded prepared = guard(ptq_call_prepared_bytes(call, rows), 0);
    CHECK_OK(ptq_call_set_prepared(call, in(&prepared), prepared.bytes));
    for (int64_t part = 0; part < 14; part++) {
        struct guarded scratch = guard(bytes, 0);
        CHECK_OK(part < 7 ? ptq_call_prepare_part(call, part, 7, in(&scratch), bytes)
                          : ptq_call_run_part(call, part - 7, 7, in(&scratch), bytes));
        CHECK(unguard(&scratch));
    }
    CHECK_OK(ptq_call_set_prepared(call, NULL, 0));
    CHECK(unguard(&prepared));
}

static ptq_call *make_call(const struct set *s, int64_t rows)
{
    ptq_call *call;
    CHECK_OK(ptq_call_create(s->context, (const ptq_linear *const *)s->linears, MATRICES, &call));
    CHECK_OK(ptq_call_set_x(call, s->x, PTQ_DTYPE_F32, rows, K));
    return call;
}

static void check_several(const struct set *s, int64_t rows, enum way way)
{
    float *want = malloc(MAX_ROWS * MAX_N * sizeof *want);
    struct guarded y[MATRICES];
    ptq_call *call = make_call(s, rows);
    for (int i = 0; i < MATRICES; i++) {
        y[i] = guard(rows * sizes[i] * 4, 4);
        CHECK_OK(ptq_call_set_y(call, i, in(&y[i]), PTQ_DTYPE_F32, rows, sizes[i]));
    }
    run_call(call, rows, way);
    for (int i = 0; i < MATRICES; i++) {
        alone(s, i, NULL, rows, want);
        CHECK(!memcmp(in(&y[i]), want, (size_t)(rows * sizes[i]) * 4));
        CHECK(unguard(&y[i]));
    }
    ptq_call_free(call);
    free(want);
}

/* act(gate) * up of rows, as f32. */
static void pair_alone(const struct set *s, int pair, const int32_t *list, int64_t count,
                       int32_t epilogue, float *out)
{
    const int64_t n = sizes[2 * pair];
    float *gate = malloc((size_t)(count * n) * sizeof *gate);
    alone(s, 2 * pair, list, count, gate);
    alone(s, 2 * pair + 1, list, count, out);
    for (int64_t i = 0; i < count * n; i++) {
        const float a = epilogue == PTQ_EPILOGUE_SWIGLU ? ptqi_silu(gate[i]) : ptqi_gelu(gate[i]);
        out[i] = a * out[i];
    }
    free(gate);
}

/* Both epilogues, stored or added in each dtype. */
static void check_epilogue(const struct set *s, int64_t rows, int variant, enum way way)
{
    const int32_t epilogue = 1 + variant % 2, dtype = 1 + variant % 3;
    const int add = variant / 2 % 2;
    const int64_t size = ptq_dtype_size(dtype);
    float *want = malloc(MAX_ROWS * MAX_N * sizeof *want);
    struct guarded y[2];
    ptq_call *call = make_call(s, rows);
    CHECK_OK(ptq_call_set_epilogue(call, epilogue));
    for (int i = 0; i < 2; i++) {
        y[i] = guard(rows * sizes[2 * i] * size, size);
        for (int64_t j = 0; j < rows * sizes[2 * i]; j++)
            ptqi_narrow_row((char *)in(&y[i]) + j * size, dtype, &(float){(float)(j % 17) - 8}, 1);
        CHECK_OK(ptq_call_set_y(call, i, in(&y[i]), dtype, rows, sizes[2 * i]));
        CHECK_OK(ptq_call_set_add(call, i, add));
    }
    run_call(call, rows, way);
    for (int i = 0; i < 2; i++) {
        int64_t wrong = 0;
        pair_alone(s, i, NULL, rows, epilogue, want);
        for (int64_t j = 0; j < rows * sizes[2 * i]; j++) {
            const float value = add ? (float)(j % 17) - 8 + want[j] : want[j];
            char narrow[4];
            ptqi_narrow_row(narrow, dtype, &value, 1);
            wrong += memcmp(narrow, (char *)in(&y[i]) + j * size, (size_t)size) != 0;
        }
        CHECK_EQ(wrong, 0);
        CHECK(unguard(&y[i]));
    }
    ptq_call_free(call);
    free(want);
}

/* Experts: lists of any lengths, empty ones too, of rows in any order, some twice. */
static void check_experts(const struct set *s, int64_t rows, int pairs, enum way way)
{
    static int32_t lists[MATRICES][2 * MAX_ROWS];
    const int results = pairs ? 2 : MATRICES;
    const int32_t epilogue = pairs ? PTQ_EPILOGUE_SWIGLU : PTQ_EPILOGUE_NONE;
    float *want = malloc(MAX_ROWS * MAX_N * sizeof *want);
    struct guarded y[MATRICES];
    int64_t counts[MATRICES], all = 0;
    struct random r = {(uint64_t)rows};
    ptq_call *call = make_call(s, rows);
    CHECK_OK(ptq_call_set_epilogue(call, epilogue));
    for (int i = 0; i < results; i++) {
        const int64_t n = sizes[pairs ? 2 * i : i];
        counts[i] = i == 1 ? 0 : i == 0 ? 1 : random_below(&r, MAX_ROWS);
        all += counts[i];
        for (int64_t m = 0; m < counts[i]; m++)
            lists[i][m] = (int32_t)random_below(&r, rows);
        y[i] = guard(counts[i] * n * 4 + 4, 4);
        CHECK_OK(ptq_call_set_y(call, i, in(&y[i]), PTQ_DTYPE_F32, counts[i], n));
        CHECK_OK(ptq_call_set_rows(call, i, lists[i], counts[i]));
    }
    run_call(call, all, way);
    for (int i = 0; i < results; i++) {
        const int64_t n = sizes[pairs ? 2 * i : i];
        if (pairs)
            pair_alone(s, i, lists[i], counts[i], epilogue, want);
        else
            alone(s, i, lists[i], counts[i], want);
        CHECK(!memcmp(in(&y[i]), want, (size_t)(counts[i] * n) * 4));
        CHECK(unguard(&y[i]));
    }
    ptq_call_free(call);
    free(want);
}

/* Few rows, and so many that tiles run them, which takes longer to check. */
static void check_set(const struct set *s)
{
    static const int64_t rows[] = {1, 5, MAX_ROWS};
    for (int i = 0; i < 3; i++)
        for (int way = WHOLE; way <= PARTS; way++) {
            check_several(s, rows[i], way);
            for (int variant = way; variant < 6; variant += rows[i] < MAX_ROWS ? 1 : 3)
                check_epilogue(s, rows[i], variant, way);
            check_experts(s, rows[i], way == WHOLE, way);
            if (rows[i] < MAX_ROWS)
                check_experts(s, rows[i], way != WHOLE, way);
        }
}

/* All instruction sets. */
static void test_results(void)
{
    static const int whats[] = {0, INT8 | INPUT_SCALE, INT8 | TWO_LEVEL | ORDER, INT16 | ZEROS,
                                BY_GROUP | ZEROS | ORDER};
    for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EMULATED_AMX; isa = isa == 30 ? EVEX : isa + 1)
        for (int i = 0; i < 5 && is_usable(isa); i++) {
            struct set s = make_set(isa, 1 + i % 3, whats[i]);
            check_set(&s);
            free_set(&s);
        }
}

/* Scratch memory that was sized for one thread: more threads do not overrun it. */
static void test_threads_raised(void)
{
    struct set s = make_set(PTQ_AUTO, 1, INT8);
    struct guarded y = guard(MAX_ROWS * MAX_N * 4 * MATRICES, 4);
    ptq_call *call = make_call(&s, MAX_ROWS);
    for (int i = 0; i < MATRICES; i++)
        CHECK_OK(ptq_call_set_y(call, i, (float *)in(&y) + i * MAX_ROWS * MAX_N, PTQ_DTYPE_F32,
                                MAX_ROWS, sizes[i]));
    struct guarded scratch = guard(ptq_call_scratch_bytes(call, MAX_ROWS, 0), 0);
    CHECK_OK(ptq_context_set_threads(s.context, 7));
    CHECK_OK(ptq_call_run(call, in(&scratch), scratch.bytes));
    CHECK(ptq_call_scratch_bytes(call, MAX_ROWS, 0) > scratch.bytes);
    CHECK_STATUS(ptq_call_run(call, in(&scratch), scratch.bytes / 2), PTQ_ERROR_ARGUMENT);
    CHECK(unguard(&scratch));
    CHECK(unguard(&y));
    ptq_call_free(call);
    free_set(&s);
}

static const char *last_message(void)
{
    static char message[256];
    ptq_last_message(message, sizeof message);
    return message;
}

/* What does not fit together. */
static void test_conflicts(void)
{
    struct set s = make_set(PTQ_AUTO, 2, INT8), other = make_set(PTQ_AUTO, 1, INT8 | INPUT_SCALE);
    struct guarded y = guard(MAX_ROWS * MAX_N * 4, 4);
    const int32_t list[3] = {0, 4, 5};
    ptq_call *call = make_call(&s, 5), *foreign = make_call(&other, 5);
    struct guarded prepared = guard(ptq_call_prepared_bytes(call, 5), 0);
    for (int i = 0; i < MATRICES; i++)
        CHECK_OK(ptq_call_set_y(call, i, in(&y), PTQ_DTYPE_F32, MAX_ROWS, sizes[i]));
    CHECK_OK(ptq_call_set_rows(call, 0, list, 2));
    CHECK_STATUS(ptq_call_run(call, NULL, 0), PTQ_ERROR_CONFLICT); /* the others have no list */
    CHECK_OK(ptq_call_set_rows(call, 0, list, 3));
    for (int i = 1; i < MATRICES; i++)
        CHECK_OK(ptq_call_set_rows(call, i, NULL, 0));
    CHECK_STATUS(ptq_call_run(call, NULL, 0), PTQ_ERROR_BOUNDS); /* x has no row 5 */
    CHECK_OK(ptq_call_set_rows(call, 0, list, 2));
    CHECK_OK(ptq_call_run(call, NULL, 0));
    CHECK_OK(ptq_call_set_epilogue(call, PTQ_EPILOGUE_NONE));
    for (int i = 0; i < MATRICES; i++) {
        CHECK_OK(ptq_call_set_y(call, i, in(&y), PTQ_DTYPE_F32, 4, sizes[i]));
        CHECK_OK(ptq_call_set_y(foreign, i, in(&y), PTQ_DTYPE_F32, 5, sizes[i]));
    }
    CHECK_OK(ptq_call_set_prepared(call, in(&prepared), prepared.bytes));
    CHECK_OK(ptq_call_prepare_part(call, 0, 1, NULL, 0));
    CHECK_OK(ptq_call_set_x(call, NULL, PTQ_DTYPE_F32, 0, K));
    CHECK_STATUS(ptq_call_run(call, NULL, 0), PTQ_ERROR_SHAPE); /* five prepared rows, four in y */
    CHECK_OK(ptq_call_set_prepared(call, in(&prepared), 128));
    CHECK_STATUS(ptq_call_run_part(call, 0, 1, NULL, 0), PTQ_ERROR_ARGUMENT);
    CHECK_OK(ptq_call_set_x(foreign, NULL, PTQ_DTYPE_F32, 0, K));
    CHECK_OK(ptq_call_set_prepared(foreign, in(&prepared), prepared.bytes));
    CHECK_STATUS(ptq_call_run(foreign, NULL, 0), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_call_run_part(foreign, 0, 1, NULL, 0), PTQ_ERROR_CONFLICT);
    CHECK_OK(ptq_call_set_prepared(call, in(&prepared), prepared.bytes));
    CHECK_OK(ptq_call_set_rows(call, 1, list, 3)); /* the others have no list, here too */
    CHECK_STATUS(ptq_call_run(call, NULL, 0), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_call_run_part(call, 0, 1, NULL, 0), PTQ_ERROR_CONFLICT);
    CHECK(strstr(last_message(), "list of rows") != NULL);
    CHECK_STATUS(ptq_call_set_epilogue(call, 3), PTQ_ERROR_ARGUMENT);
    ptq_call_free(call);
    ptq_call_free(foreign);
    const ptq_linear *mixed[2] = {s.linears[0], other.linears[0]};
    CHECK_STATUS(ptq_call_create(s.context, mixed, 2, &call), PTQ_ERROR_ARGUMENT);
    mixed[1] = s.linears[2];
    CHECK_OK(ptq_call_create(s.context, mixed, 2, &call));
    CHECK_STATUS(ptq_call_set_epilogue(call, PTQ_EPILOGUE_GEGLU), PTQ_ERROR_SHAPE);
    ptq_call_free(call);
    CHECK_OK(ptq_call_create(s.context, mixed, 1, &call));
    CHECK_STATUS(ptq_call_set_epilogue(call, PTQ_EPILOGUE_SWIGLU), PTQ_ERROR_SHAPE);
    ptq_call_free(call);
    CHECK(unguard(&prepared));
    CHECK(unguard(&y));
    free_set(&s);
    free_set(&other);
}

/* A call keeps its matrices. */
static void test_references(void)
{
    struct set s = make_set(PTQ_AUTO, 1, INT8);
    float *want = malloc(5 * MAX_N * sizeof *want), *y = malloc(5 * MAX_N * sizeof *y);
    ptq_call *call = make_call(&s, 5);
    alone(&s, 3, NULL, 5, want);
    for (int i = 0; i < MATRICES; i++) {
        CHECK_OK(ptq_call_set_y(call, i, y, PTQ_DTYPE_F32, 5, sizes[i]));
        ptq_linear_free(s.linears[i]);
        s.linears[i] = NULL;
    }
    CHECK_OK(ptq_context_set_threads(s.context, 1));
    CHECK_OK(ptq_call_run(call, NULL, 0));
    CHECK(!memcmp(y, want, 5 * (size_t)sizes[3] * 4)); /* the last one has overwritten the others */
    ptq_call_free(call);
    free(want);
    free(y);
    free_set(&s);
}

/* Every allocation of creating and running a call fails once. */
static void test_memory(void)
{
    struct layer l = make_layer(test_context(), (struct shape){9, 96, 32, 4}, INT8, 1);
    for (int64_t n = 1, done = 0; !done && CHECK(n < 60); n++) {
        ptq_context *context = test_failing_context(n);
        ptq_linear *linear = NULL;
        ptq_call *call = NULL;
        float x[96] = {1}, y[9];
        ptq_status status = context ? ptq_linear_create(context, l.q, &linear) : PTQ_ERROR_MEMORY;
        if (!status)
            status = ptq_call_create(context, (const ptq_linear *const *)&linear, 1, &call);
        if (!status) {
            CHECK_OK(ptq_call_set_x(call, x, PTQ_DTYPE_F32, 1, 96));
            CHECK_OK(ptq_call_set_y(call, 0, y, PTQ_DTYPE_F32, 1, 9));
            status = ptq_call_run(call, NULL, 0);
        }
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        done = status == PTQ_OK;
        ptq_call_free(call);
        ptq_linear_free(linear);
        test_free_failing(context);
    }
    free_layer(&l);
}

/* One scale for all rows: parts, which each look at all of them, make the same as a whole. */
static void test_shared_scale(void)
{
    struct layer l = make_layer(test_context(), (struct shape){40, 160, 32, 4}, INT8, 1);
    CHECK_OK(ptq_qtensor_set_activations(l.q, PTQ_ACTIVATIONS_INT8_TENSOR));
    for (int64_t rows = 1; rows < 60; rows += 19) {
        struct run run = make_run(&l, rows, PTQ_DTYPE_F32, PTQ_DTYPE_F32, SPECIAL, 3);
        ptq_context *context = make_context(3, PTQ_AUTO);
        ptq_linear *linear;
        ptq_call *call;
        float *whole = calloc((size_t)rows * 40, 4), *parts = calloc((size_t)rows * 40, 4);
        CHECK_OK(ptq_linear_create(context, l.q, &linear));
        CHECK_OK(ptq_call_create(context, (const ptq_linear *const *)&linear, 1, &call));
        CHECK_OK(ptq_call_set_x(call, run.x, PTQ_DTYPE_F32, rows, run.ldx));
        CHECK_OK(ptq_call_set_y(call, 0, whole, PTQ_DTYPE_F32, rows, 40));
        run_call(call, rows, WHOLE);
        CHECK_OK(ptq_call_set_y(call, 0, parts, PTQ_DTYPE_F32, rows, 40));
        run_call(call, rows, PARTS);
        CHECK(!memcmp(whole, parts, (size_t)rows * 40 * 4));
        free(whole);
        free(parts);
        ptq_call_free(call);
        ptq_linear_free(linear);
        ptq_context_free(context);
        free_run(&run);
    }
    free_layer(&l);
}

/* A parallel_for that fails at its call number *user, and counts them down. */
static ptq_status fail_at(void *user, int64_t parts, ptq_body_function body, void *argument)
{
    if (--*(int *)user == 0)
        return PTQ_ERROR_IO;
    for (int64_t part = 0; part < parts; part++)
        body(argument, part);
    return PTQ_OK;
}

/* A call returns what parallel_for returned, and gives it its own pointer. */
static void test_parallel_for(void)
{
    struct set s = make_set(PTQ_AUTO, 3, INT8);
    float *y = malloc(MAX_ROWS * MAX_N * sizeof *y);
    int theirs = 100, mine;
    ptq_call *call = make_call(&s, MAX_ROWS);
    for (int i = 0; i < MATRICES; i++)
        CHECK_OK(ptq_call_set_y(call, i, y, PTQ_DTYPE_F32, MAX_ROWS, sizes[i]));
    CHECK_OK(ptq_context_set_parallel_for(s.context, fail_at, &theirs));
    CHECK_OK(ptq_call_run(call, NULL, 0));
    CHECK(theirs == 99); /* preparing x is too little for several threads */
    CHECK_OK(ptq_call_set_parallel_user(call, &mine));
    for (int i = 1; i <= 2; i++) {
        mine = i;
        CHECK_STATUS(ptq_call_run(call, NULL, 0), i < 2 ? PTQ_ERROR_IO : PTQ_OK);
    }
    CHECK(theirs == 99);
    ptq_call_free(call);
    free(y);
    free_set(&s);
}

void test_call(void)
{
    test_parallel_for();
    test_results();
    test_threads_raised();
    test_conflicts();
    test_references();
    test_memory();
    test_shared_scale();
}
