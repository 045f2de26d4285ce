/*
 * Statistics against a plain computation in the guaranteed order: one chain over the rows, so that
 * neither the division into updates nor threads nor dtypes change a bit. Corrupt files, out of
 * memory.
 */
#include "test.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/half.h"
#include "stats.h"
#include "store/store.h"

void test_stats(void);

#define K 37
#define ROWS 1500 /* more than two of the library's chunks */
#define ALL (PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE)

static float x[ROWS * K], weights[ROWS];

/* Numbers that f16 and bf16 hold exactly, and weights of all kinds. */
static void make_rows(void)
{
    struct random r = {1};
    for (int i = 0; i < ROWS * K; i++)
        x[i] = (float)(random_below(&r, 255) - 127) / 16;
    for (int t = 0; t < ROWS; t++) { /* channels of one sign */
        x[t * K + 1] = fabsf(x[t * K + 1]) + 1;
        x[t * K + 2] = -fabsf(x[t * K + 2]) - 1;
    }
    for (int i = 0; i < ROWS; i++)
        weights[i] = i % 7 ? fabsf(random_normal(&r)) : 0;
}

/* All results, in one array. */
struct figures {
    int64_t rows, sampled;
    double weight;
    float absmax[K], least[K], most[K], mean[K], hessian[K * K], sample[PTQI_SAMPLE_ROWS * K];
};

static struct figures *ask(const ptq_stats *stats)
{
    struct figures *f = calloc(1, sizeof *f);
    f->rows = ptq_stats_rows(stats);
    f->weight = ptq_stats_total_weight(stats);
    CHECK_OK(ptq_stats_absmax(stats, f->absmax));
    CHECK_OK(ptq_stats_min(stats, f->least));
    CHECK_OK(ptq_stats_max(stats, f->most));
    CHECK_OK(ptq_stats_mean_abs(stats, f->mean));
    if (ptq_stats_flags(stats) & PTQ_STATS_HESSIAN)
        CHECK_OK(ptq_stats_hessian(stats, f->hessian));
    if (ptq_stats_flags(stats) & PTQ_STATS_SAMPLE) {
        f->sampled = ptq_stats_sample_rows(stats);
        CHECK_OK(ptq_stats_sample(stats, f->sample));
    }
    return f;
}

static int same(const ptq_stats *a, const ptq_stats *b)
{
    struct figures *f = ask(a), *g = ask(b);
    int equal = !memcmp(f, g, sizeof *f);
    free(f);
    free(g);
    return equal;
}

static ptq_stats *make(ptq_context *context, int32_t flags)
{
    ptq_stats *stats = NULL;
    CHECK_OK(ptq_stats_create(context, K, flags, &stats));
    return stats;
}

/* The statistics of rows begin .. end of x, in updates of cut rows (0: of random sizes). */
static ptq_stats *collect(ptq_context *context, int64_t begin, int64_t end, int64_t cut,
                          int weighted)
{
    ptq_stats *stats = make(context, ALL);
    struct random r = {(uint64_t)end};
    while (begin < end) {
        int64_t n = cut ? cut : random_below(&r, 700);
        n = n < end - begin ? n : end - begin;
        CHECK_OK(ptq_stats_update(stats, x + begin * K, PTQ_DTYPE_F32, n, K,
                                  weighted ? weights + begin : NULL));
        begin += n;
    }
    return stats;
}

static void test_against_plain(int weighted)
{
    ptq_stats *stats = collect(test_context(), 0, ROWS, ROWS, weighted);
    struct figures *f = ask(stats);
    double weight = 0, worst = 0;
    int wrong = 0;
    for (int t = 0; t < ROWS; t++)
        weight += weighted ? (double)weights[t] : 1;
    CHECK(f->rows == ROWS && f->weight == weight && ptq_stats_k(stats) == K);
    for (int i = 0; i < K; i++) {
        float least = x[i], most = x[i];
        double sum = 0;
        for (int t = 0; t < ROWS; t++) {
            float v = x[t * K + i];
            least = v < least ? v : least;
            most = v > most ? v : most;
            sum += fabs((double)v) * (weighted ? (double)weights[t] : 1);
        }
        wrong += f->least[i] != least || f->most[i] != most || f->mean[i] != (float)(sum / weight);
        wrong += f->absmax[i] != (-least > most ? -least : most);
        for (int j = 0; j < K; j++) {
            float chain = 0;
            double exact = 0;
            int a = i < j ? i : j, b = i < j ? j : i; /* the upper triangle is computed */
            for (int t = 0; t < ROWS; t++) {
                float w = weighted ? weights[t] : 1, left = w * x[t * K + a];
                chain = fmaf(left, x[t * K + b], chain);
                exact += (double)w * (double)x[t * K + a] * (double)x[t * K + b];
            }
            wrong += f->hessian[i * K + j] != chain;
            worst = fmax(worst, fabs((double)f->hessian[i * K + j] - exact));
        }
    }
    CHECK_EQ(wrong, 0);
    CHECK(worst < 1e-4 * (double)f->hessian[0]);
    free(f);
    ptq_stats_free(stats);
}

