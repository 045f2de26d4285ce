/*
 * Forms of scales: of either sign, with minima, and multiples of super scales; their grids, and
 * their errors on Gaussian weights.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "test.h"

void test_scale_forms(void);

enum { N = 24, K = 1024 };

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
static ptq_status try_quantize(int32_t method, const char *settings, const ptq_stats *stats,
                               ptq_qtensor **q)
{
    const int64_t shape[2] = {N, K};
    ptq_config *config;
    ptq_tensor *weight;
    char copy[160], *rest = copy, *name;
    strcpy(copy, settings);
    *q = NULL;
    CHECK_OK(ptq_config_create(test_context(), method, &config));
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(config, name, strtok_r(rest, " ", &rest)));
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w, &weight));
    const ptq_status status =
        ptq_quantize(config, (const ptq_tensor *const *)&weight, 1, stats, NULL, q);
    ptq_tensor_free(weight);
    ptq_config_free(config);
    return status;
}

static ptq_qtensor *quantize(int32_t method, const char *settings, const ptq_stats *stats)
{
    ptq_qtensor *q;
    CHECK_OK(try_quantize(method, settings, stats, &q));
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

/* The error of a form of scales, after checking that GGUF can hold it in a type. */
static double form_error(int32_t method, const char *settings, const ptq_stats *stats,
                         const char *type)
{
    static float before[N * K], after[N * K];
    char path[600];
    ptq_store *s;
    ptq_qtensor *q = quantize(method, settings, stats), *again;
    const double error = weight_error(q);
    snprintf(path, sizeof path, "%s", test_scratch("form.gguf"));
    CHECK_OK(ptq_store_create(test_context(), path, &s));
    CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_GGUF, s, "m"));
    CHECK_OK(ptq_store_commit(s));
    ptq_store_free(s);
    CHECK_OK(ptq_store_open(test_context(), path, &s));
    CHECK(!strcmp(ptq_store_dtype(s, 0), type));
    CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_GGUF, s, "m", &again));
    CHECK_OK(ptq_qtensor_dequantize(q, before));
    CHECK_OK(ptq_qtensor_dequantize(again, after));
    CHECK(!memcmp(before, after, sizeof before));
    ptq_qtensor_free(again);
    ptq_qtensor_free(q);
    ptq_store_free(s);
    return error;
}

/* Gaussian weights in the forms of GGUF. */
static void test_gguf_forms(void)
{
    static const struct {
        const char *settings, *type;
        double least, most; /* squared error of the weights, rounded to nearest */
    } forms[] = {
        {"scales minima group 32", "Q4_1", 0.0045, 0.0058},
        {"scales minima group 32 bits 5", "Q5_1", 0.0011, 0.0014},
        {"scales super", "Q4_K", 0.0045, 0.0060},
        {"scales super bits 5", "Q5_K", 0.0011, 0.0014},
        {"scales super bits 6", "Q6_K", 0.0002, 0.0004},
    };
    ptq_stats *stats;
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN, &stats));
    CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, 64, K, NULL));
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[160];
        snprintf(text, sizeof text, "scale-dtype f16 %s", forms[i].settings);
        const double error = form_error(PTQ_METHOD_RTN, text, NULL, forms[i].type);
        if (!CHECK(error > forms[i].least && error < forms[i].most))
            printf("    %s: %.5f\n", forms[i].settings, error);
    }
    (void)form_error(PTQ_METHOD_GPTQ,
                     "scale-dtype f16 scales super round gptq+ act-order on static-groups on",
                     stats, "Q4_K");
    ptq_stats_free(stats);
}

/* gptq+ has the smallest output error in each form. */
static void test_outputs(void)
{
    static const char *const forms[] = {"scales minima group 32", "scales super",
                                        "scales super bits 6"};
    ptq_stats *stats;
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN, &stats));
    CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, 64, K, NULL));
    for (int i = 0; i < 3; i++) {
        static const char *const roundings[] = {"rtn", "gptq", "gptq+"};
        double errors[3];
        for (int m = 0; m < 3; m++) {
            char text[160];
            snprintf(text, sizeof text, "%s scale-dtype f16 round %s", forms[i], roundings[m]);
            ptq_qtensor *q = quantize(m ? PTQ_METHOD_GPTQ : PTQ_METHOD_RTN, text, stats);
            errors[m] = ptq_qtensor_output_error(q);
            ptq_qtensor_free(q);
        }
        CHECK(errors[1] < errors[0] && errors[2] < errors[1]);
    }
    ptq_stats_free(stats);
}

