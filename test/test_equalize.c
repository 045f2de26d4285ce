/*
 * Equalizations and the activation schemes that they choose: explicit formulas, properties that the
 * methods guarantee, and keeping a scale compared with folding it.
 */
#include "calls.h"
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void test_equalize(void);

enum { N = 24, K = 96, T = 160 };

/* A matrix and inputs with channels of very different magnitudes; channel 7 is dead. */
struct layer {
    float w[N * K], x[T * K];
    ptq_tensor *weight;
    ptq_stats *stats;
};

static struct layer *make_layer(ptq_context *context, float size, uint64_t seed)
{
    static const int64_t shape[2] = {N, K};
    struct random r = {seed};
    struct layer *l = calloc(1, sizeof *l);
    for (int i = 0; i < N * K; i++)
        l->w[i] = random_normal(&r) * 0.1f;
    for (int i = 0; i < T * K; i++) {
        int c = i % K;
        float channel = c == 7 ? 0.0f : c % 13 ? 1.0f : 20.0f;
        l->x[i] = random_normal(&r) * channel * size;
    }
    ptq_tensor_borrow(context, PTQ_DTYPE_F32, 2, shape, l->w, &l->weight);
    if (!ptq_stats_create(context, K, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE, &l->stats))
        ptq_stats_update(l->stats, l->x, PTQ_DTYPE_F32, T, K, NULL);
    return l;
}

static void free_layer(struct layer *l)
{
    ptq_tensor_free(l->weight);
    ptq_stats_free(l->stats);
    free(l);
}

static ptq_config *make_config(ptq_context *context, int32_t method)
{
    ptq_config *config = NULL;
    CHECK_OK(ptq_config_create(context, method, &config));
    CHECK_OK(
        ptq_config_set_int(config, PTQ_PARAM_GROUP, method == PTQ_METHOD_SMOOTHQUANT ? 0 : 32));
    return config;
}

static float absmax(const float *x, int64_t count, int64_t stride)
{
    float most = 0;
    for (int64_t i = 0; i < count; i++)
        most = fabsf(x[i * stride]) > most ? fabsf(x[i * stride]) : most;
    return most;
}

static ptq_equalization *equalize(const ptq_config *config, const struct layer *l,
                                  const int32_t *ties)
{
    const ptq_tensor *weights[] = {l->weight};
    ptq_equalization *e = NULL;
    CHECK_OK(ptq_equalize(config, weights, 1, l->stats, ties, &e));
    return e;
}

/* FPTQ's three regimes, by input magnitude, and LAE's formula in the middle one. */
static void test_fptq(void)
{
    static const float sizes[] = {0.01f, 1.0f, 20.0f};
    for (int i = 0; i < 3; i++) {
        struct layer *l = make_layer(test_context(), sizes[i], 5);
        ptq_config *config = make_config(test_context(), PTQ_METHOD_FPTQ);
        ptq_equalization *e = equalize(config, l, NULL);
        float v = absmax(l->x, T * K, 1), scale[K], most = 0;
        CHECK(i == 0 ? v <= 15 : i == 1 ? v > 15 && v < 150 : v >= 150);
        CHECK_EQ(ptq_equalization_has_scale(e), i == 1);
        CHECK_EQ(ptq_equalization_activations(e),
                 i < 2 ? PTQ_ACTIVATIONS_INT8_STATIC : PTQ_ACTIVATIONS_INT8_TOKEN);
        CHECK_OK(ptq_equalization_scale(e, scale));
        for (int c = 0; c < K && i == 1; c++) {
            double range = absmax(l->x + c, T, K), after = log2(2.0 + range);
            double wanted = c == 7 ? 1.0 : range / after;
            CHECK(fabs(scale[c] / wanted - 1) < 1e-6);
            most = c != 7 && (float)after > most ? (float)after : most;
        }
        if (i == 0)
            most = v;
        if (i < 2)
            CHECK(fabsf(ptq_equalization_activation_scale(e) / (most / 127.0f) - 1) < 1e-6f);
        ptq_equalization_free(e);
        ptq_config_free(config);
        free_layer(l);
    }
}

