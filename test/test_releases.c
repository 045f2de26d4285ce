/*
 * Files that earlier releases wrote, in test/data/release-*: matrices in the ptq format, and
 * statistics. They are read, and everything in them has the bits that were recorded then.
 *
 * These files are never made again. A new release adds a directory of its own:
 *
 *     mkdir test/data/release-0.2
 *     PTQ_RELEASE=0.2 build/unit releases
 *
 * writes the files and prints the lines to add to the table below.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "calls.h"
#include "stats.h"
#include "test.h"

void test_releases(void);

static const struct {
    const char *release, *name;
    uint64_t hash;
} recorded[] = {
    {"0.1", "plain", 0xc9c6a7065379ea6bu},     {"0.1", "zeros", 0xd2c0d9e64fded927u},
    {"0.1", "two-level", 0x7a0976a34d0d6653u}, {"0.1", "minima", 0x29a414d236f15dffu},
    {"0.1", "levels", 0xaf791fa8fba9a30fu},    {"0.1", "activation-zero", 0xbd3917429809f2d5u},
    {"0.1", "quantized", 0x6f7fecf1b855a3c6u}, {"0.1", "statistics", 0xcd26a6bcdcd6518du},
};
enum { RECORDED = sizeof recorded / sizeof *recorded };

enum { N = 6, K = 80, ROWS = 24, MAX_GROUPS = K / 16, STATS_K = 12, STATS_ROWS = 40 };
#define FLAGS (PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | PTQ_STATS_MISMATCH)

/* FNV-1a, written here so that it never changes. */
static void add(uint64_t *hash, const void *data, int64_t bytes)
{
    const uint8_t *from = data;
    for (int64_t i = 0; i < bytes; i++)
        *hash = (*hash ^ from[i]) * 0x100000001b3u;
}

static void add_integer(uint64_t *hash, int64_t value)
{
    add(hash, &value, (int64_t)sizeof value);
}

/* All NaNs are one. */
static void add_number(uint64_t *hash, double value)
{
    value = value == value ? value : -1;
    add(hash, &value, (int64_t)sizeof value);
}

static void fill_normal(struct random *r, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = random_normal(r);
}

/* The parts that only some matrices have. */
static void add_options(uint64_t *hash, const ptq_qtensor *q, int64_t scales)
{
    float values[N * MAX_GROUPS];
    int8_t levels[256] = {0};
    if (ptq_qtensor_has_row_scales(q)) {
        CHECK_OK(ptq_qtensor_row_scales(q, values));
        add(hash, values, N * 4);
    }
    if (ptq_qtensor_has_minima(q)) {
        CHECK_OK(ptq_qtensor_minima(q, values));
        add(hash, values, scales * 4);
    }
    if (ptq_qtensor_has_levels(q)) {
        CHECK_OK(ptq_qtensor_levels(q, levels));
        add(hash, levels, (int64_t)1 << ptq_qtensor_bits(q));
    }
}

static void add_columns(uint64_t *hash, const ptq_qtensor *q)
{
    int32_t integers[K];
    float values[K];
    CHECK_OK(ptq_qtensor_order(q, integers));
    add(hash, integers, (int64_t)sizeof integers);
    CHECK_OK(ptq_qtensor_group_index(q, integers));
    add(hash, integers, (int64_t)sizeof integers);
    CHECK_OK(ptq_qtensor_input_scale(q, values));
    add(hash, values, (int64_t)sizeof values);
    add_integer(hash, ptq_qtensor_has_order(q));
    add_integer(hash, ptq_qtensor_has_uneven_groups(q));
    add_integer(hash, ptq_qtensor_has_input_scale(q));
    add_integer(hash, ptq_qtensor_rotation(q));
}

static void add_numbers(uint64_t *hash, const ptq_qtensor *q)
{
    add_integer(hash, ptq_qtensor_bits(q));
    add_integer(hash, ptq_qtensor_group(q));
    add_integer(hash, ptq_qtensor_symmetric(q));
    add_integer(hash, ptq_qtensor_activations(q));
    add_number(hash, (double)ptq_qtensor_activation_scale(q));
    add_integer(hash, ptq_qtensor_activation_zero(q));
    add_integer(hash, ptq_qtensor_equalize(q));
    add_number(hash, ptq_qtensor_weight_error(q));
    add_number(hash, ptq_qtensor_output_error(q));
    add_number(hash, ptq_qtensor_plain_error(q));
    add_number(hash, ptq_qtensor_chosen_error(q));
    add_number(hash, ptq_qtensor_damping(q));
    add_integer(hash, ptq_qtensor_adjusted_groups(q));
    add_integer(hash, ptq_qtensor_clamped_groups(q));
}