static void test_cutting(int weighted)
{
    static const int64_t cuts[] = {1, 7, 511, 512, 513, 1024, 0};
    static const int32_t threads[] = {1, 2, 3, 7};
    ptq_stats *whole = collect(test_context(), 0, ROWS, ROWS, weighted);
    for (int t = 0; t < 4; t++)
        for (int c = 0; c < 7; c++) {
            ptq_context *context;
            CHECK_OK(ptq_context_create(&context));
            CHECK_OK(ptq_context_set_threads(context, threads[t]));
            ptq_stats *stats = collect(context, 0, ROWS, cuts[c], weighted);
            CHECK(same(whole, stats));
            ptq_stats_free(stats);
            ptq_context_free(context);
        }
    ptq_stats_free(whole);
}

/* All dtypes, with gaps between rows that must not be read. */
static void test_dtypes(void)
{
    static const int32_t dtypes[] = {PTQ_DTYPE_F32, PTQ_DTYPE_F16, PTQ_DTYPE_BF16};
    const int64_t ldx = K + 3;
    ptq_stats *whole = collect(test_context(), 0, ROWS, ROWS, 1);
    char *data = malloc((size_t)(ROWS * ldx) * 4);
    for (int d = 0; d < 3; d++) {
        int64_t size = ptq_dtype_size(dtypes[d]);
        ptq_stats *stats = make(test_context(), ALL);
        memset(data, 0xff, (size_t)(ROWS * ldx) * 4); /* NaN */
        for (int64_t t = 0; t < ROWS; t++)
            ptqi_from_f32(data + t * ldx * size, dtypes[d], x + t * K, K);
        CHECK_OK(ptq_stats_update(stats, data, dtypes[d], ROWS, ldx, weights));
        CHECK(same(whole, stats));
        ptq_stats_free(stats);
    }
    free(data);
    ptq_stats_free(whole);
}

static void test_merge(void)
{
    ptq_stats *a = collect(test_context(), 0, 600, 100, 1), *empty = make(test_context(), ALL);
    ptq_stats *b = collect(test_context(), 600, ROWS, 100, 1), *c = make(test_context(), 0);
    struct figures *f = ask(a), *g = ask(b), *m;
    CHECK_OK(ptq_stats_merge(empty, a)); /* into empty: the same as the other */
    CHECK(same(empty, a));
    ptq_stats_free(empty);
    empty = make(test_context(), ALL);
    CHECK_OK(ptq_stats_merge(a, empty)); /* with empty: no change */
    m = ask(a);
    CHECK(!memcmp(m, f, sizeof *m));
    free(m);
    CHECK_OK(ptq_stats_merge(a, b));
    m = ask(a);
    int wrong = m->rows != ROWS || m->weight != f->weight + g->weight;
    for (int i = 0; i < K * K; i++)
        wrong += m->hessian[i] != f->hessian[i] + g->hessian[i];
    for (int i = 0; i < K; i++) {
        wrong += m->least[i] != fminf(f->least[i], g->least[i]);
        wrong += m->most[i] != fmaxf(f->most[i], g->most[i]);
        wrong += m->absmax[i] != fmaxf(f->absmax[i], g->absmax[i]);
    }
    CHECK_EQ(wrong, 0);
    CHECK(m->sampled > 256 && m->sampled <= 512);
    CHECK_STATUS(ptq_stats_merge(a, a), PTQ_ERROR_SHAPE);
    CHECK_STATUS(ptq_stats_merge(a, c), PTQ_ERROR_SHAPE);
    CHECK_STATUS(ptq_stats_merge(a, NULL), PTQ_ERROR_ARGUMENT);
    free(f);
    free(g);
    free(m);
    ptq_stats_free(a);
    ptq_stats_free(b);
    ptq_stats_free(c);
    ptq_stats_free(empty);
}

