/*
 * auto: it keeps what loses least of what it tries, respects explicit settings, and reports its
 * choices.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"

void test_auto(void);

enum { N = 20, K = 128, ROWS = 300 };

static float w[2][N * K], x[ROWS * K];
static ptq_stats *stats, *own;

/* Inputs of one kind: 0 plain, 1 with a few large channels, 2 with large rows. */
static void make_layer(int kind)
{
    struct random r = {(uint64_t)kind + 5};
    for (int i = 0; i < 2 * N * K; i++)
        w[i / (N * K)][i % (N * K)] = random_normal(&r) * (random_below(&r, 40) ? 0.05f : 0.3f);
    for (int t = 0; t < ROWS; t++)
        for (int i = 0; i < K; i++) {
            float size = kind == 1 && i % 41 == 3 ? 40.0f : kind == 2 && t % 50 == 0 ? 30.0f : 1.0f;
            x[t * K + i] = random_normal(&r) * size + (i % 7 == 0 ? 1.0f : 0.0f);
        }
    ptq_stats_free(stats);
    ptq_stats_free(own);
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE, &stats));
    CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, ROWS, K, NULL));
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN, &own));
    CHECK_OK(ptq_stats_update(own, x, PTQ_DTYPE_F32, ROWS / 2, K, NULL));
}

static ptq_status quantize(ptq_context *context, const char *settings, const ptq_stats *input,
                           ptq_qtensor **q)
{
    const int64_t shape[2] = {N, K};
    const ptq_stats *each[2] = {NULL, own};
    ptq_config *config;
    ptq_tensor *weights[2] = {NULL, NULL};
    char copy[128], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", settings);
    q[0] = q[1] = NULL;
    ptq_status status = ptq_config_create(context, PTQ_METHOD_AUTO, &config);
    if (status)
        return status;
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(config, name, strtok_r(rest, " ", &rest)));
    for (int i = 0; i < 2 && !status; i++)
        status = ptq_tensor_borrow(context, PTQ_DTYPE_F32, 2, shape, w[i], &weights[i]);
    if (!status)
        status = ptq_quantize(config, (const ptq_tensor *const *)weights, 2, input, each, q);
    for (int i = 0; i < 2; i++)
        ptq_tensor_free(weights[i]);
    ptq_config_free(config);
    return status;
}

static void free_both(ptq_qtensor **q)
{
    ptq_qtensor_free(q[0]);
    ptq_qtensor_free(q[1]);
}

/* The candidates one by one, pinned in the config, against the choice. */
static void test_least(const char *settings)
{
    static const char *const rotations[] = {"0", "64"}, *const symmetric[] = {"on", "off"};
    static const char *const equalizations[] = {"none", "awq", "lae"};
    ptq_qtensor *best[2], *q[2];
    char text[128];
    double least = INFINITY, plain = NAN;
    if (!CHECK_OK(quantize(test_context(), settings, stats, best)))
        return;
    double chosen = ptq_qtensor_chosen_error(best[0]) + ptq_qtensor_chosen_error(best[1]);
    for (int i = 0; i < 12; i++) {
        /* Errors are reported only if something is auto: clip is, and is not tried without effort
         * best, so each of these runs is one candidate. */
        snprintf(text, sizeof text, "%s rotate %s equalize %s sym %s", settings, rotations[i % 2],
                 equalizations[i / 2 % 3], symmetric[i / 6]);
        CHECK_OK(quantize(test_context(), text, stats, q));
        double error = ptq_qtensor_chosen_error(q[0]) + ptq_qtensor_chosen_error(q[1]);
        least = error < least ? error : least;
        plain = i ? plain : error;
        CHECK(ptq_qtensor_plain_error(q[0]) == ptq_qtensor_chosen_error(q[0]));
        CHECK_EQ(ptq_qtensor_rotation(q[0]), i % 2 * 64);
        CHECK_EQ(ptq_qtensor_symmetric(q[1]), i < 6);
        free_both(q);
    }
    /* choosing one setting after the other comes close to the best combination, and is never worse
     * than plain */
    if (!CHECK(chosen <= plain && chosen < 1.1 * least))
        printf("    %s: chosen %g, plain %g, least %g\n", settings, chosen, plain, least);
    double first = ptq_qtensor_plain_error(best[0]) + ptq_qtensor_plain_error(best[1]);
    CHECK(first == plain);
    free_both(best);
}

static void test_effort(void)
{
    ptq_qtensor *q[2];
    double errors[3];
    static const char *const efforts[] = {"effort fast", "effort default", "effort best"};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(quantize(test_context(), efforts[i], stats, q));
        errors[i] = ptq_qtensor_chosen_error(q[0]) + ptq_qtensor_chosen_error(q[1]);
        free_both(q);
    }
    CHECK(errors[2] <= errors[1] && errors[1] < 1.2 * errors[0]);
}

/* scales=auto, with any method: two-level if they help an integer product and are possible, else
 * plain. This is the default of auto. */
