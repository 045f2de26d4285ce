/*
 * Statistics updated in parts by the caller's threads, without allocating, and set from outside.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "stats.h"
#include "test.h"

void test_stats_parts(void);

enum { K = 333, ROWS = 700, LD = K + 5, MOST_PARTS = 40 };
#define ALL (PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | PTQ_STATS_MISMATCH)

static float x[ROWS * LD], reference[ROWS * LD], weights[ROWS];
static uint16_t halves[ROWS * LD], half_reference[ROWS * LD];

static void make_rows(void)
{
    struct random r = {11};
    for (int i = 0; i < ROWS * LD; i++) {
        x[i] = random_normal(&r) * (i % LD == 7 ? 20.0f : 1.0f);
        reference[i] = x[i] + 0.1f * random_normal(&r);
    }
    for (int i = 0; i < ROWS; i++)
        weights[i] = i % 9 ? random_uniform(&r) + 1.0f : 0.0f;
    ptqi_from_f32(halves, PTQ_DTYPE_F16, x, ROWS * LD);
    ptqi_from_f32(half_reference, PTQ_DTYPE_F16, reference, ROWS * LD);
}

/* Everything that statistics hold. */
static int same(const ptq_stats *a, const ptq_stats *b)
{
    const size_t row = K * sizeof(float), square = K * row;
    return a->rows == b->rows && a->total_weight == b->total_weight && a->stride == b->stride &&
           a->sampled == b->sampled && a->extreme_count == b->extreme_count &&
           !memcmp(a->minimum, b->minimum, row) && !memcmp(a->maximum, b->maximum, row) &&
           !memcmp(a->sum_abs, b->sum_abs, 2 * row) && !memcmp(a->hessian, b->hessian, square) &&
           !memcmp(a->mismatch, b->mismatch, square) &&
           !memcmp(a->sample, b->sample, (size_t)a->sampled * row) &&
           !memcmp(a->extremes, b->extremes, (size_t)a->extreme_count * row);
}

static ptq_stats *make(ptq_context *context)
{
    ptq_stats *stats = NULL;
    CHECK_OK(ptq_stats_create(context, K, ALL, &stats));
    return stats;
}

/* One update, from row first on. */
struct update {
    ptq_stats *stats;
    int64_t first, rows, parts;
    int half, weighted, paired;
};

static ptq_status run_part(const struct update *u, int64_t part)
{
    const int64_t at = u->first * LD;
    const void *from = u->half ? (void *)(halves + at) : (void *)(x + at);
    const void *other = u->half ? (void *)(half_reference + at) : (void *)(reference + at);
    const float *w = u->weighted ? weights + u->first : NULL;
    const int32_t dtype = u->half ? PTQ_DTYPE_F16 : PTQ_DTYPE_F32;
    if (!u->parts)
        return u->paired ? ptq_stats_update_paired(u->stats, from, LD, other, LD, dtype, u->rows, w)
                         : ptq_stats_update(u->stats, from, dtype, u->rows, LD, w);
    return u->paired ? ptq_stats_update_paired_part(u->stats, from, LD, other, LD, dtype, u->rows,
                                                    w, part, u->parts)
                     : ptq_stats_update_part(u->stats, from, dtype, u->rows, LD, w, part, u->parts);
}

/* The parts in a random order. */
static void run_parts(const struct update *u, struct random *r)
{
    int64_t order[MOST_PARTS];
    for (int64_t i = 0; i < u->parts; i++)
        order[i] = i;
    for (int64_t i = u->parts - 1; i >= 0; i--) {
        const int64_t j = random_below(r, i + 1), part = order[j];
        order[j] = order[i];
        CHECK_OK(run_part(u, part));
    }
}