/* The search that uses the rows, for few rows, compared with the one that uses H. */
static void test_awq_rows(void)
{
    static const int rows[] = {T, K - 1, 5, 1};
    struct layer *l = make_layer(test_context(), 1.0f, 8);
    ptq_config *config = make_config(test_context(), PTQ_METHOD_AWQ);
    const ptq_tensor *weights[] = {l->weight};
    for (int i = 0; i < 4; i++) {
        static const int32_t flags[] = {PTQ_STATS_HESSIAN, PTQ_STATS_SAMPLE,
                                        PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE};
        ptq_equalization *e[3] = {0};
        float scale[3][K];
        for (int j = 0; j < 3; j++) {
            ptq_stats *stats;
            CHECK_OK(ptq_stats_create(test_context(), K, flags[j], &stats));
            CHECK_OK(ptq_stats_update(stats, l->x, PTQ_DTYPE_F32, rows[i], K, NULL));
            CHECK_OK(ptq_equalize(config, weights, 1, stats, NULL, &e[j]));
            CHECK_OK(ptq_equalization_scale(e[j], scale[j]));
            ptq_stats_free(stats);
        }
        double loss = ptq_equalization_loss(e[0]);
        CHECK(loss > 0 && fabs(ptq_equalization_loss(e[1]) / loss - 1) < 1e-4);
        CHECK_EQ(ptq_equalization_candidate(e[0]), ptq_equalization_candidate(e[1]));
        CHECK(!memcmp(scale[0], scale[1], sizeof scale[0]));
        CHECK(ptq_equalization_loss(e[2]) == ptq_equalization_loss(e[rows[i] < K]));
        for (int j = 0; j < 3; j++)
            ptq_equalization_free(e[j]);
    }
    ptq_config_free(config);
    free_layer(l);
}

static void test_smoothquant(void)
{
    struct layer *l = make_layer(test_context(), 1.0f, 6);
    ptq_config *config = make_config(test_context(), PTQ_METHOD_SMOOTHQUANT);
    static const double alphas[] = {0, 0.5, 1};
    for (int i = 0; i < 3; i++) {
        float scale[K];
        CHECK_OK(ptq_config_set_float(config, PTQ_PARAM_ALPHA, alphas[i]));
        ptq_equalization *e = equalize(config, l, NULL);
        CHECK_OK(ptq_equalization_scale(e, scale));
        double wanted[K], least = INFINITY;
        for (int c = 0; c < K; c++) {
            double x = absmax(l->x + c, T, K), w = fmax(absmax(l->w + c, N, K), 1e-5);
            wanted[c] = fmax(pow(x, alphas[i]) / pow(w, 1 - alphas[i]), 1e-5);
            least = x > 0 ? fmin(least, wanted[c]) : least;
        }
        for (int c = 0; c < K; c++) { /* dead channels: half the smallest */
            int dead = absmax(l->x + c, T, K) == 0;
            CHECK(fabs(scale[c] / (dead ? 0.5 * least : wanted[c]) - 1) < 1e-6);
        }
        ptq_equalization_free(e);
    }
    ptq_config_free(config);
    free_layer(l);
}

/* Weights of channels that were dead in calibration are kept about as well as the others, by every
 * equalization and with a rotation, which mixes them with live ones: in use, they may not be dead.
 */
static void test_dead_channels(void)
{
    static const char *const settings[][2] = {
        {"awq", "0"}, {"smoothquant", "0"}, {"lae", "0"}, {"awq", "64"}, {"smoothquant", "64"}};
    struct layer *l = make_layer(test_context(), 1.0f, 8);
    for (int t = 0; t < T; t++)
        memset(l->x + t * K + 32, 0, 32 * sizeof(float));
    for (int i = 0; i < 5; i++) {
        ptq_config *config = make_config(test_context(), PTQ_METHOD_RTN);
        ptq_stats *stats;
        ptq_qtensor *q;
        float w[N * K];
        double lost = 0, all = 0;
        const ptq_tensor *weights[] = {l->weight};
        CHECK_OK(ptq_config_parse(config, "equalize", settings[i][0]));
        CHECK_OK(ptq_config_parse(config, "rotate", settings[i][1]));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_GROUP, 32));
        CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN, &stats));
        CHECK_OK(ptq_stats_update(stats, l->x, PTQ_DTYPE_F32, T, K, NULL));
        CHECK_OK(ptq_quantize(config, weights, 1, stats, NULL, &q));
        CHECK_OK(ptq_qtensor_dequantize(q, w));
        for (int64_t j = 0; j < N * K; j++)
            if (j % K / 32 == 1) {
                lost += (double)(w[j] - l->w[j]) * (double)(w[j] - l->w[j]);
                all += (double)l->w[j] * (double)l->w[j];
            }
        if (!CHECK(lost < 0.1 * all))
            printf("    %s, rotation %s: %g of dead channels lost\n", settings[i][0],
                   settings[i][1], lost / all);
        ptq_qtensor_free(q);
        ptq_stats_free(stats);
        ptq_config_free(config);
    }
    free_layer(l);
}