static void check_conflict(const char *settings)
{
    char copy[160], *rest = copy, *name;
    ptq_config *config;
    strcpy(copy, settings);
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_GPTQ, &config));
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(config, name, strtok_r(rest, " ", &rest)));
    CHECK_STATUS(ptq_config_check(config), PTQ_ERROR_CONFLICT);
    ptq_config_free(config);
}

static void test_conflicts(void)
{
    check_conflict("scales minima sym off");
    check_conflict("scales super act-order on");
    check_conflict("scales super bits 3");
    check_conflict("scales super bits 8");
    check_conflict("scales minima activations int8-token");
}

/* Rows of nothing, and rows with one weight. */
static void test_empty_groups(void)
{
    static float kept[N * K];
    memcpy(kept, w, sizeof w);
    for (int i = 0; i < 8 * K; i++)
        w[i] = 0;
    for (int n = 4; n < 8; n++)
        w[n * K + 77 * n] = n % 2 ? 0.5f : -0.25f;
    static const char *const forms[] = {"scales minima group 32", "scales super",
                                        "scales super bits 6"};
    for (int i = 0; i < 3; i++) {
        static float out[N * K];
        ptq_qtensor *q = quantize(PTQ_METHOD_RTN, forms[i], NULL);
        CHECK_OK(ptq_qtensor_dequantize(q, out));
        int right = 1;
        for (int j = 0; j < 8 * K; j++)
            right &= fabsf(out[j] - w[j]) <= 0.001f; /* also where w is 0 */
        CHECK(right);
        ptq_qtensor_free(q);
    }
    memcpy(w, kept, sizeof w);
}

/* Weights beyond f16 are refused, whether the scale or only the minimum is. */
static void test_limits(void)
{
    static const struct {
        const char *settings;
        float factor, constant; /* of the weights; of the first group, if not 0 */
        ptq_status expected;
    } cases[] = {
        {"scales minima group 32 scale-dtype f16", 1, 7e4f, PTQ_ERROR_BOUNDS},
        {"scales minima group 32 scale-dtype f16", 1, -7e4f, PTQ_ERROR_BOUNDS},
        {"scales minima group 32 scale-dtype f16", 0, 0.5f, PTQ_OK},
        {"scales minima group 32 scale-dtype f16", 0, 1e-7f, PTQ_ERROR_BOUNDS},
        {"scales super", 1e8f, 0, PTQ_ERROR_BOUNDS},
        {"scales super", 1e11f, 0, PTQ_ERROR_BOUNDS},
        {"scales super", 1e-6f, 0, PTQ_ERROR_BOUNDS},
        {"scales super bits 6", 1e11f, 0, PTQ_ERROR_BOUNDS},
        {"scales super", 0.1f, 0, PTQ_OK},
    };
    static float kept[N * K];
    memcpy(kept, w, sizeof w);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ptq_qtensor *q;
        for (int i = 0; i < N * K; i++)
            w[i] = kept[i] * cases[c].factor;
        for (int i = 0; i < 32 && cases[c].constant != 0; i++)
            w[i] = cases[c].constant;
        CHECK_STATUS(try_quantize(PTQ_METHOD_RTN, cases[c].settings, NULL, &q), cases[c].expected);
        CHECK(cases[c].expected || weight_error(q) < 0.01);
        ptq_qtensor_free(q);
    }
    memcpy(w, kept, sizeof w);
}

void test_scale_forms(void)
{
    make_weights();
    test_gguf_forms();
    test_outputs();
    test_conflicts();
    test_empty_groups();
    test_limits();
    test_gain();
    test_grids();
    test_zero_points();
}