/* Many small statistics merged: the sample still covers the rows evenly, and can be saved. */
static void test_merge_many(void)
{
    static const int64_t pieces[] = {1, 3, 100};
    const char *path = test_scratch("merged-stats.safetensors");
    for (int p = 0; p < 3; p++) {
        ptq_stats *all = make(test_context(), PTQ_STATS_SAMPLE), *read;
        for (int i = 0; i < 2000; i++) {
            ptq_stats *piece = make(test_context(), PTQ_STATS_SAMPLE);
            CHECK_OK(ptq_stats_update(piece, x + i % 13 * K, PTQ_DTYPE_F32, pieces[p], K, NULL));
            CHECK_OK(ptq_stats_merge(all, piece));
            ptq_stats_free(piece);
        }
        const int64_t rows = ptq_stats_rows(all), sampled = ptq_stats_sample_rows(all);
        CHECK_EQ(rows, 2000 * pieces[p]);
        CHECK(sampled > 200 && sampled <= PTQI_SAMPLE_ROWS);
        /* each sampled row represents stride rows */
        if (!CHECK(all->stride * sampled >= rows / 2 && all->stride * sampled <= 2 * rows))
            printf("    pieces of %lld: %lld rows, %lld kept, stride %lld\n", (long long)pieces[p],
                   (long long)rows, (long long)sampled, (long long)all->stride);
        CHECK_OK(ptq_stats_save(all, path));
        if (CHECK_OK(ptq_stats_load(test_context(), path, &read)))
            ptq_stats_free(read);
        ptq_stats_free(all);
    }
}

/* The rows at multiples of the smallest power of two that leaves at most 512. */
static void test_sample(void)
{
    static const int64_t rows[] = {0, 1, 511, 512, 513, 1024, 1025, ROWS};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ptq_stats *stats = collect(test_context(), 0, rows[i], 0, 0);
        struct figures *f = ask(stats);
        int64_t stride = 1, wrong = 0;
        while ((rows[i] + stride - 1) / stride > 512)
            stride *= 2;
        CHECK_EQ(f->sampled, (rows[i] + stride - 1) / stride);
        for (int64_t s = 0; s < f->sampled; s++)
            wrong += memcmp(f->sample + s * K, x + s * stride * K, K * sizeof *x) != 0;
        CHECK_EQ(wrong, 0);
        free(f);
        ptq_stats_free(stats);
    }
}