/* Tied channels get equal scales, whatever the method. */
static void test_ties(void)
{
    static const int32_t kinds[] = {PTQ_EQUALIZE_AWQ, PTQ_EQUALIZE_SMOOTHQUANT, PTQ_EQUALIZE_LAE};
    struct layer *l = make_layer(test_context(), 1.0f, 7);
    int32_t ties[K];
    for (int c = 0; c < K; c++)
        ties[c] = c % 48;
    for (int i = 0; i < 6; i++) {
        ptq_config *config = make_config(test_context(), PTQ_METHOD_RTN);
        float scale[K];
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_EQUALIZE, kinds[i % 3]));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_DUO, i == 3));
        ptq_equalization *e = equalize(config, l, ties);
        CHECK_OK(ptq_equalization_scale(e, scale));
        CHECK(!memcmp(scale, scale + 48, 48 * sizeof *scale));
        for (int c = 0; c < K; c++)
            CHECK(scale[c] > 0 && isfinite(scale[c]));
        ptq_equalization_free(e);
        ptq_config_free(config);
    }
    const ptq_tensor *weights[] = {l->weight};
    ptq_config *config = make_config(test_context(), PTQ_METHOD_AWQ);
    ptq_equalization *e;
    ties[3] = K;
    CHECK_STATUS(ptq_equalize(config, weights, 1, l->stats, ties, &e), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_equalize(config, weights, 1, NULL, NULL, &e), PTQ_ERROR_MISSING);
    CHECK(e == NULL);
    ptq_config_free(config);
    free_layer(l);
}

static double output_error(const ptq_config *config, const struct layer *l)
{
    const ptq_tensor *weights[] = {l->weight};
    ptq_qtensor *q;
    if (!CHECK_OK(ptq_quantize(config, weights, 1, l->stats, NULL, &q)))
        return NAN;
    double error = ptq_qtensor_output_error(q);
    ptq_qtensor_free(q);
    return error;
}

/* AWQ's first candidate is no scale at all, so its search never loses to RTN on the same grid; GPTQ
 * rounding after an equalization improves further. */
static void test_order_of_methods(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct layer *l = make_layer(test_context(), 1.0f, seed);
        ptq_config *config = make_config(test_context(), PTQ_METHOD_AWQ);
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_CLIP, 0));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_DUO, 0));
        double awq = output_error(config, l);
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_ROUNDING, PTQ_ROUNDING_GPTQ));
        double awq_gptq = output_error(config, l);
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_EQUALIZE, PTQ_EQUALIZE_NONE));
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_ROUNDING, PTQ_ROUNDING_RTN));
        double rtn = output_error(config, l);
        CHECK(awq <= rtn * 1.0001);
        CHECK(awq_gptq < awq);
        ptq_config_free(config);
        free_layer(l);
    }
}

/* A caller who folds the scale into W and x gets the same codes as one who does not. */
static void test_folding(void)
{
    struct layer *l = make_layer(test_context(), 1.0f, 9),
                 *folded = make_layer(test_context(), 1, 9);
    ptq_config *config = make_config(test_context(), PTQ_METHOD_FPTQ);
    ptq_equalization *e = equalize(config, l, NULL);
    const ptq_tensor *kept[] = {l->weight}, *scaled[] = {folded->weight};
    float scale[K];
    static uint8_t codes[2][N * K];
    ptq_qtensor *q;
    CHECK_OK(ptq_equalization_scale(e, scale));
    CHECK_OK(ptq_quantize_equalized(config, e, kept, 1, l->stats, NULL, &q));
    CHECK(ptq_qtensor_has_input_scale(q));
    CHECK_OK(ptq_qtensor_codes(q, codes[0]));
    ptq_qtensor_free(q);
    for (int i = 0; i < N * K; i++)
        folded->w[i] *= scale[i % K];
    ptq_equalization_set_folded(e);
    CHECK_OK(ptq_quantize_equalized(config, e, scaled, 1, NULL, NULL, &q));
    CHECK(!ptq_qtensor_has_input_scale(q));
    CHECK_EQ(ptq_qtensor_activations(q), PTQ_ACTIVATIONS_INT8_STATIC);
    CHECK(ptq_qtensor_activation_scale(q) > 0);
    CHECK_OK(ptq_qtensor_codes(q, codes[1]));
    CHECK(!memcmp(codes[0], codes[1], sizeof codes[0]));
    ptq_qtensor_free(q);
    ptq_equalization_free(e);
    ptq_config_free(config);
    free_layer(l);
    free_layer(folded);
}

/* y for rows of x with an activation scheme and, if static, its scale. */
static void run(const struct layer *l, int32_t activations, float scale, const float *x,
                int64_t rows, float *y)
{
    ptq_config *config = make_config(test_context(), PTQ_METHOD_RTN);
    const ptq_tensor *weights[] = {l->weight};
    ptq_qtensor *q;
    ptq_linear *linear;
    CHECK_OK(ptq_quantize(config, weights, 1, NULL, NULL, &q));
    CHECK_OK(ptq_qtensor_set_activations(q, activations));
    if (scale > 0)
        CHECK_OK(ptq_qtensor_set_activation_scale(q, scale));
    CHECK_OK(ptq_linear_create(test_context(), q, &linear));
    CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, rows, K, y, PTQ_DTYPE_F32, N, NULL));
    ptq_linear_free(linear);
    ptq_qtensor_free(q);
    ptq_config_free(config);
}

