/*
 * GPTAQ: statistics with the full-precision counterpart of each row, and the gain of the
 * correction. With f the full-precision input and x the output of quantized layers, x Q^T is closer
 * to f W^T than with plain GPTQ.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "test.h"

void test_gptaq(void);

enum { N = 24, K = 160, ROWS = 700 };

static float full[ROWS * K], input[ROWS * K], weights[ROWS], w[N * K];

/* x is f with part of each channel moved to its neighbour, plus noise. */
static void make_inputs(void)
{
    struct random r = {77};
    for (int t = 0; t < ROWS; t++) {
        float common = random_normal(&r);
        weights[t] = (float)random_below(&r, 3);
        for (int i = 0; i < K; i++)
            full[t * K + i] = common + random_normal(&r) * (i % 31 == 3 ? 8.0f : 1.0f);
        for (int i = 0; i < K; i++)
            input[t * K + i] = 0.9f * full[t * K + i] + 0.1f * full[t * K + (i + 1) % K] +
                               0.05f * random_normal(&r);
    }
    for (int i = 0; i < N * K; i++)
        w[i] = random_normal(&r);
}

static ptq_stats *observe(int cut, const float *row_weights, int32_t flags)
{
    ptq_stats *stats;
    CHECK_OK(ptq_stats_create(test_context(), K, flags, &stats));
    for (int t = 0; t < ROWS; t += cut) {
        int rows = t + cut < ROWS ? cut : ROWS - t;
        CHECK_OK(ptq_stats_update_paired(stats, input + t * K, K, full + t * K, K, PTQ_DTYPE_F32,
                                         rows, row_weights ? row_weights + t : NULL));
    }
    return stats;
}

static void test_mismatch(const float *row_weights)
{
    static float whole[K * K], cut[K * K];
    const int32_t flags = PTQ_STATS_HESSIAN | PTQ_STATS_MISMATCH;
    ptq_stats *a = observe(ROWS, row_weights, flags), *b = observe(37, row_weights, flags);
    CHECK_OK(ptq_stats_mismatch(a, whole));
    CHECK_OK(ptq_stats_mismatch(b, cut));
    CHECK(!memcmp(whole, cut, sizeof whole));
    int wrong = 0;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) {
            double sum = 0, size = 0;
            for (int t = 0; t < ROWS; t++) {
                double difference = (double)full[t * K + i] - (double)input[t * K + i];
                double term = difference * (double)input[t * K + j];
                sum += term * (row_weights ? (double)row_weights[t] : 1);
                size += fabs(term) * (row_weights ? (double)row_weights[t] : 1);
            }
            wrong += fabs(sum - (double)whole[i * K + j]) > 1e-5 * size;
        }
    CHECK_EQ(wrong, 0);
    const char *path = test_scratch("mismatch.stats");
    ptq_stats *read = NULL;
    CHECK_OK(ptq_stats_save(a, path));
    if (CHECK_OK(ptq_stats_load(test_context(), path, &read))) {
        CHECK_EQ(ptq_stats_flags(read), flags);
        CHECK_OK(ptq_stats_mismatch(read, cut));
        CHECK(!memcmp(whole, cut, sizeof whole));
    }
    CHECK_OK(ptq_stats_merge(b, a));
    CHECK_OK(ptq_stats_mismatch(b, cut));
    for (int i = 0; i < K * K; i++)
        wrong += cut[i] != whole[i] + whole[i];
    CHECK_EQ(wrong, 0);
    ptq_stats_free(read);
    ptq_stats_free(a);
    ptq_stats_free(b);
}