/* y = x W^T of the packed matrix. */
static void add_product(uint64_t *hash, const ptq_qtensor *q)
{
    struct random r = {5};
    float x[3 * K], y[3 * N];
    ptq_linear *linear;
    fill_normal(&r, x, 3 * K);
    if (!CHECK_OK(ptq_linear_create(test_context(), q, &linear)))
        return;
    CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, 3, K, y, PTQ_DTYPE_F32, N, NULL));
    add(hash, y, (int64_t)sizeof y);
    ptq_linear_free(linear);
}

static uint64_t hash_matrix(const ptq_qtensor *q)
{
    const int64_t scales = N * ptq_qtensor_groups(q);
    uint64_t hash = 0xcbf29ce484222325u;
    uint8_t codes[N * K];
    float values[N * K];
    if (!CHECK(ptq_qtensor_n(q) == N && ptq_qtensor_k(q) == K && scales <= N * MAX_GROUPS))
        return 0;
    add_numbers(&hash, q);
    CHECK_OK(ptq_qtensor_codes(q, codes));
    add(&hash, codes, (int64_t)sizeof codes);
    CHECK_OK(ptq_qtensor_scales(q, values));
    add(&hash, values, scales * 4);
    CHECK_OK(ptq_qtensor_zeros(q, codes));
    add(&hash, codes, scales);
    add_options(&hash, q, scales);
    add_columns(&hash, q);
    CHECK_OK(ptq_qtensor_dequantize(q, values));
    add(&hash, values, (int64_t)sizeof values);
    add_product(&hash, q);
    return hash;
}

static void add_stats(uint64_t *hash, const ptq_stats *stats)
{
    static ptq_status (*const parts[])(const ptq_stats *, float *) = {
        ptq_stats_min,     ptq_stats_max,      ptq_stats_absmax, ptq_stats_mean_abs,
        ptq_stats_hessian, ptq_stats_mismatch, ptq_stats_sample};
    const int64_t k = STATS_K,
                  counts[] = {k, k, k, k, k * k, k * k, ptq_stats_sample_rows(stats) * k};
    float values[STATS_ROWS * STATS_K];
    add_integer(hash, ptq_stats_rows(stats));
    add_number(hash, ptq_stats_total_weight(stats));
    add_integer(hash, stats->stride);
    add(hash, stats->extremes, stats->extreme_count * k * 4);
    for (int i = 0; i < 7; i++)
        if (CHECK(counts[i] <= (int64_t)(sizeof values / sizeof *values))) {
            CHECK_OK(parts[i](stats, values));
            add(hash, values, counts[i] * 4);
        }
}

static void update(ptq_stats *stats, uint64_t seed)
{
    struct random r = {seed};
    float x[STATS_ROWS * STATS_K], full[STATS_ROWS * STATS_K], weights[STATS_ROWS];
    fill_normal(&r, x, STATS_ROWS * STATS_K);
    for (int i = 0; i < STATS_ROWS * STATS_K; i++)
        full[i] = x[i] + 0.1f * random_normal(&r);
    for (int i = 0; i < STATS_ROWS; i++)
        weights[i] = fabsf(random_normal(&r));
    CHECK_OK(ptq_stats_update_paired(stats, x, STATS_K, full, STATS_K, PTQ_DTYPE_F32, STATS_ROWS,
                                     weights));
}

/* As they were saved; they can be continued. */
static uint64_t hash_stats(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325u;
    ptq_stats *stats;
    if (!CHECK_OK(ptq_stats_load(test_context(), path, &stats)))
        return 0;
    CHECK_EQ(ptq_stats_flags(stats), FLAGS);
    if (CHECK_EQ(ptq_stats_k(stats), STATS_K)) {
        add_stats(&hash, stats);
        update(stats, 8);
    }
    ptq_stats_free(stats);
    return hash;
}