/* The scale of int8-tensor equals the static scale of the rows' maximum, and for one row the scale
 * of the row. A row that is not finite affects only itself; values beyond a static scale are
 * clamped to 127. */
static void test_activations(void)
{
    struct layer *l = make_layer(test_context(), 1.0f, 11);
    static float token[T * N], tensor[T * N], fixed[T * N], cut[K];
    float most = absmax(l->x, T * K, 1) / 127.0f;
    run(l, PTQ_ACTIVATIONS_INT8_TENSOR, 0, l->x, T, tensor);
    run(l, PTQ_ACTIVATIONS_INT8_STATIC, most, l->x, T, fixed);
    CHECK(!memcmp(tensor, fixed, sizeof tensor));
    run(l, PTQ_ACTIVATIONS_INT8_TOKEN, 0, l->x, T, token);
    CHECK(memcmp(token, tensor, sizeof token) != 0);
    run(l, PTQ_ACTIVATIONS_INT8_TENSOR, 0, l->x + 3 * K, 1, tensor);
    CHECK(!memcmp(tensor, token + 3 * N, N * sizeof *tensor));

    l->x[5 * K + 2] = INFINITY; /* the largest value, but not the scale */
    run(l, PTQ_ACTIVATIONS_INT8_TENSOR, 0, l->x, T, tensor);
    for (int i = 0; i < T * N; i++) {
        uint32_t bits;
        memcpy(&bits, &tensor[i], 4);
        CHECK(i / N == 5 ? bits == 0x7fc00000 : isfinite(tensor[i]));
    }
    float limit = 0.5f * absmax(l->x, K, 1);
    for (int c = 0; c < K; c++)
        cut[c] = fmaxf(-limit, fminf(limit, l->x[c]));
    run(l, PTQ_ACTIVATIONS_INT8_STATIC, limit / 127.0f, l->x, 1, tensor);
    run(l, PTQ_ACTIVATIONS_INT8_STATIC, limit / 127.0f, cut, 1, fixed);
    CHECK(!memcmp(tensor, fixed, N * sizeof *tensor));
    free_layer(l);
}

/* Clip search and scale search give the same bits for any number of threads and every kernel. */
static void test_equal_bits(void)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    static uint8_t first[N * K], codes[N * K];
    for (int i = 0; i < 5; i++) {
        ptq_context *context;
        ptq_qtensor *q;
        CHECK_OK(ptq_context_create(&context));
        CHECK_OK(ptq_context_set_threads(context, i < 4 ? threads[i] : 2));
        CHECK_OK(ptq_context_set_isa(context, i < 4 ? PTQ_AUTO : PTQ_ISA_PORTABLE));
        struct layer *l = make_layer(context, 1.0f, 12);
        ptq_config *config = make_config(context, PTQ_METHOD_AWQ);
        const ptq_tensor *weights[] = {l->weight};
        CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_ROUNDING, PTQ_ROUNDING_GPTQ));
        CHECK_OK(ptq_quantize(config, weights, 1, l->stats, NULL, &q));
        CHECK_OK(ptq_qtensor_codes(q, i ? codes : first));
        CHECK(!i || !memcmp(first, codes, sizeof codes));
        ptq_qtensor_free(q);
        ptq_config_free(config);
        free_layer(l);
        ptq_context_free(context);
    }
}

/* AWQ, from statistics to codes, with every allocation failing once. */
static void test_memory(void)
{
    ptq_status status = PTQ_ERROR_MEMORY;
    for (int64_t fail_at = 1; status == PTQ_ERROR_MEMORY && fail_at < 5000; fail_at++) {
        ptq_context *context = test_failing_context(fail_at);
        if (context) {
            ptq_config *config = NULL;
            ptq_qtensor *q = NULL;
            ptq_context_set_threads(context, 1);
            struct layer *l = make_layer(context, 1.0f, 13);
            const ptq_tensor *weights[] = {l->weight};
            if (l->weight && l->stats && ptq_stats_rows(l->stats) == T &&
                !ptq_config_create(context, PTQ_METHOD_AWQ, &config)) {
                ptq_config_set_int(config, PTQ_PARAM_GROUP, 32);
                status = ptq_quantize(config, weights, 1, l->stats, NULL, &q);
            }
            ptq_qtensor_free(q);
            ptq_config_free(config);
            free_layer(l);
        }
        test_free_failing(context);
    }
    CHECK_OK(status);
}

void test_equalize(void)
{
    test_fptq();
    test_awq_rows();
    test_smoothquant();
    test_dead_channels();
    test_ties();
    test_order_of_methods();
    test_folding();
    test_activations();
    test_equal_bits();
    test_memory();
}
