/*
 * Argument checks: the messages for invalid arguments, which sums are rejected, and that functions
 * which an engine may call from inside its own parallel region stay on the calling thread.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "guarded.h"
#include "calls.h"
#include "layer.h"
#include "linear/linear.h"
#include "qtensor.h"
#include "stats.h"
#include "test.h"

void test_door(void);

static int says(ptq_status status, ptq_status wanted, const char *text)
{
    char message[512];
    ptq_last_message(message, (int64_t)sizeof message);
    int ok = CHECK_STATUS(status, wanted);
    ok &= CHECK(!strcmp(message, text));
    if (!ok)
        printf("    \"%s\", not \"%s\"\n", message, text);
    return ok;
}

#define REFUSED(status, text) says(status, PTQ_ERROR_ARGUMENT, text)

/* One message per cause, with the names in the header. */
static void test_call_messages(void)
{
    struct layer l = make_layer(test_context(), (struct shape){5, 64, 32, 4}, INT8, 1);
    struct guarded room = guard(1 << 16, 0);
    char *const p = in(&room), *const s = p + (1 << 15);
    const int64_t half = 1 << 15;
    ptq_linear *t;
    ptq_call *c;
    float x[2 * 64] = {0}, y[2 * 5];
    CHECK_OK(ptq_linear_create(test_context(), l.q, &t));
    CHECK_OK(ptq_call_create(test_context(), (const ptq_linear *const *)&t, 1, &c));
#define X(x, rows, ldx) ptq_call_set_x(c, x, PTQ_DTYPE_F32, rows, ldx)
    REFUSED(X(NULL, 2, 64), "ptq_call_set_x: x is NULL");
    REFUSED(X(x, 2, 63), "ptq_call_set_x: ldx is 63, below K = 64");
    REFUSED(X(x, -1, 64), "ptq_call_set_x: rows is -1, below 0");
    says(X(x, 2, INT64_MAX), PTQ_ERROR_SHAPE,
         "ptq_call_set_x: x: 2 rows with ldx = 9223372036854775807 exceed the address space");
    REFUSED(ptq_call_set_x(c, (char *)x + 1, PTQ_DTYPE_F16, 1, 64),
            "ptq_call_set_x: x is not aligned to 2 bytes");
    says(ptq_call_set_x(c, x, PTQ_DTYPE_I8, 1, 64), PTQ_ERROR_DTYPE,
         "ptq_call_set_x: x must be f32, f16 or bf16");
#define Y(result, y, rows, ldy) ptq_call_set_y(c, result, y, PTQ_DTYPE_F32, rows, ldy)
    REFUSED(Y(0, NULL, 2, 5), "ptq_call_set_y: y is NULL");
    REFUSED(Y(0, y, 2, 4), "ptq_call_set_y: ldy is 4, below N = 5");
    REFUSED(Y(1, y, 2, 5), "ptq_call_set_y: result is 1, above 0");
    says(ptq_call_run(c, NULL, 0), PTQ_ERROR_MISSING,
         "ptq_call_run: the call has neither x nor prepared memory");
    CHECK_OK(X(NULL, 0, 64)); /* nothing to read */
    CHECK_OK(ptq_call_run(c, NULL, 0));
    CHECK_OK(X(x, 2, 64));
    says(ptq_call_run(c, NULL, 0), PTQ_ERROR_MISSING, "ptq_call_run: result 0 has no y");
    CHECK_OK(Y(0, y, 1, 5));
    says(ptq_call_run(c, NULL, 0), PTQ_ERROR_SHAPE,
         "ptq_call_run: result 0 has 2 rows, and its y room for 1");
    CHECK_OK(Y(0, y, 2, 5));
    says(ptq_call_prepare_part(c, 0, 1, s, half), PTQ_ERROR_MISSING,
         "ptq_call_prepare_part: the call has no prepared memory");
    REFUSED(ptq_call_set_prepared(c, p + 8, half),
            "ptq_call_set_prepared: memory is not aligned to 64 bytes");
    CHECK_OK(ptq_call_set_prepared(c, p, half));
    says(ptq_call_run_part(c, 0, 1, s, half), PTQ_ERROR_CONFLICT,
         "ptq_call_run_part: the activations were prepared for a matrix with another recipe");
    CHECK_OK(ptq_call_prepare_part(c, 0, 1, s, half));
    REFUSED(ptq_call_run_part(c, 0, 1, s + 4, half),
            "ptq_call_run_part: scratch is not aligned to 64 bytes");
    REFUSED(ptq_call_run_part(c, 0, 0, s, half), "ptq_call_run_part: parts is 0, below 1");
    REFUSED(ptq_call_run_part(c, 3, 3, s, half), "ptq_call_run_part: part is 3, above 2");
    CHECK_OK(ptq_call_run_part(c, 0, 1, s, half));
    CHECK_EQ(ptq_call_scratch_bytes(c, INT64_MAX / 4, 1), 0);
    says(PTQ_ERROR_SHAPE, PTQ_ERROR_SHAPE,
         "ptq_call_scratch_bytes: 2305843009213693951 rows are too many");
    ptq_call_free(c);
    ptq_linear_free(t);
    CHECK(unguard(&room));
    free_layer(&l);
}