static uint64_t hash_of(const char *matrices, const char *statistics, const char *name)
{
    uint64_t hash = 0;
    ptq_store *store;
    ptq_qtensor *q;
    if (!strcmp(name, "statistics"))
        return hash_stats(statistics);
    if (!CHECK_OK(ptq_store_open(test_context(), matrices, &store)))
        return 0;
    if (CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, name, &q)))
        hash = hash_matrix(q);
    ptq_qtensor_free(q);
    ptq_store_free(store);
    return hash;
}

static const char *file_of(const char *release, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "release-%s/%s.safetensors", release, name);
    return test_data(path);
}

/* What a matrix is made with: codes and scales, and as the names say. */
enum { ZEROS = 1, TWO_LEVEL = 2, MINIMA = 4, LEVELS = 8, UNEVEN = 16, COLUMNS = 32, HALF = 64 };
static const struct {
    const char *name;
    int32_t bits;
    int64_t group;
    int32_t activations, rotation;
    int what;
} kinds[] = {
    {"plain", 8, 0, PTQ_ACTIVATIONS_F32, 0, HALF},
    {"zeros", 4, 32, PTQ_ACTIVATIONS_INT8_STATIC, 32, ZEROS | COLUMNS},
    {"two-level", 4, 32, PTQ_ACTIVATIONS_INT8_TOKEN, 0, TWO_LEVEL},
    {"minima", 5, 16, PTQ_ACTIVATIONS_INT8_TENSOR, 0, MINIMA},
    {"levels", 3, 32, PTQ_ACTIVATIONS_F32, 0, LEVELS | UNEVEN},
    {"activation-zero", 6, 64, PTQ_ACTIVATIONS_UINT8_STATIC, 0, ZEROS},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void set_columns(ptq_qtensor *q, int what, struct random *r)
{
    float input_scale[K];
    int32_t order[K], index[K];
    for (int i = 0; i < K; i++) {
        const int64_t other = random_below(r, i + 1);
        order[i] = order[other];
        order[other] = i;
        index[i] = (int32_t)random_below(r, ptq_qtensor_groups(q));
        input_scale[i] = 0.5f + fabsf(random_normal(r));
    }
    if (what & UNEVEN)
        CHECK_OK(ptq_qtensor_set_group_index(q, index));
    if (what & COLUMNS) {
        CHECK_OK(ptq_qtensor_set_order(q, order));
        CHECK_OK(ptq_qtensor_set_input_scale(q, input_scale));
    }
}

static void set_rows(ptq_qtensor *q, int what, struct random *r)
{
    float scales[N * MAX_GROUPS], minima[N * MAX_GROUPS], rows[N];
    uint8_t zeros[N * MAX_GROUPS];
    int8_t levels[16];
    fill_normal(r, minima, N * MAX_GROUPS);
    for (int i = 0; i < N; i++)
        rows[i] = 0.01f + fabsf(random_normal(r));
    for (int64_t i = 0; i < N * ptq_qtensor_groups(q); i++) {
        scales[i] = what & TWO_LEVEL ? rows[i / ptq_qtensor_groups(q)] * (float)(1 + i % 15)
                    : what & HALF    ? 0.25f * (float)(1 + i)
                                     : random_normal(r);
        zeros[i] = (uint8_t)random_below(r, 1 << ptq_qtensor_bits(q));
    }
    for (int i = 0; i < 16; i++)
        levels[i] = (int8_t)(random_below(r, 255) - 127);
    CHECK_OK(ptq_qtensor_set_scales(q, scales));
    if (what & ZEROS)
        CHECK_OK(ptq_qtensor_set_zeros(q, zeros));
    if (what & TWO_LEVEL)
        CHECK_OK(ptq_qtensor_set_row_scales(q, rows));
    if (what & MINIMA)
        CHECK_OK(ptq_qtensor_set_minima(q, minima));
    if (what & LEVELS)
        CHECK_OK(ptq_qtensor_set_levels(q, levels));
}

static ptq_qtensor *make_matrix(int kind)
{
    struct random r = {(uint64_t)kind};
    uint8_t codes[N * K];
    ptq_qtensor *q;
    CHECK_OK(ptq_qtensor_create(test_context(), N, K, kinds[kind].bits, kinds[kind].group, &q));
    for (int i = 0; i < N * K; i++)
        codes[i] = (uint8_t)random_below(&r, 1 << kinds[kind].bits);
    CHECK_OK(ptq_qtensor_set_codes(q, codes));
    set_rows(q, kinds[kind].what, &r);
    set_columns(q, kinds[kind].what, &r);
    CHECK_OK(ptq_qtensor_set_rotation(q, kinds[kind].rotation));
    CHECK_OK(ptq_qtensor_set_activations(q, kinds[kind].activations));
    if (kinds[kind].activations == PTQ_ACTIVATIONS_INT8_STATIC ||
        kinds[kind].activations == PTQ_ACTIVATIONS_UINT8_STATIC)
        CHECK_OK(ptq_qtensor_set_activation_scale(q, 0.0234f));
    if (kinds[kind].activations == PTQ_ACTIVATIONS_UINT8_STATIC)
        CHECK_OK(ptq_qtensor_set_activation_zero(q, 117));
    return q;
}

/* A matrix with errors, an equalization and a damping, which only quantizing gives. */
static ptq_qtensor *quantize_matrix(void)
{
    struct random r = {77};
    float w[N * K], x[ROWS * K];
    const int64_t shape[2] = {N, K};
    ptq_stats *stats;
    ptq_config *config;
    ptq_tensor *weight;
    ptq_qtensor *q;
    fill_normal(&r, w, N * K);
    for (int i = 0; i < ROWS * K; i++)
        x[i] = random_normal(&r) * (i % K == 3 ? 40.0f : 1.0f);
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE, &stats));
    CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, ROWS, K, NULL));
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w, &weight));
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_AUTO, &config));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 32));
    CHECK_OK(ptq_quantize(config, (const ptq_tensor *const *)&weight, 1, stats, NULL, &q));
    ptq_config_free(config);
    ptq_tensor_free(weight);
    ptq_stats_free(stats);
    return q;
}