static void test_parts(int half, int weighted, int paired)
{
    static const int64_t sizes[] = {1, 2, 31, 33, 0, 64, 65, 300, 1, 203}; /* ROWS in all */
    ptq_stats *whole = make(test_context()), *parts = make(test_context());
    struct update u = {.half = half, .weighted = weighted, .paired = paired};
    struct random r = {5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        u.rows = sizes[i];
        u.stats = whole;
        u.parts = 0;
        CHECK_OK(run_part(&u, 0));
        u.stats = parts;
        u.parts = 1 + random_below(&r, MOST_PARTS);
        run_parts(&u, &r);
        CHECK(same(whole, parts));
        u.first += u.rows;
    }
    CHECK_EQ(u.first, ROWS);
    ptq_stats_free(whole);
    ptq_stats_free(parts);
}

struct worker {
    const struct update *u;
    int64_t part;
    ptq_status status;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    w->status = run_part(w->u, w->part);
    return NULL;
}

/* At the same time, one thread each; the context's parallel_for is not called. */
static ptq_status refuse(void *user, int64_t parts, ptq_body_function body, void *argument)
{
    (void)user, (void)parts, (void)body, (void)argument;
    CHECK(0);
    return PTQ_ERROR_ARGUMENT;
}

static void test_threads(void)
{
    enum { THREADS = 5 };
    ptq_context *context = test_failing_context(0);
    ptq_stats *whole = make(context), *parts = make(context);
    CHECK_OK(ptq_context_set_parallel_for(context, refuse, NULL));
    for (int64_t first = 0; first < ROWS; first += 100) {
        struct update all = {whole, first, 100, 0, 0, 1, 1},
                      u = {parts, first, 100, THREADS, 0, 1, 1};
        struct worker workers[THREADS];
        pthread_t threads[THREADS];
        CHECK_OK(run_part(&all, 0));
        for (int i = 0; i < THREADS; i++) {
            workers[i] = (struct worker){&u, i, PTQ_OK};
            CHECK(!pthread_create(&threads[i], NULL, work, &workers[i]));
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            CHECK_OK(workers[i].status);
        }
    }
    CHECK(same(whole, parts));
    ptq_stats_free(whole);
    ptq_stats_free(parts);
    test_free_failing(context);
}

/* Every instruction set gives the same, also below the diagonal of H, which files contain. */
static void test_isas(void)
{
    ptq_stats *whole = make(test_context());
    struct update u = {whole, 0, ROWS, 0, 1, 1, 1};
    CHECK_OK(run_part(&u, 0));
    for (int32_t i = 0; ptq_isa(i); i++) {
        ptq_context *context;
        if (!ptq_isa_usable(ptq_isa(i)))
            continue;
        CHECK_OK(ptq_context_create(&context));
        CHECK_OK(ptq_context_set_isa(context, ptq_isa(i)));
        u.stats = make(context);
        CHECK_OK(run_part(&u, 0));
        CHECK(same(whole, u.stats));
        ptq_stats_free(u.stats);
        ptq_context_free(context);
    }
    CHECK(whole->hessian[K] == 0 && whole->hessian[K * K - 2] == 0);
    ptq_stats_free(whole);
}