static void test_other_messages(void)
{
    ptq_context *c = test_context();
    ptq_stats *stats;
    ptq_tensor *tensor;
    ptq_config *config;
    ptq_qtensor *q[2] = {(void *)&stats, (void *)&stats};
    const int64_t shape[2] = {2, 32};
    const ptq_tensor *weights[2];
    float x[64] = {0};
    REFUSED(ptq_stats_update(NULL, x, PTQ_DTYPE_F32, 1, 32, NULL),
            "ptq_stats_update: stats is NULL");
    CHECK_OK(ptq_stats_create(c, 32, PTQ_STATS_HESSIAN, &stats));
    REFUSED(ptq_stats_update_paired(stats, x, 32, x, 31, PTQ_DTYPE_F32, 2, NULL),
            "ptq_stats_update_paired: ldreference is 31, below K = 32");
    REFUSED(ptq_stats_set_sample(stats, x, PTQ_DTYPE_F32, 65537, 32),
            "ptq_stats_set_sample: rows is 65537, above 65536");
    CHECK_OK(ptq_tensor_create(c, PTQ_DTYPE_F32, 2, shape, &tensor));
    CHECK_OK(ptq_config_create(c, PTQ_METHOD_RTN, &config));
    weights[0] = tensor;
    weights[1] = NULL;
    REFUSED(ptq_quantize(config, weights, 2, NULL, NULL, q), "ptq_quantize: weights[1] is NULL");
    CHECK(!q[0] && !q[1]);
    REFUSED(ptq_quantize(config, weights, 65537, NULL, NULL, q),
            "ptq_quantize: count is 65537, above 65536");
    REFUSED(ptq_context_create_with_allocator(NULL, NULL, NULL, &c),
            "ptq_context_create_with_allocator: allocate is NULL");
    CHECK(c == NULL);
    ptq_config_free(config);
    ptq_tensor_free(tensor);
    ptq_stats_free(stats);
}

/* A parallel_for that counts its calls, and runs the parts in reverse order. */
static ptq_status count_call(void *user, int64_t parts, ptq_body_function body, void *argument)
{
    ++*(int *)user;
    for (int64_t part = parts; part-- > 0;)
        body(argument, part);
    return PTQ_OK;
}

static ptq_context *counting_context(int *calls)
{
    ptq_context *context = make_context(4, PTQ_AUTO);
    if (calls)
        CHECK_OK(ptq_context_set_parallel_for(context, count_call, calls));
    return context;
}

enum { ROWS = 600, K = 256 };

/* The collected statistics, as one array. */
static float *collect(ptq_context *context, const float *x, const float *weights)
{
    ptq_stats *stats;
    float *out = calloc((size_t)(2 * K * K + 3 * K + ROWS * K), sizeof *out), *at = out;
    CHECK_OK(ptq_stats_create(context, K, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | PTQ_STATS_MISMATCH,
                              &stats));
    CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, ROWS, K, weights));
    CHECK_OK(ptq_stats_update_paired(stats, x, K, x + K, K, PTQ_DTYPE_F32, ROWS - 1, weights));
    CHECK_OK(ptq_stats_hessian(stats, at));
    CHECK_OK(ptq_stats_mismatch(stats, at += K * K));
    CHECK_OK(ptq_stats_min(stats, at += K * K));
    CHECK_OK(ptq_stats_max(stats, at += K));
    CHECK_OK(ptq_stats_mean_abs(stats, at += K));
    CHECK_OK(ptq_stats_set_sample(stats, x, PTQ_DTYPE_F32, ROWS, K));
    CHECK_OK(ptq_stats_sample(stats, at += K));
    ptq_stats_free(stats);
    return out;
}

