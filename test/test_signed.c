/*
 * Scales of either sign: the grids, and what they gain on Gaussian weights.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "test.h"

void test_signed(void);

enum { N = 48, K = 1024 };

static float w[N * K], x[64 * K];

static void make_weights(void)
{
    struct random r = {7};
    for (int i = 0; i < N * K; i++)
        w[i] = 0.02f * random_normal(&r);
    for (int i = 0; i < 64 * K; i++)
        x[i] = random_normal(&r);
}

/* Quantizes w by settings, "name value name value". */
static ptq_qtensor *quantize(int32_t method, const char *settings, const ptq_stats *stats)
{
    const int64_t shape[2] = {N, K};
    ptq_config *config;
    ptq_tensor *weight;
    ptq_qtensor *q = NULL;
    char copy[160], *rest = copy, *name;
    strcpy(copy, settings);
    CHECK_OK(ptq_config_create(test_context(), method, &config));
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(config, name, strtok_r(rest, " ", &rest)));
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w, &weight));
    CHECK_OK(ptq_quantize(config, (const ptq_tensor *const *)&weight, 1, stats, NULL, &q));
    ptq_tensor_free(weight);
    ptq_config_free(config);
    return q;
}

static double weight_error(const ptq_qtensor *q)
{
    static float out[N * K];
    double error = 0, whole = 0;
    CHECK_OK(ptq_qtensor_dequantize(q, out));
    for (int i = 0; i < N * K; i++) {
        error += ((double)out[i] - (double)w[i]) * ((double)out[i] - (double)w[i]);
        whole += (double)w[i] * (double)w[i];
    }
    return error / whole;
}

/* The error with signed scales, as a fraction of that with positive ones. */
static double gain(int32_t method, const char *settings, const ptq_stats *stats)
{
    char text[160];
    double errors[2];
    for (int i = 0; i < 2; i++) {
        strcpy(text, settings);
        strcat(text, i ? " scales signed" : " scales plain");
        ptq_qtensor *q = quantize(method, text, stats);
        errors[i] = weight_error(q);
        ptq_qtensor_free(q);
    }
    return errors[1] / errors[0];
}

/* The best scale of either sign has 0.891, 0.899 and 0.918 of the error of the best positive one,
 * for Gaussian groups of 32, 64 and 128. */
static void test_gain(void)
{
    ptq_stats *stats;
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN, &stats));
    CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, 64, K, NULL));
    const double rtn32 = gain(PTQ_METHOD_RTN, "mse on group 32", NULL);
    const double rtn64 = gain(PTQ_METHOD_RTN, "mse on group 64", NULL);
    const double rtn128 = gain(PTQ_METHOD_RTN, "mse on group 128", NULL);
    CHECK(rtn32 > 0.83 && rtn32 < 0.91);
    CHECK(rtn64 > 0.87 && rtn64 < 0.93);
    CHECK(rtn128 > 0.89 && rtn128 < 0.95);
    CHECK(gain(PTQ_METHOD_GPTQ, "group 32", stats) < 0.95);
    CHECK(gain(PTQ_METHOD_GPTQ, "group 64 round gptq+", stats) < 0.95);
    CHECK(gain(PTQ_METHOD_RTN, "mse on group 32 bits 3", NULL) < 0.87);
    CHECK(gain(PTQ_METHOD_RTN, "mse on group 32 bits 2", NULL) < 0.85);
    ptq_stats_free(stats);
}

/* Without a search, the largest weight of each group becomes code 0 and stays what it is. */
static void check_grid(const char *settings, int32_t dtype)
{
    static float out[N * K], scales[N * K / 32];
    static uint8_t codes[N * K];
    ptq_qtensor *q = quantize(PTQ_METHOD_RTN, settings, NULL);
    int right = 1, negative = 0;
    CHECK_OK(ptq_qtensor_dequantize(q, out));
    CHECK_OK(ptq_qtensor_scales(q, scales));
    CHECK_OK(ptq_qtensor_codes(q, codes));
    for (int g = 0; g < N * K / 32; g++) {
        int largest = 32 * g;
        for (int i = 32 * g; i < 32 * g + 32; i++)
            largest = fabsf(w[i]) > fabsf(w[largest]) ? i : largest;
        const float difference = fabsf(out[largest] - w[largest]);
        right &= codes[largest] == 0 && difference <= fabsf(w[largest]) * 0x1p-8f;
        right &=
            (scales[g] < 0) == (w[largest] > 0) && ptqi_round_to(scales[g], dtype) == scales[g];
        negative += scales[g] < 0;
    }
    CHECK(right);
    CHECK(negative > N * K / 32 / 3 && negative < N * K / 32 * 2 / 3);
    ptq_qtensor_free(q);
}

static void test_grids(void)
{
    check_grid("group 32 scales signed", PTQ_DTYPE_F32);
    check_grid("group 32 scales signed scale-dtype f16", PTQ_DTYPE_F16);
    check_grid("group 32 scales signed scale-dtype bf16 grid awq", PTQ_DTYPE_BF16);
    check_grid("group 32 scales signed bits 8 grid absmax", PTQ_DTYPE_F32);
    check_grid("group 32 scales signed bits 2 grid range", PTQ_DTYPE_F32);
}

/* With zero points, scales stay positive: they change nothing. */
static void test_zero_points(void)
{
    static uint8_t codes[2][N * K];
    ptq_qtensor *plain = quantize(PTQ_METHOD_RTN, "group 32 sym off", NULL);
    ptq_qtensor *both = quantize(PTQ_METHOD_RTN, "group 32 sym off scales signed", NULL);
    CHECK_OK(ptq_qtensor_codes(plain, codes[0]));
    CHECK_OK(ptq_qtensor_codes(both, codes[1]));
    CHECK(!memcmp(codes[0], codes[1], sizeof codes[0]));
    ptq_qtensor_free(plain);
    ptq_qtensor_free(both);
}

void test_signed(void)
{
    make_weights();
    test_gain();
    test_grids();
    test_zero_points();
}