static void write_matrices(const char *path)
{
    ptq_store *store;
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    for (int i = 0; i <= KINDS; i++) {
        ptq_qtensor *q = i < KINDS ? make_matrix(i) : quantize_matrix();
        CHECK_OK(
            ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, i < KINDS ? kinds[i].name : "quantized"));
        ptq_qtensor_free(q);
    }
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
}

static void write_statistics(const char *path)
{
    ptq_stats *stats;
    CHECK_OK(ptq_stats_create(test_context(), STATS_K, FLAGS, &stats));
    update(stats, 7);
    CHECK_OK(ptq_stats_save(stats, path));
    ptq_stats_free(stats);
}

/* Makes the files of a release, unless they are there, and prints the lines of the table. */
static void make_release(const char *release, const char *matrices, const char *statistics)
{
    const int there = access(matrices, F_OK) == 0 || access(statistics, F_OK) == 0;
    if (!CHECK(!there))
        return;
    write_matrices(matrices);
    write_statistics(statistics);
    for (int i = 0; i <= KINDS + 1; i++) {
        const char *name = i < KINDS ? kinds[i].name : i == KINDS ? "quantized" : "statistics";
        printf("    {\"%s\", \"%s\", 0x%016llxu},\n", release, name,
               (unsigned long long)hash_of(matrices, statistics, name));
    }
}

static void check_recorded(void)
{
    for (int i = 0; i < RECORDED; i++) {
        const char *release = recorded[i].release, *name = recorded[i].name;
        const uint64_t hash =
            hash_of(file_of(release, "matrices"), file_of(release, "statistics"), name);
        if (!CHECK(hash == recorded[i].hash))
            printf("    %s of release %s: %016llx\n", name, release, (unsigned long long)hash);
    }
}

/* What this tree writes is read back to the same bits as well. */
static void check_written(void)
{
    const char *path = test_scratch("releases.safetensors");
    write_matrices(path);
    for (int i = 0; i < KINDS; i++) {
        ptq_qtensor *q = make_matrix(i);
        CHECK(hash_of(path, NULL, kinds[i].name) == hash_matrix(q));
        ptq_qtensor_free(q);
    }
    unlink(path);
}

void test_releases(void)
{
    const char *release = getenv("PTQ_RELEASE");
    if (release)
        make_release(release, file_of(release, "matrices"), file_of(release, "statistics"));
    else
        check_recorded();
    check_written();
}