/* Every part refuses what the whole update refuses, and nothing is added. */
static void test_refused(void)
{
    ptq_stats *stats = make(test_context()), *empty = make(test_context());
    const struct update u = {stats, 0, 40, 4, 0, 0, 1};
    float *bad[2] = {&x[39 * LD + K - 1], &reference[3 * LD]};
    for (int i = 0; i < 2; i++) {
        const float was = *bad[i];
        *bad[i] = NAN;
        for (int64_t part = 0; part < 4; part++)
            CHECK_STATUS(run_part(&u, part), PTQ_ERROR_NOT_FINITE);
        *bad[i] = was;
    }
    CHECK_STATUS(run_part(&u, 4), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(run_part(&u, -1), PTQ_ERROR_ARGUMENT);
    CHECK(same(stats, empty));
    ptq_stats_free(stats);
    ptq_stats_free(empty);
}

/* Allocations of a context that makes that many updates. */
static int64_t allocations(int threads, int updates, int64_t rows, int weighted)
{
    ptq_context *context = test_failing_context(0);
    CHECK_OK(ptq_context_set_threads(context, threads));
    ptq_stats *stats = make(context);
    for (int i = 0; i < updates; i++) {
        const struct update u = {stats, i, rows, 0, i % 2, weighted, 1};
        CHECK_OK(run_part(&u, 0));
    }
    ptq_stats_free(stats);
    return test_free_failing(context);
}

static void test_allocations(void)
{
    for (int weighted = 0; weighted < 2; weighted++)
        for (int64_t rows = 1; rows <= 32; rows += 31) {
            CHECK_EQ(allocations(1, 50, rows, weighted), allocations(1, 0, rows, weighted));
            CHECK_EQ(allocations(3, 50, rows, weighted), allocations(3, 2, rows, weighted));
        }
    CHECK(allocations(1, 2, 33, 0) > allocations(1, 0, 33, 0));
}

/* Without the memory that makes large updates faster. */
static void test_no_memory(void)
{
    ptq_stats *whole = make(test_context());
    struct update u = {whole, 0, ROWS, 0, 0, 1, 1};
    CHECK_OK(run_part(&u, 0));
    ptq_context *context = test_failing_context(0);
    ptq_stats *poor = make(context);
    ptq_stats_free(poor);
    const int64_t made = test_free_failing(context);
    context = test_failing_context(made + 1);
    CHECK_OK(ptq_context_set_threads(context, 1));
    u.stats = poor = make(context);
    CHECK_OK(run_part(&u, 0));
    CHECK(same(whole, poor));
    ptq_stats_free(whole);
    ptq_stats_free(poor);
    test_free_failing(context);
}

/* Copies everything that can be set through the public functions. */
static ptq_stats *copy(const ptq_stats *from, int absmax_only)
{
    ptq_stats *to = make(test_context());
    float *square = malloc(K * K * sizeof *square), min[K], max[K], mean[K];
    CHECK_OK(ptq_stats_min(from, min));
    CHECK_OK(absmax_only ? ptq_stats_absmax(from, max) : ptq_stats_max(from, max));
    CHECK_OK(ptq_stats_mean_abs(from, mean));
    CHECK_OK(ptq_stats_set_ranges(to, ptq_stats_rows(from), ptq_stats_total_weight(from),
                                  absmax_only ? NULL : min, max, mean));
    CHECK_OK(ptq_stats_hessian(from, square));
    for (int i = 0; i < K; i++)
        for (int j = 0; j < i; j++)
            square[i * K + j] = NAN; /* not read */
    CHECK_OK(ptq_stats_set_hessian(to, square));
    CHECK_OK(ptq_stats_mismatch(from, square));
    CHECK_OK(ptq_stats_set_mismatch(to, square));
    free(square);
    return to;
}

static int same_codes(int32_t method, const char *name, const char *value, const ptq_stats *a,
                      const ptq_stats *b)
{
    enum { N = 16 };
    static uint8_t codes[2][N * K];
    static float w[N * K], scales[2][N * 6];
    const int64_t shape[2] = {N, K};
    struct random r = {3};
    ptq_tensor *tensor;
    ptq_config *config;
    for (int i = 0; i < N * K; i++)
        w[i] = random_normal(&r);
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w, &tensor));
    CHECK_OK(ptq_config_create(test_context(), method, &config));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 64));
    CHECK_OK(ptq_config_parse(config, name, value));
    for (int side = 0; side < 2; side++) {
        const ptq_tensor *list[1] = {tensor};
        ptq_qtensor *q;
        CHECK_OK(ptq_quantize(config, list, 1, side ? b : a, NULL, &q));
        CHECK_OK(ptq_qtensor_codes(q, codes[side]));
        CHECK_OK(ptq_qtensor_scales(q, scales[side]));
        ptq_qtensor_free(q);
    }
    ptq_config_free(config);
    ptq_tensor_free(tensor);
    return !memcmp(codes[0], codes[1], sizeof codes[0]) &&
           !memcmp(scales[0], scales[1], sizeof scales[0]);
}