static void test_open_scales(void)
{
    static const int32_t activations[] = {PTQ_ACTIVATIONS_F32, PTQ_ACTIVATIONS_INT8_TOKEN,
                                          PTQ_ACTIVATIONS_INT8_TENSOR, PTQ_ACTIVATIONS_INT8_STATIC};
    static const int32_t dtypes[] = {PTQ_DTYPE_F32, PTQ_DTYPE_F16, PTQ_DTYPE_BF16},
                         bits[] = {2, 3, 4, 8};
    const int64_t shape[2] = {N, K};
    ptq_config *config;
    ptq_tensor *weight;
    int64_t scales = -1;
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_AUTO, &config));
    CHECK_OK(ptq_config_get_int(config, PTQ_PARAM_SCALES, &scales));
    CHECK_EQ(scales, PTQ_AUTO);
    ptq_config_free(config);
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w[0], &weight));
    for (int i = 0; i < 4 * 3 * 4; i++) {
        const int a = i % 4, d = i / 4 % 3, b = i / 12;
        ptq_qtensor *q = NULL;
        CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_RTN, &config));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_SCALES, PTQ_AUTO));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_ACTIVATIONS, activations[a]));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_SCALE_DTYPE, dtypes[d]));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_BITS, bits[b]));
        CHECK_OK(ptq_quantize(config, (const ptq_tensor *const *)&weight, 1, stats, NULL, &q));
        CHECK_EQ(ptq_qtensor_has_row_scales(q), a > 0 && d < 2 && b < 3);
        ptq_qtensor_free(q);
        ptq_config_free(config);
    }
    ptq_tensor_free(weight);
}

/* A separately chosen equalization carries all choices. */
static void test_apart(void)
{
    const int64_t shape[2] = {N, K};
    ptq_config *config, *other;
    ptq_tensor *weight;
    ptq_equalization *e;
    ptq_qtensor *q[2];
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w[0], &weight));
    const ptq_tensor *const *list = (const ptq_tensor *const *)&weight;
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_AUTO, &config));
    CHECK_OK(ptq_equalize(config, list, 1, stats, NULL, &e));
    CHECK_OK(ptq_quantize_equalized(config, e, list, 1, stats, NULL, &q[0]));
    CHECK_OK(ptq_quantize(config, list, 1, stats, NULL, &q[1]));
    CHECK(ptq_qtensor_output_error(q[0]) == ptq_qtensor_output_error(q[1]));
    CHECK_EQ(ptq_qtensor_symmetric(q[0]), ptq_qtensor_symmetric(q[1]));
    CHECK_EQ(ptq_qtensor_equalize(q[0]), ptq_qtensor_equalize(q[1]));
    CHECK_EQ(ptq_qtensor_rotation(q[0]), ptq_qtensor_rotation(q[1]));
    free_both(q);
    ptq_equalization_free(e);
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_RTN, &other));
    CHECK_OK(ptq_equalize(other, list, 1, NULL, NULL, &e));
    CHECK_STATUS(ptq_quantize_equalized(config, e, list, 1, stats, NULL, q), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_quantize(config, list, 1, NULL, NULL, q), PTQ_ERROR_MISSING);
    ptq_equalization_free(e);
    ptq_config_free(other);
    ptq_config_free(config);
    ptq_tensor_free(weight);
}

static void test_equal_bits(void)
{
    static uint8_t codes[2][N * K];
    ptq_qtensor *first[2], *q[2];
    CHECK_OK(quantize(test_context(), "group 32", stats, first));
    CHECK_OK(ptq_qtensor_codes(first[1], codes[0]));
    for (int32_t isa = 1; isa < 32; isa++)
        for (int32_t threads = 1; threads < 4 && ptq_isa_usable(isa); threads++) {
            ptq_context *context;
            CHECK_OK(ptq_context_create(&context));
            CHECK_OK(ptq_context_set_isa(context, isa));
            CHECK_OK(ptq_context_set_threads(context, threads));
            CHECK_OK(quantize(context, "group 32", stats, q));
            CHECK_OK(ptq_qtensor_codes(q[1], codes[1]));
            CHECK(!memcmp(codes[0], codes[1], sizeof codes[0]));
            CHECK(ptq_qtensor_chosen_error(q[0]) == ptq_qtensor_chosen_error(first[0]));
            free_both(q);
            ptq_context_free(context);
        }
    free_both(first);
}

static void test_memory(const char *settings)
{
    for (int64_t n = 1, done = 0; !done && CHECK(n < 2000); n += n < 200 ? 1 : 7) {
        ptq_context *context = test_failing_context(n);
        ptq_qtensor *q[2] = {NULL, NULL};
        ptq_status status = PTQ_ERROR_MEMORY;
        if (context) {
            CHECK_OK(ptq_context_set_threads(context, 1));
            status = quantize(context, settings, stats, q);
        }
        CHECK(status == PTQ_OK || (status == PTQ_ERROR_MEMORY && !q[0] && !q[1]));
        done = status == PTQ_OK;
        free_both(q);
        test_free_failing(context);
    }
}

void test_auto(void)
{
    for (int kind = 0; kind < 3; kind++) {
        make_layer(kind);
        test_least("group 32");
        test_least("group 64 bits 3 activations f32");
        test_least("group 32 scales two-level");
    }
    test_least("group 64 activations int8-static");
    test_effort();
    test_apart();
    test_open_scales();
    test_equal_bits();
    test_memory("group 64 effort fast");
    test_memory("group 64 effort best");
    ptq_stats_free(stats);
    ptq_stats_free(own);
    stats = own = NULL;
}
