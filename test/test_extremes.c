/*
 * Weights and inputs of extreme sizes. All methods work relative to the weights and the inputs: a
 * power of two in front of either one changes no code, however small or large it is.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"

void test_extremes(void);

enum { N = 8, K = 96, ROWS = 160 };

static const char *const settings[] = {
    "method rtn group 32 scales two-level",
    "method gptq group 32 scales plain",
    "method gptq group 32 scales two-level act-order on",
    "method gptq round gptq+ group 32 scales plain",
    "method gptq round gptq+ group 32 scales two-level",
    "method gptq round gptq+ group 32 sym off scales two-level",
    "method gptq group 32 rotate 32 scales two-level round gptq+",
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static float w[N * K], x[ROWS * K];

static void make_layer(void)
{
    struct random r = {4711};
    for (int i = 0; i < N * K; i++)
        w[i] = random_normal(&r);
    for (int i = 0; i < ROWS * K; i++)
        x[i] = random_normal(&r) * (i % K % 13 == 5 ? 8.0f : 1.0f);
}

static int32_t parse(ptq_config **config, const char *text)
{
    char copy[128], *rest = copy, *name;
    int32_t method = PTQ_METHOD_GPTQ;
    snprintf(copy, sizeof copy, "%s", text);
    strtok_r(rest, " ", &rest);
    name = strtok_r(rest, " ", &rest);
    for (int32_t i = 0; ptq_method_name(i); i++)
        method = strcmp(ptq_method_name(i), name) ? method : i;
    CHECK_OK(ptq_config_create(test_context(), method, config));
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(*config, name, strtok_r(rest, " ", &rest)));
    return method;
}

static ptq_qtensor *quantize(const float *weights, const float *input, const char *text)
{
    const int64_t shape[2] = {N, K};
    ptq_config *config;
    ptq_tensor *weight;
    ptq_stats *stats;
    ptq_qtensor *q = NULL;
    parse(&config, text);
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE, &stats));
    CHECK_OK(ptq_stats_update(stats, input, PTQ_DTYPE_F32, ROWS, K, NULL));
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, (void *)weights, &weight));
    if (!CHECK_OK(ptq_quantize(config, (const ptq_tensor *const *)&weight, 1, stats, NULL, &q)))
        printf("    %s\n", text);
    ptq_tensor_free(weight);
    ptq_stats_free(stats);
    ptq_config_free(config);
    return q;
}

/* out [count] = in times 2^exponent. */
static void scale(const float *in, int count, int exponent, float *out)
{
    for (int i = 0; i < count; i++)
        out[i] = ldexpf(in[i], exponent);
}

/* Whether the rows from first on of two matrices differ by the factor 2^exponent alone. */
static int differ_by(const ptq_qtensor *a, const ptq_qtensor *b, int first, int rows, int exponent)
{
    float *qa = malloc(2 * N * K * sizeof *qa), *qb = qa + N * K;
    CHECK_OK(ptq_qtensor_dequantize(a, qa));
    CHECK_OK(ptq_qtensor_dequantize(b, qb));
    int wrong = 0;
    for (int i = first * K; i < (first + rows) * K; i++)
        wrong += ldexpf(qa[i], exponent) != qb[i];
    free(qa);
    return wrong == 0;
}

static void test_factors(void)
{
    static const struct {
        int weights, inputs;
    } factors[] = {{-80, 0}, {80, 0}, {0, -50}, {0, 50}, {-80, -50}, {40, -50}, {-80, 50}};
    float other_w[N * K], *other_x = malloc(sizeof x);
    for (int s = 0; s < SETTINGS; s++) {
        ptq_qtensor *plain = quantize(w, x, settings[s]);
        for (size_t f = 0; f < sizeof factors / sizeof *factors; f++) {
            scale(w, N * K, factors[f].weights, other_w);
            scale(x, ROWS * K, factors[f].inputs, other_x);
            ptq_qtensor *q = quantize(other_w, other_x, settings[s]);
            if (!CHECK(differ_by(plain, q, 0, N, factors[f].weights)))
                printf("    %s, w 2^%d, x 2^%d\n", settings[s], factors[f].weights,
                       factors[f].inputs);
            ptq_qtensor_free(q);
        }
        ptq_qtensor_free(plain);
    }
    free(other_x);
}

/* One row far below the others keeps its codes. */
static void test_small_row(void)
{
    float other[N * K];
    memcpy(other, w, sizeof w);
    scale(w + 3 * K, K, -100, other + 3 * K);
    for (int s = 0; s < SETTINGS; s++) {
        ptq_qtensor *plain = quantize(w, x, settings[s]), *q = quantize(other, x, settings[s]);
        if (!CHECK(differ_by(plain, q, 0, 3, 0) && differ_by(plain, q, 3, 1, -100)))
            printf("    %s\n", settings[s]);
        CHECK_EQ(ptq_qtensor_clamped_groups(q), 0);
        ptq_qtensor_free(plain);
        ptq_qtensor_free(q);
    }
}

/* Inputs that were all 0, or whose squares are 0 in f32, say nothing: weights are rounded to
 * nearest. */
static void test_no_input(void)
{
    float *other = calloc(ROWS * K, sizeof *other);
    for (int kind = 0; kind < 2; kind++) {
        scale(x, ROWS * K, kind ? -85 : -200, other);
        for (int s = 0; s < SETTINGS; s++) {
            ptq_qtensor *q = quantize(w, other, settings[s]);
            if (!CHECK(ptq_qtensor_weight_error(q) < 0.02))
                printf("    %s: %g\n", settings[s], ptq_qtensor_weight_error(q));
            ptq_qtensor_free(q);
        }
        ptq_qtensor *q = quantize(w, other, "method auto group 32");
        CHECK(ptq_qtensor_weight_error(q) < 0.02);
        ptq_qtensor_free(q);
    }
    free(other);
}

/* Groups that f16 scales cannot hold are counted, those of zeros are not. */
static void test_clamped(void)
{
    static const char *const dtypes[] = {"scale-dtype f16", "scale-dtype bf16", "scale-dtype f32"};
    float other[N * K];
    memcpy(other, w, sizeof w);
    scale(w + 3 * K, K, -24, other + 3 * K);
    memset(other + 5 * K, 0, K * sizeof *other);
    for (int s = 0; s < SETTINGS; s++)
        for (int d = 0; d < 3; d++) {
            char text[128];
            snprintf(text, sizeof text, "%s %s", settings[s], dtypes[d]);
            if (d == 1 && strstr(text, "two-level"))
                continue;
            ptq_qtensor *q = quantize(other, x, text);
            if (!CHECK_EQ(ptq_qtensor_clamped_groups(q), d ? 0 : K / 32))
                printf("    %s\n", text);
            ptq_qtensor_free(q);
        }
}

void test_extremes(void)
{
    make_layer();
    test_factors();
    test_small_row();
    test_no_input();
    test_clamped();
}