static void test_stats_alone(void)
{
    struct random r = {1};
    int calls = 0;
    ptq_context *own = counting_context(NULL), *theirs = counting_context(&calls);
    float *x = malloc(ROWS * K * sizeof *x), weights[ROWS];
    for (int i = 0; i < ROWS * K; i++)
        x[i] = random_normal(&r);
    for (int i = 0; i < ROWS; i++)
        weights[i] = fabsf(random_normal(&r));
    float *a = collect(own, x, weights), *b = collect(theirs, x, weights);
    CHECK(!memcmp(a, b, (2 * K * K + 3 * K + ROWS * K) * sizeof *a));
    CHECK_EQ(calls, 0);
    free(a);
    free(b);
    free(x);
    ptq_context_free(own);
    ptq_context_free(theirs);
}

/* Packed, prepared and multiplied in parts. */
static void check_linear_alone(int what, int32_t activations, uint64_t seed)
{
    enum { PARTS = 3 };
    int calls = 0;
    ptq_context *theirs = counting_context(&calls);
    struct layer l = make_layer(theirs, (struct shape){300, 640, 64, 4}, what, seed);
    if (what & INT8)
        CHECK_OK(ptq_qtensor_set_activations(l.q, activations));
    struct run run = make_run(&l, 200, PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, seed);
    struct guarded memory = guard(ptq_linear_packed_bytes(theirs, l.q), 0);
    ptq_linear *linear, *placed;
    CHECK_OK(ptq_linear_create(theirs, l.q, &linear));
    CHECK_OK(ptq_linear_create_in(theirs, l.q, in(&memory), memory.bytes, &placed));
    struct guarded prepared = guard(prepared_size(linear, run.rows), 0);
    CHECK_OK(prepare(linear, run.x, PTQ_DTYPE_F32, run.rows, run.ldx, in(&prepared)));
    void *y = start(&run);
    for (int part = 0; part < PARTS; part++)
        CHECK_OK(forward_part(placed, in(&prepared), y, PTQ_DTYPE_F32, run.ldy, NULL, part, PARTS));
    char *parts = malloc((size_t)run.y_bytes);
    memcpy(parts, run.y, (size_t)run.y_bytes);
    CHECK(activations == PTQ_ACTIVATIONS_INT8_TENSOR || is_right(&run));
    CHECK_EQ(calls, 0);
    y = start(&run);
    CHECK_OK(
        forward(linear, run.x, PTQ_DTYPE_F32, run.rows, run.ldx, y, PTQ_DTYPE_F32, run.ldy, NULL));
    CHECK(calls >= 2); /* prepares and multiplies on the caller's threads */
    CHECK(!memcmp(parts, run.y, (size_t)run.y_bytes));
    free(parts);
    ptq_linear_free(linear);
    ptq_linear_free(placed);
    CHECK(unguard(&memory));
    CHECK(unguard(&prepared));
    free_run(&run);
    free_layer(&l);
    ptq_context_free(theirs);
}

static void set_parts(ptq_qtensor *q, int64_t k, int has_zeros, int32_t activations)
{
    uint8_t *codes = malloc((size_t)k), zero = 0;
    const float scale = 1;
    memset(codes, 255, (size_t)k);
    CHECK_OK(ptq_qtensor_set_codes(q, codes));
    CHECK_OK(ptq_qtensor_set_scales(q, &scale));
    if (has_zeros)
        CHECK_OK(ptq_qtensor_set_zeros(q, &zero));
    CHECK_OK(ptq_qtensor_set_activations(q, activations));
    free(codes);
}

/* One group of 8-bit codes that are all as far from their zero point as possible. */
static ptq_status pack_row(int64_t k, int has_zeros, int32_t activations, ptq_linear **linear)
{
    ptq_qtensor *q;
    CHECK_OK(ptq_qtensor_create(test_context(), 1, k, 8, 0, &q));
    set_parts(q, k, has_zeros, activations);
    ptq_status status = ptq_linear_create(test_context(), q, linear);
    CHECK_EQ(ptq_linear_packed_bytes(test_context(), q) == 0, status != PTQ_OK);
    ptq_qtensor_free(q);
    return status;
}

#define WIDEST 66311

/* The largest possible sum, on every instruction set. */
static void check_largest_sum(int32_t isa)
{
    ptq_context *context = make_context(1, isa);
    ptq_linear *linear;
    ptq_qtensor *q;
    float *x = malloc(8 * WIDEST * sizeof *x), y[8];
    const float want = (1.0f / 127.0f) * (float)(255 * 127 * WIDEST);
    for (int i = 0; i < 8 * WIDEST; i++)
        x[i] = i / WIDEST % 2 ? -1.0f : 1.0f;
    CHECK_OK(ptq_qtensor_create(context, 1, WIDEST, 8, 0, &q));
    set_parts(q, WIDEST, 1, PTQ_ACTIVATIONS_INT8_TOKEN);
    CHECK_OK(ptq_linear_create(context, q, &linear));
    for (int64_t rows = 1; rows <= 8; rows += 7) {
        CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, rows, WIDEST, y, PTQ_DTYPE_F32, 1, NULL));
        for (int64_t row = 0; row < rows; row++)
            CHECK(y[row] == (row % 2 ? -want : want));
    }
    ptq_linear_free(linear);
    ptq_qtensor_free(q);
    ptq_context_free(context);
    free(x);
}