static void test_set(void)
{
    ptq_stats *rows = make(test_context());
    const struct update u = {rows, 0, ROWS, 0, 0, 1, 1};
    CHECK_OK(run_part(&u, 0));
    ptq_stats *set = copy(rows, 0), *symmetric = copy(rows, 1), *again = copy(set, 0);
    CHECK(!memcmp(set->sum_abs, again->sum_abs, sizeof(double) * K) && set->rows == ROWS);
    rows->sampled = 0; /* AWQ's search takes the Hessian in both */
    CHECK(same_codes(PTQ_METHOD_GPTQ, "act-order", "on", rows, set));
    CHECK(same_codes(PTQ_METHOD_GPTQ, "gptaq", "0.25", rows, set));
    CHECK(same_codes(PTQ_METHOD_AWQ, "clip", "on", rows, set));
    CHECK(same_codes(PTQ_METHOD_SMOOTHQUANT, "alpha", "0.5", rows, symmetric));
    CHECK(same_codes(PTQ_METHOD_FPTQ, "v0", "1", rows, symmetric));
    /* Saved and read again, and updated further. */
    const char *path = test_scratch("set-stats.safetensors");
    ptq_stats *loaded;
    CHECK_OK(ptq_stats_save(set, path));
    CHECK_OK(ptq_stats_load(test_context(), path, &loaded));
    const struct update more[2] = {{set, 0, 40, 0, 0, 1, 1}, {loaded, 0, 40, 3, 0, 1, 1}};
    CHECK_OK(run_part(&more[0], 0));
    for (int64_t part = 0; part < 3; part++)
        CHECK_OK(run_part(&more[1], part));
    CHECK(same(set, loaded));
    ptq_stats_free(rows);
    ptq_stats_free(set);
    ptq_stats_free(symmetric);
    ptq_stats_free(again);
    ptq_stats_free(loaded);
}

static void test_set_refused(void)
{
    static float square[K * K];
    ptq_stats *stats = make(test_context()), *empty = make(test_context()), *plain;
    float low[K] = {0}, high[K] = {0}, mean[K] = {0};
    high[9] = -1.0f;
    CHECK_STATUS(ptq_stats_set_ranges(stats, 5, 5, low, high, mean), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_set_ranges(stats, 5, 5, NULL, high, mean), PTQ_ERROR_ARGUMENT);
    high[9] = INFINITY;
    CHECK_STATUS(ptq_stats_set_ranges(stats, 5, 5, low, high, mean), PTQ_ERROR_ARGUMENT);
    high[9] = 1.0f;
    mean[3] = -1.0f;
    CHECK_STATUS(ptq_stats_set_ranges(stats, 5, 5, low, high, mean), PTQ_ERROR_ARGUMENT);
    mean[3] = 0.5f;
    CHECK_STATUS(ptq_stats_set_ranges(stats, 5, 0, low, high, mean), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_set_ranges(stats, 5, NAN, low, high, mean), PTQ_ERROR_ARGUMENT);
    square[3 * K + 3] = -1.0f;
    CHECK_STATUS(ptq_stats_set_hessian(stats, square), PTQ_ERROR_ARGUMENT);
    square[3 * K + 3] = INFINITY;
    CHECK_STATUS(ptq_stats_set_hessian(stats, square), PTQ_ERROR_NOT_FINITE);
    CHECK_STATUS(ptq_stats_set_mismatch(stats, square), PTQ_ERROR_NOT_FINITE);
    CHECK(same(stats, empty));
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_RANGES, &plain));
    CHECK_STATUS(ptq_stats_set_hessian(plain, square), PTQ_ERROR_MISSING);
    CHECK_STATUS(ptq_stats_set_mismatch(plain, square), PTQ_ERROR_MISSING);
    ptq_stats_free(plain);
    ptq_stats_free(stats);
    ptq_stats_free(empty);
}

void test_stats_parts(void)
{
    make_rows();
    for (int kind = 0; kind < 8; kind++)
        test_parts(kind & 1, kind >> 1 & 1, kind >> 2);
    test_threads();
    test_isas();
    test_refused();
    test_allocations();
    test_no_memory();
    test_set();
    test_set_refused();
}