/* Without a counterpart the mismatch is 0. */
static void test_unpaired(void)
{
    static float mismatch[K * K];
    int wrong = 0;
    ptq_stats *stats;
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_MISMATCH, &stats));
    CHECK_OK(ptq_stats_update(stats, input, PTQ_DTYPE_F32, ROWS, K, NULL));
    CHECK_OK(ptq_stats_mismatch(stats, mismatch));
    for (int i = 0; i < K * K; i++)
        wrong += mismatch[i] != 0;
    CHECK_EQ(wrong, 0);
    float bad = full[5];
    full[5] = NAN;
    CHECK_STATUS(ptq_stats_update_paired(stats, input, K, full, K, PTQ_DTYPE_F32, ROWS, NULL),
                 PTQ_ERROR_NOT_FINITE);
    full[5] = bad;
    CHECK_STATUS(ptq_stats_update_paired(stats, input, K, full, K - 1, PTQ_DTYPE_F32, ROWS, NULL),
                 PTQ_ERROR_ARGUMENT);
    ptq_stats_free(stats);
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN, &stats));
    CHECK_STATUS(ptq_stats_mismatch(stats, mismatch), PTQ_ERROR_MISSING);
    ptq_stats_free(stats);
}

static ptq_status quantize(const ptq_stats *stats, const char *amount, const char *settings,
                           ptq_qtensor **q)
{
    const int64_t shape[2] = {N, K};
    ptq_config *config;
    ptq_tensor *weight;
    char copy[64], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", settings);
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_GPTQ, &config));
    CHECK_OK(ptq_config_parse(config, "bits", "3"));
    CHECK_OK(ptq_config_parse(config, "group", "32"));
    CHECK_OK(ptq_config_parse(config, "gptaq", amount));
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(config, name, strtok_r(rest, " ", &rest)));
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w, &weight));
    ptq_status status = ptq_quantize(config, (const ptq_tensor *const *)&weight, 1, stats, NULL, q);
    ptq_tensor_free(weight);
    ptq_config_free(config);
    return status;
}

/* |f W^T - x Q^T|^2 */
static double lost(const ptq_stats *stats, const char *amount, const char *settings)
{
    static float rounded[N * K];
    ptq_qtensor *q;
    double sum = 0;
    if (!CHECK_OK(quantize(stats, amount, settings, &q)))
        return NAN;
    CHECK_OK(ptq_qtensor_dequantize(q, rounded));
    for (int t = 0; t < ROWS; t++)
        for (int n = 0; n < N; n++) {
            double difference = 0;
            for (int i = 0; i < K; i++)
                difference += (double)full[t * K + i] * (double)w[n * K + i] -
                              (double)input[t * K + i] * (double)rounded[n * K + i];
            sum += difference * difference;
        }
    ptq_qtensor_free(q);
    return sum;
}

static void test_correction(void)
{
    static const char *const settings[] = {"", "act-order on", "block 48", "equalize smoothquant"};
    ptq_stats *stats = observe(ROWS, NULL, PTQ_STATS_HESSIAN | PTQ_STATS_MISMATCH), *plain;
    for (int i = 0; i < 4; i++) {
        double without = lost(stats, "0", settings[i]), quarter = lost(stats, "0.25", settings[i]),
               all = lost(stats, "1", settings[i]);
        if (!CHECK(quarter < 0.97 * without && all < 0.9 * without))
            printf("    %s: %g without, %g with a quarter, %g with all\n", settings[i], without,
                   quarter, all);
    }
    ptq_qtensor *q = NULL;
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN, &plain));
    CHECK_OK(ptq_stats_update(plain, input, PTQ_DTYPE_F32, ROWS, K, NULL));
    CHECK_STATUS(quantize(plain, "0.25", "", &q), PTQ_ERROR_MISSING);
    CHECK(q == NULL);
    CHECK_STATUS(quantize(stats, "0.25", "round rtn", &q), PTQ_ERROR_CONFLICT);
    ptq_stats_free(plain);
    ptq_stats_free(stats);
}

void test_gptaq(void)
{
    make_inputs();
    test_mismatch(NULL);
    test_mismatch(weights);
    test_unpaired();
    test_correction();
}