static void test_packed_sums(void)
{
    ptq_linear *linear = (void *)&linear;
    CHECK_STATUS(pack_row(WIDEST + 1, 1, PTQ_ACTIVATIONS_INT8_TOKEN, &linear),
                 PTQ_ERROR_UNSUPPORTED);
    CHECK(linear == NULL);
    says(PTQ_OK, PTQ_OK,
         "groups of 66312 columns are too wide for 8-bit activations: with codes up to 255 from "
         "their zero points, 32-bit sums hold 66311 columns");
    CHECK_OK(pack_row(WIDEST, 1, PTQ_ACTIVATIONS_INT8_TOKEN, &linear));
    ptq_linear_free(linear);
    CHECK_OK(pack_row(WIDEST + 1, 1, PTQ_ACTIVATIONS_F32, &linear));
    ptq_linear_free(linear);
    CHECK_OK(pack_row(131072, 0, PTQ_ACTIVATIONS_INT8_TENSOR, &linear));
    /* A forged packed form with a zero point that no qtensor has, as far from 0 as possible. */
    struct ptqi_packed header;
    memcpy(&header, linear->memory, sizeof header);
    struct guarded copy = guard(header.bytes, 0);
    memcpy(in(&copy), linear->memory, (size_t)header.bytes);
    ptq_linear_free(linear);
    CHECK_OK(ptq_linear_open(test_context(), in(&copy), copy.bytes, &linear));
    ptq_linear_free(linear);
    header.zero = 255;
    ptqi_packed_write(&header, in(&copy));
    CHECK_STATUS(ptq_linear_open(test_context(), in(&copy), copy.bytes, &linear),
                 PTQ_ERROR_UNSUPPORTED);
    CHECK(linear == NULL);
    CHECK(unguard(&copy));
}

/* Rejected before any work: the weights are not even read. */
static void test_quantized_sums(void)
{
    const int64_t shape[2] = {1, WIDEST + 1};
    ptq_tensor *weight;
    const ptq_tensor *const *list = (const ptq_tensor *const *)&weight;
    ptq_config *config;
    ptq_qtensor *q;
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F32, 2, shape, &weight));
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_RTN, &config));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_BITS, 8));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 0));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_SYMMETRIC, 0));
    CHECK_OK(ptq_quantize(config, list, 1, NULL, NULL, &q));
    ptq_qtensor_free(q);
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_INT8_TOKEN));
    ((float *)ptq_tensor_data(weight))[0] = NAN;
    CHECK_STATUS(ptq_quantize(config, list, 1, NULL, NULL, &q), PTQ_ERROR_UNSUPPORTED);
    CHECK(q == NULL);
    ((float *)ptq_tensor_data(weight))[0] = 0;
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 66304));
    CHECK_OK(ptq_quantize(config, list, 1, NULL, NULL, &q));
    ptq_qtensor_free(q);
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 0));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_SYMMETRIC, 1));
    CHECK_OK(ptq_quantize(config, list, 1, NULL, NULL, &q));
    ptq_qtensor_free(q);
    ptq_config_free(config);
    ptq_tensor_free(weight);
}

void test_door(void)
{
    test_call_messages();
    test_other_messages();
    test_stats_alone();
    check_linear_alone(INT8 | ZEROS | ORDER, PTQ_ACTIVATIONS_INT8_TOKEN, 1);
    check_linear_alone(INT8 | TWO_LEVEL, PTQ_ACTIVATIONS_INT8_TENSOR, 2);
    check_linear_alone(INT16 | ZEROS, PTQ_ACTIVATIONS_INT16_TOKEN, 3);
    check_linear_alone(BY_GROUP | ZEROS, PTQ_ACTIVATIONS_INT8_GROUP, 1);
    check_linear_alone(ZEROS | INPUT_SCALE, PTQ_ACTIVATIONS_F32, 3);
    test_packed_sums();
    for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EMULATED_AMX; isa++)
        if (is_usable(isa))
            check_largest_sum(isa);
    test_quantized_sums();
}