static void test_refused(void)
{
    ptq_stats *stats = collect(test_context(), 0, 600, 0, 0), *before, *out;
    char message[128];
    float bad[3] = {NAN, INFINITY, -INFINITY}, negative = -1;
    before = collect(test_context(), 0, 600, 0, 0);
    for (int i = 0; i < 3; i++) {
        float keep = x[(599 + i) * K + 5];
        x[(599 + i) * K + 5] = bad[i]; /* in the second chunk */
        CHECK_STATUS(ptq_stats_update(stats, x, PTQ_DTYPE_F32, ROWS, K, NULL),
                     PTQ_ERROR_NOT_FINITE);
        ptq_last_message(message, sizeof message);
        char place[32];
        snprintf(place, sizeof place, "[%d][5]", 599 + i);
        CHECK(strstr(message, place) != NULL);
        CHECK(same(stats, before));
        x[(599 + i) * K + 5] = keep;
    }
    CHECK_STATUS(ptq_stats_update(stats, x, PTQ_DTYPE_F32, 1, K, &negative), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_update(stats, x, PTQ_DTYPE_F32, 1, K, bad), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_update(stats, x, PTQ_DTYPE_F32, -1, K, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_update(stats, x, PTQ_DTYPE_F32, 1, K - 1, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_update(stats, NULL, PTQ_DTYPE_F32, 1, K, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_update(stats, x, PTQ_DTYPE_I8, 1, K, NULL), PTQ_ERROR_DTYPE);
    CHECK_OK(ptq_stats_update(stats, NULL, PTQ_DTYPE_F32, 0, K, NULL));
    CHECK(same(stats, before));
    ptq_stats_free(stats);
    ptq_stats_free(before);
    CHECK_STATUS(ptq_stats_create(test_context(), 0, 0, &out), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_create(test_context(), 131073, 0, &out), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_create(test_context(), K, 8, &out), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_stats_create(test_context(), K, -1, &out), PTQ_ERROR_ARGUMENT);
    CHECK(out == NULL);
    stats = make(test_context(), PTQ_STATS_RANGES);
    float unused[K * K];
    CHECK_STATUS(ptq_stats_hessian(stats, unused), PTQ_ERROR_MISSING);
    CHECK_STATUS(ptq_stats_sample(stats, unused), PTQ_ERROR_MISSING);
    CHECK_OK(ptq_stats_absmax(stats, unused));
    CHECK(unused[0] == 0 && unused[K - 1] == 0);
    CHECK_OK(ptq_stats_mean_abs(stats, unused));
    CHECK(unused[0] == 0);
    ptq_stats_free(stats);
    ptq_stats_free(NULL);
}

static void test_files(void)
{
    const char *path = test_scratch("stats.safetensors");
    for (int32_t flags = 0; flags < 4; flags++)
        for (int64_t rows = 0; rows <= ROWS; rows += ROWS) {
            ptq_stats *stats = make(test_context(), flags), *read = NULL;
            CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, rows, K, weights));
            CHECK_OK(ptq_stats_save(stats, path));
            CHECK_OK(ptq_stats_load(test_context(), path, &read));
            if (read) {
                CHECK(ptq_stats_flags(read) == flags && same(stats, read));
                /* loaded statistics continue like saved ones */
                CHECK_OK(ptq_stats_update(read, x, PTQ_DTYPE_F32, 99, K, NULL));
                CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, 99, K, NULL));
                CHECK(same(stats, read));
            }
            ptq_stats_free(stats);
            ptq_stats_free(read);
        }
    ptq_stats *wide = make(test_context(), 0), *again = NULL; /* the widest possible range */
    float keep[2] = {x[0], x[K]};
    x[0] = FLT_MAX;
    x[K] = -FLT_MAX;
    CHECK_OK(ptq_stats_update(wide, x, PTQ_DTYPE_F32, 2, K, NULL));
    CHECK_OK(ptq_stats_save(wide, path));
    CHECK_OK(ptq_stats_load(test_context(), path, &again));
    CHECK(again && same(wide, again));
    ptq_stats_free(wide);
    ptq_stats_free(again);
    x[0] = keep[0];
    x[K] = keep[1];
    CHECK_STATUS(ptq_stats_load(test_context(), NULL, NULL), PTQ_ERROR_ARGUMENT);
    ptq_stats *none;
    CHECK_STATUS(ptq_stats_load(test_context(), "/nowhere/at/all", &none), PTQ_ERROR_IO);
}

/* A file of two channels, with one field changed for the case. */
struct hostile {
    const char *leave_out;
    int32_t format, flags;
    int64_t rows, stride, sampled;
    double weight, sum_abs;
    float minimum, maximum, hessian, sample;
};

static void put64(int32_t *out, const void *value)
{
    memcpy(out, value, 8); /* little-endian, like every machine that runs this test */
}

static void write_hostile(const struct hostile *h, const char *path)
{
    static const int64_t two = 2, pairs[2] = {2, 2}, ten = 10, one_row[2] = {1, 2};
    int32_t counts[10] = {h->format, h->flags}, sums[4] = {0};
    float minimum[2] = {h->minimum, 0}, maximum[2] = {h->maximum, 0}, sample[2] = {0, h->sample};
    float hessian[4] = {1, 0, h->hessian, 1};
    struct {
        const char *name;
        int32_t dtype, rank;
        const int64_t *shape;
        const void *data;
    } parts[] = {
        {"counts", PTQ_DTYPE_I32, 1, &ten, counts},
        {"minimum", PTQ_DTYPE_F32, 1, &two, minimum},
        {"maximum", PTQ_DTYPE_F32, 1, &two, maximum},
        {"sum_abs", PTQ_DTYPE_I32, 2, pairs, sums},
        {"hessian", PTQ_DTYPE_F32, 2, pairs, hessian},
        {"sample", PTQ_DTYPE_F32, 2, one_row, sample},
    };
    ptq_store *store;
    put64(counts + 2, &h->rows);
    put64(counts + 4, &h->weight);
    put64(counts + 6, &h->stride);
    put64(counts + 8, &h->sampled);
    put64(sums + 2, &h->sum_abs);
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!h->leave_out || strcmp(h->leave_out, parts[i].name))
            CHECK_OK(ptqi_store_put(store, parts[i].name, parts[i].dtype, parts[i].rank,
                                    parts[i].shape, parts[i].data));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
}

static void test_hostile_files(void)
{
    const struct hostile good = {NULL, 1, 3, 1, 1, 1, 1, 1, -1, 1, 0.5f, 1};
    static const char *const parts[] = {"counts",  "minimum", "maximum",
                                        "sum_abs", "hessian", "sample"};
    struct hostile cases[40];
    int count = 0;
    for (int i = 0; i < 40; i++)
        cases[i] = good;
    for (int i = 0; i < 6; i++)
        cases[count++].leave_out = parts[i];
    cases[count++].format = 2;
    cases[count++].flags = 7;
    cases[count++].flags = -1;
    cases[count++].rows = -1;
    cases[count++].rows = INT64_MAX; /* adding to it would overflow */
    cases[count++].stride = 0;
    cases[count++].stride = 3;
    cases[count++].stride = INT64_MIN;
    cases[count++].stride = (int64_t)1 << 62; /* so would multiplying it */
    cases[count++].sampled = -1;
    cases[count++].sampled = 2;
    cases[count++].sampled = 513;
    cases[count++].weight = -1;
    cases[count++].weight = (double)NAN;
    cases[count++].weight = HUGE_VAL;
    cases[count++].sum_abs = -1;
    cases[count++].sum_abs = (double)NAN;
    cases[count++].sum_abs = HUGE_VAL;
    cases[count++].minimum = 2;
    cases[count++].minimum = NAN;
    cases[count++].minimum = -INFINITY;
    cases[count++].maximum = INFINITY;
    cases[count++].hessian = NAN;
    cases[count++].sample = INFINITY;
    const char *path = test_scratch("hostile-stats.safetensors");
    ptq_stats *stats;
    write_hostile(&good, path);
    /* element [1][0] is below the diagonal; it only has to be finite */
    CHECK_OK(ptq_stats_load(test_context(), path, &stats));
    ptq_stats_free(stats);
    for (int i = 0; i < count; i++) {
        write_hostile(&cases[i], path);
        ptq_status status = ptq_stats_load(test_context(), path, &stats);
        if (!CHECK(status != PTQ_OK && status != PTQ_ERROR_MEMORY && stats == NULL))
            printf("    hostile case %d\n", i);
        ptq_stats_free(stats);
    }
}

static ptq_status use_all(ptq_context *context, const char *path)
{
    ptq_stats *a = NULL, *b = NULL;
    ptq_status status = ptq_stats_create(context, K, ALL, &a);
    if (!status)
        status = ptq_stats_update(a, x, PTQ_DTYPE_F32, 520, K, weights);
    if (!status)
        status = ptq_stats_save(a, path);
    if (!status)
        status = ptq_stats_load(context, path, &b);
    if (!status)
        status = ptq_stats_merge(b, a);
    ptq_stats_free(a);
    ptq_stats_free(b);
    return status;
}

static void test_memory(void)
{
    const char *path = test_scratch("memory-stats.safetensors");
    for (int64_t n = 1, done = 0; !done && CHECK(n < 200); n++) {
        unlink(path);
        ptq_context *context = test_failing_context(n);
        ptq_status status = PTQ_ERROR_MEMORY;
        if (context) {
            CHECK_OK(ptq_context_set_threads(context, 1));
            status = use_all(context, path);
        }
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        done = status == PTQ_OK;
        test_free_failing(context);
    }
}

void test_stats(void)
{
    make_rows();
    for (int weighted = 0; weighted < 2; weighted++) {
        test_against_plain(weighted);
        test_cutting(weighted);
    }
    test_dtypes();
    test_merge();
    test_merge_many();
    test_sample();
    test_refused();
    test_files();
    test_hostile_files();
    test_memory();
}
