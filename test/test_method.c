/*
 * Properties of RTN and GPTQ on any layer: GPTQ never loses to RTN on its own calibration rows, the
 * bits depend only on the settings, and degenerate weights and inputs are not errors.
 */
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "config.h"

void test_method(void);

/* A layer: weights [n][k], inputs [rows][k] that are correlated and have outlier channels. */
struct layer {
    int64_t n, k, rows;
    float *w, *x;
    ptq_tensor *weight;
    ptq_stats *stats;
};

static void collect(struct layer *l)
{
    ptq_stats_free(l->stats);
    l->stats = NULL;
    CHECK_OK(ptq_stats_create(test_context(), l->k, PTQ_STATS_HESSIAN, &l->stats));
    CHECK_OK(ptq_stats_update(l->stats, l->x, PTQ_DTYPE_F32, l->rows, l->k, NULL));
}

static struct layer make_layer(int64_t n, int64_t k, int64_t rows, uint64_t seed)
{
    struct random r = {seed};
    struct layer l = {.n = n, .k = k, .rows = rows};
    const int64_t shape[2] = {n, k};
    l.w = malloc((size_t)(n * k) * 4);
    l.x = malloc((size_t)(rows * k) * 4);
    for (int64_t i = 0; i < n * k; i++)
        l.w[i] = random_normal(&r) * (random_below(&r, 50) ? 0.05f : 0.3f);
    for (int64_t t = 0; t < rows; t++) {
        float common = random_normal(&r), last = 0;
        for (int64_t i = 0; i < k; i++) {
            last = 0.7f * last + random_normal(&r);
            l.x[t * k + i] = (last + common) * (i % 29 == 5 ? 20.0f : 1.0f);
        }
    }
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, l.w, &l.weight));
    CHECK_OK(ptq_tensor_set_name(l.weight, "layer"));
    collect(&l);
    return l;
}

static void free_layer(struct layer *l)
{
    ptq_tensor_free(l->weight);
    ptq_stats_free(l->stats);
    free(l->w);
    free(l->x);
}

/* A config from a text of "name value" pairs. */
static ptq_config *make_config(ptq_context *context, int32_t method, const char *settings)
{
    ptq_config *config = NULL;
    char copy[256], *rest = copy, *name;
    snprintf(copy, sizeof copy, "%s", settings);
    CHECK_OK(ptq_config_create(context, method, &config));
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(config, name, strtok_r(rest, " ", &rest)));
    return config;
}

static ptq_qtensor *quantize_in(ptq_context *context, const struct layer *l, int32_t method,
                                const char *settings)
{
    ptq_config *config = make_config(context, method, settings);
    const ptq_tensor *weights[1] = {l->weight};
    ptq_qtensor *q = NULL;
    if (!CHECK_OK(ptq_quantize(config, weights, 1, l->stats, NULL, &q)))
        printf("    with %s\n", settings);
    ptq_config_free(config);
    return q;
}

static ptq_qtensor *quantize(const struct layer *l, int32_t method, const char *settings)
{
    return quantize_in(test_context(), l, method, settings);
}

/* |X D^T|^2 / |X W^T|^2 in double, directly from the rows. */
static double output_error(const struct layer *l, const ptq_qtensor *q)
{
    float *d = malloc((size_t)(l->n * l->k) * 4);
    double lost = 0, whole = 0;
    CHECK_OK(ptq_qtensor_dequantize(q, d));
    for (int64_t i = 0; i < l->n * l->k; i++)
        d[i] = l->w[i] - d[i];
    for (int64_t t = 0; t < l->rows; t++)
        for (int64_t n = 0; n < l->n; n++) {
            double y = 0, e = 0;
            for (int64_t i = 0; i < l->k; i++) {
                y += (double)l->x[t * l->k + i] * (double)l->w[n * l->k + i];
                e += (double)l->x[t * l->k + i] * (double)d[n * l->k + i];
            }
            lost += e * e;
            whole += y * y;
        }
    free(d);
    return whole > 0 ? lost / whole : lost;
}

/* All parts of a qtensor. */
struct content {
    uint8_t *codes, *zeros;
    float *scales;
    int32_t *index;
};

static struct content content_of(const ptq_qtensor *q)
{
    const int64_t n = ptq_qtensor_n(q), k = ptq_qtensor_k(q), groups = ptq_qtensor_groups(q);
    struct content c = {malloc((size_t)(n * k)), malloc((size_t)(n * groups)),
                        malloc((size_t)(n * groups) * 4), malloc((size_t)k * 4)};
    CHECK_OK(ptq_qtensor_codes(q, c.codes));
    CHECK_OK(ptq_qtensor_zeros(q, c.zeros));
    CHECK_OK(ptq_qtensor_scales(q, c.scales));
    CHECK_OK(ptq_qtensor_group_index(q, c.index));
    return c;
}

static void free_content(struct content *c)
{
    free(c->codes);
    free(c->zeros);
    free(c->scales);
    free(c->index);
}

static int same(const ptq_qtensor *p, const ptq_qtensor *q)
{
    if (!p || !q)
        return 0;
    struct content a = content_of(p), b = content_of(q);
    const size_t n = (size_t)ptq_qtensor_n(p), k = (size_t)ptq_qtensor_k(p);
    const size_t groups = (size_t)ptq_qtensor_groups(p);
    double e[3] = {ptq_qtensor_output_error(p), ptq_qtensor_weight_error(p),
                   ptq_qtensor_damping(p)};
    double f[3] = {ptq_qtensor_output_error(q), ptq_qtensor_weight_error(q),
                   ptq_qtensor_damping(q)};
    int equal = !memcmp(a.codes, b.codes, n * k) && !memcmp(a.zeros, b.zeros, n * groups) &&
                !memcmp(a.scales, b.scales, n * groups * 4) && !memcmp(a.index, b.index, k * 4) &&
                !memcmp(e, f, sizeof e);
    free_content(&a);
    free_content(&b);
    return equal;
}

static void test_beats_rtn(void)
{
    static const int64_t shapes[][3] = {
        {8, 64, 200}, {17, 100, 300}, {24, 161, 150}, {5, 288, 400}};
    static const char *const settings[] = {
        "bits 4 group 32",          "bits 3 group 64 sym off",   "bits 2 group 32 sym off",
        "bits 8 group 0",           "bits 4 group 0 mse on",     "bits 4 group 32 grid awq sym off",
        "bits 3 group 32 grid awq", "bits 4 group 96 grid gptq", "bits 4 group 64 scale-dtype f16",
    };
    static const char *const orders[] = {"", " act-order on", " act-order on static-groups on",
                                         " block 16 damp 0.05"};
    for (int s = 0; s < 4; s++) {
        struct layer l = make_layer(shapes[s][0], shapes[s][1], shapes[s][2], (uint64_t)s + 1);
        for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
            ptq_qtensor *rtn = quantize(&l, PTQ_METHOD_RTN, settings[i]);
            double worst = output_error(&l, rtn);
            CHECK(fabs(ptq_qtensor_output_error(rtn) / worst - 1) < 1e-3);
            for (int o = 0; o < 4; o++) {
                char text[128];
                snprintf(text, sizeof text, "%s%s", settings[i], orders[o]);
                ptq_qtensor *gptq = quantize(&l, PTQ_METHOD_GPTQ, text);
                double error = output_error(&l, gptq);
                if (!CHECK(error < worst))
                    printf("    %s, shape %d: GPTQ %g, RTN %g\n", text, s, error, worst);
                CHECK(fabs(ptq_qtensor_output_error(gptq) / error - 1) < 1e-2);
                CHECK(ptq_qtensor_damping(gptq) >= (o == 3 ? 0.05 : 0.01));
                ptq_qtensor_free(gptq);
            }
            ptq_qtensor_free(rtn);
        }
        free_layer(&l);
    }
}

static void test_equal_bits(void)
{
    static const int32_t isas[] = {PTQ_ISA_PORTABLE,     PTQ_ISA_AVX2,     PTQ_ISA_AVX_VNNI,
                                   PTQ_ISA_AVX512_VNNI,  PTQ_ISA_AMX_INT8, PTQ_ISA_NEON,
                                   PTQ_ISA_NEON_DOTPROD, PTQ_ISA_NEON_I8MM};
    static const int32_t threads[] = {1, 2, 3, 7};
    static const char *const settings[] = {"group 32 mse on sym off", "group 64 round rtn mse on",
                                           "group 64 act-order on bits 3",
                                           "group 32 act-order on static-groups on block 48"};
    struct layer l = make_layer(45, 200, 250, 11);
    for (int s = 0; s < 4; s++) {
        ptq_qtensor *first = quantize(&l, PTQ_METHOD_GPTQ, settings[s]);
        for (int i = 0; i < 8; i++)
            for (int t = 0; t < 4 && ptq_isa_usable(isas[i]); t++) {
                ptq_context *context;
                CHECK_OK(ptq_context_create(&context));
                CHECK_OK(ptq_context_set_isa(context, isas[i]));
                CHECK_OK(ptq_context_set_threads(context, threads[t]));
                ptq_qtensor *q = quantize_in(context, &l, PTQ_METHOD_GPTQ, settings[s]);
                if (!CHECK(same(first, q)))
                    printf("    %s, %d threads, %s\n", ptq_isa_name(isas[i]), threads[t],
                           settings[s]);
                ptq_qtensor_free(q);
                ptq_context_free(context);
            }
        ptq_qtensor_free(first);
    }
    free_layer(&l);
}

/* Blocks affect only the grids: with static groups, or one group per row, they change no bit. */
static void test_block(void)
{
    static const char *const settings[] = {"group 32 static-groups on",
                                           "group 32 static-groups on act-order on sym off",
                                           "group 0 act-order on mse on"};
    struct layer l = make_layer(13, 150, 200, 12);
    for (int s = 0; s < 3; s++) {
        static const int blocks[] = {1, 7, 32, 64, 150, 1000};
        ptq_qtensor *first = quantize(&l, PTQ_METHOD_GPTQ, settings[s]);
        for (int b = 0; b < 6; b++) {
            char text[128];
            snprintf(text, sizeof text, "%s block %d", settings[s], blocks[b]);
            ptq_qtensor *q = quantize(&l, PTQ_METHOD_GPTQ, text);
            CHECK(same(first, q));
            ptq_qtensor_free(q);
        }
        ptq_qtensor_free(first);
    }
    free_layer(&l);
}

/* Every code is the nearest on its grid, and the scale is representable in its dtype. */
static void check_rtn(const struct layer *l, const ptq_qtensor *q, int32_t dtype, const char *text)
{
    const int64_t groups = ptq_qtensor_groups(q), top = (1 << ptq_qtensor_bits(q)) - 1;
    struct content c = content_of(q);
    int wrong = 0;
    for (int64_t i = 0; i < l->n * l->k; i++) {
        int64_t at = i / l->k * groups + c.index[i % l->k];
        float scale = c.scales[at], code = rintf(l->w[i] / scale) + c.zeros[at];
        code = fmaxf(0, fminf((float)top, code));
        wrong +=
            c.codes[i] != (uint8_t)code || !(scale > 0) || ptqi_round_to(scale, dtype) != scale;
    }
    if (!CHECK_EQ(wrong, 0))
        printf("    %s\n", text);
    free_content(&c);
}

static void test_scale_dtypes(void)
{
    static const char *const names[] = {"f32", "f16", "bf16"};
    static const char *const settings[] = {"bits 4 group 32",
                                           "bits 4 group 32 sym off mse on",
                                           "bits 8 group 0 grid gptq sym off",
                                           "bits 3 group 64 mse on",
                                           "bits 2 group 32 grid awq",
                                           "bits 4 grid awq sym off"};
    struct layer l = make_layer(11, 100, 120, 13);
    l.w[5] = 1e-30f;
    for (int i = 0; i < 100; i++) /* near the largest f16, and below the smallest */
        l.w[3 * 100 + i] *= 1e5f, l.w[4 * 100 + i] *= 1e-9f;
    for (int d = 0; d < 3; d++)
        for (int s = 0; s < 6; s++) {
            char text[128];
            snprintf(text, sizeof text, "%s scale-dtype %s", settings[s], names[d]);
            ptq_qtensor *q = quantize(&l, PTQ_METHOD_RTN, text);
            check_rtn(&l, q, PTQ_DTYPE_F32 + d, text);
            ptq_qtensor_free(q);
            q = quantize(&l, PTQ_METHOD_GPTQ, text);
            struct content c = content_of(q);
            int wrong = 0;
            for (int64_t i = 0; i < l.n * ptq_qtensor_groups(q); i++)
                wrong += !(c.scales[i] > 0) ||
                         ptqi_round_to(c.scales[i], PTQ_DTYPE_F32 + d) != c.scales[i];
            CHECK_EQ(wrong, 0);
            free_content(&c);
            ptq_qtensor_free(q);
        }
    free_layer(&l);
}

/* Quantizes w [n][k] with settings; returns the relative error of the whole matrix, or -status. */
static double quantize_weights(float *w, int64_t n, int64_t k, int32_t method, const char *settings,
                               int64_t *adjusted)
{
    const int64_t shape[2] = {n, k};
    ptq_config *config = make_config(test_context(), method, settings);
    ptq_tensor *weight;
    ptq_qtensor *q;
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w, &weight));
    const ptq_tensor *weights[] = {weight};
    ptq_status status = ptq_quantize(config, weights, 1, NULL, NULL, &q);
    double error = status ? -(double)status : ptq_qtensor_weight_error(q);
    if (adjusted)
        *adjusted = q ? ptq_qtensor_adjusted_groups(q) : -1;
    ptq_qtensor_free(q);
    ptq_tensor_free(weight);
    ptq_config_free(config);
    return error;
}

/* The range grid equals AWQ's where that can represent a group, and also represents the others: of
 * one sign, of one value, of one or two columns, far below 1. */
static void test_range_grid(void)
{
    enum { N = 6, K = 66 }; /* groups of 32, 32 and 2 */
    float w[N * K];
    struct random r = {77};
    int64_t adjusted;
    for (int i = 0; i < N * K; i++)
        w[i] = random_normal(&r);
    for (int n = 0; n < N; n++)
        w[n * K + 64] = -w[n * K + 65];
    const char *awq = "grid awq sym off group 32", *range = "grid range sym off group 32";
    double same = quantize_weights(w, N, K, PTQ_METHOD_RTN, range, &adjusted);
    CHECK(same == quantize_weights(w, N, K, PTQ_METHOD_RTN, awq, NULL));
    CHECK_EQ(adjusted, 0);
    for (int i = 0; i < K; i++) {
        w[i] = fabsf(w[i]) + 2; /* one sign: three groups */
        w[K + i] = -5;          /* one value */
        w[2 * K + i] *= 1e-8f;  /* both signs, below the floor */
        w[3 * K + i] = 0;       /* nothing to lose */
    }
    CHECK(quantize_weights(w, N, K, PTQ_METHOD_RTN, range, &adjusted) < 0.02);
    CHECK_EQ(adjusted, 9);
    CHECK(quantize_weights(w, N, K, PTQ_METHOD_RTN, awq, &adjusted) > 0.5);
    CHECK_EQ(adjusted, 0);
    CHECK(quantize_weights(w + 2 * K, 1, K, PTQ_METHOD_RTN, range, &adjusted) < 0.02);
    CHECK(quantize_weights(w + 2 * K, 1, K, PTQ_METHOD_RTN, "grid range bits 8 group 0", NULL) <
          0.001);
    CHECK_EQ(adjusted, 3);
}

/* Scales follow the magnitude of the weights; scales that a dtype cannot represent are rejected. */
static void test_sizes_of_weights(void)
{
    enum { N = 4, K = 128 };
    static const struct {
        float size;
        const char *settings;
        int fits;
    } cases[] = {
        {1e-30f, "scale-dtype f32", 1},
        {1e30f, "scale-dtype f32", 1},
        {1e-30f, "scales two-level", 1},
        {1e30f, "scales two-level", 1},
        {1e-30f, "scale-dtype bf16", 1},
        {1e-3f, "scale-dtype f16", 1},
        {1e5f, "scale-dtype f16", 1},
        {1e7f, "scale-dtype f16", 0},
        {1e-7f, "scale-dtype f16", 0},
        {1e7f, "scale-dtype f16 scales two-level", 0},
        {1e-7f, "scale-dtype f16 scales two-level", 0},
        {1e-38f, "scale-dtype f32", 0},
    };
    float w[N * K];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct random r = {78};
        char text[96];
        for (int j = 0; j < N * K; j++)
            w[j] = random_normal(&r) * cases[i].size;
        snprintf(text, sizeof text, "group 32 %s", cases[i].settings);
        double error = quantize_weights(w, N, K, PTQ_METHOD_RTN, text, NULL);
        if (!CHECK(cases[i].fits ? error >= 0 && error < 0.02 : error == -PTQ_ERROR_BOUNDS))
            printf("    weights of %g, %s: %g\n", (double)cases[i].size, text, error);
    }
    /* A group of zeros does not affect the scale of its row. */
    struct random r = {79};
    for (int j = 0; j < N * K; j++)
        w[j] = j % K < 32 ? 0 : random_normal(&r) * 1e-4f;
    CHECK(quantize_weights(w, N, K, PTQ_METHOD_RTN, "group 32 scales two-level", NULL) < 0.02);
}

/* The grids by their formulas, on a group with both signs and on one with positive weights only. */
static void test_grids(void)
{
    static const struct {
        const char *settings;
        float scale[2];
        int zero[2];
    } cases[] = {
        {"grid default", {6.0f / 15, 6.0f / 15}, {8, 8}},
        {"grid gptq", {6.0f / 15, 3.0f / 15}, {8, 8}}, /* the quirk of the original */
        {"grid awq", {3.0f / 7, 3.0f / 7}, {8, 8}},
        {"grid default sym off", {4.0f / 15, 3.0f / 15}, {4, 0}},
        {"grid gptq sym off", {4.0f / 15, 3.0f / 15}, {4, 0}},
        {"grid awq sym off", {4.0f / 15, 2.0f / 15}, {4, 0}},
    };
    struct layer l = make_layer(1, 64, 10, 14);
    for (int i = 0; i < 32; i++) {
        l.w[i] = -1 + 4 * (float)i / 31;     /* -1 .. 3 */
        l.w[32 + i] = 1 + 2 * (float)i / 31; /* 1 .. 3 */
    }
    for (size_t s = 0; s < sizeof cases / sizeof *cases; s++) {
        char text[64];
        snprintf(text, sizeof text, "group 32 %s", cases[s].settings);
        ptq_qtensor *q = quantize(&l, PTQ_METHOD_RTN, text);
        struct content c = content_of(q);
        for (int g = 0; g < 2; g++)
            if (!CHECK(c.scales[g] == cases[s].scale[g] && c.zeros[g] == cases[s].zero[g]))
                printf("    %s, group %d: %.9g, %d\n", text, g, (double)c.scales[g], c.zeros[g]);
        free_content(&c);
        ptq_qtensor_free(q);
    }
    free_layer(&l);
}

/* Dead columns do not widen their group's grid, and are rounded to nearest on it. */
static void test_dead(const char *settings)
{
    struct layer l = make_layer(6, 96, 150, 15);
    for (int64_t t = 0; t < l.rows; t++)
        for (int i = 0; i < 96; i++)
            if (i == 3 || i == 40 || (i >= 64 && !strstr(settings, "act-order")))
                l.x[t * 96 + i] = 0; /* the whole last group, if columns keep their order */
    collect(&l);
    ptq_qtensor *q = quantize(&l, PTQ_METHOD_GPTQ, settings);
    for (int n = 0; n < 6; n++) /* other weights there change only the codes there */
        l.w[n * 96 + 3] = l.w[n * 96 + 40] = n % 2 ? 1000.0f : -1000.0f;
    ptq_qtensor *other = quantize(&l, PTQ_METHOD_GPTQ, settings);
    if (q && other) {
        struct content a = content_of(q), b = content_of(other);
        const int64_t groups = ptq_qtensor_groups(q);
        int wrong = memcmp(a.scales, b.scales, (size_t)(6 * groups) * 4) != 0;
        for (int i = 0; i < 6 * 96; i++) {
            int64_t at = i / 96 * groups + b.index[i % 96];
            float code = rintf(l.w[i] / b.scales[at]) + b.zeros[at];
            code = fmaxf(0, fminf(15, code));
            int dead = i % 96 == 3 || i % 96 == 40;
            int group_dead = i % 96 >= 64 && !strstr(settings, "act-order");
            wrong += dead || group_dead ? b.codes[i] != (uint8_t)code : a.codes[i] != b.codes[i];
        }
        if (!CHECK_EQ(wrong, 0))
            printf("    %s\n", settings);
        free_content(&a);
        free_content(&b);
    }
    ptq_qtensor_free(q);
    ptq_qtensor_free(other);
    free_layer(&l);
}

static void count_line(void *user, int32_t level, const char *text)
{
    *(int *)user += level == PTQ_LOG_WARNING && strstr(text, "damping");
}

/* Zero weights (kind 0), constant rows (1), a single nonzero weight (2): little is lost. */
static void check_degenerate(struct layer *l, int32_t method, const char *settings, int kind)
{
    const int count = (int)(l->n * l->k);
    float *back = malloc((size_t)count * 4);
    int wrong = 0;
    for (int i = 0; i < count; i++)
        l->w[i] = kind == 1 ? (float)(i / l->k - 3) : kind == 2 && i == 100;
    ptq_qtensor *q = quantize(l, method, settings);
    CHECK_OK(ptq_qtensor_dequantize(q, back));
    for (int i = 0; i < count; i++)
        wrong += kind == 0 ? back[i] != 0 : back[i] - back[i] != 0;
    CHECK_EQ(wrong, 0);
    /* AWQ's asymmetric grid cannot represent a constant group: its range need not contain 0 */
    double limit = kind == 1 && strstr(settings, "awq") ? 1.1 : 0.1;
    if (!CHECK(ptq_qtensor_output_error(q) >= 0 && ptq_qtensor_weight_error(q) >= 0 &&
               ptq_qtensor_weight_error(q) < limit))
        printf("    kind %d, %s: %g\n", kind, settings, ptq_qtensor_weight_error(q));
    free(back);
    ptq_qtensor_free(q);
}

static void test_degenerate(void)
{
    struct layer l = make_layer(6, 96, 20, 16); /* fewer rows than columns */
    static const char *const settings[] = {"group 32", "group 32 sym off act-order on",
                                           "group 0 mse on", "group 32 grid awq sym off"};
    static const char *const rtn[] = {"group 32", "group 32 sym off", "group 0 mse on",
                                      "group 32 grid awq sym off"};
    for (int s = 0; s < 4; s++) {
        ptq_qtensor *q = quantize(&l, PTQ_METHOD_GPTQ, settings[s]);
        CHECK(ptq_qtensor_damping(q) >= 0.01 && ptq_qtensor_output_error(q) < 1);
        ptq_qtensor_free(q);
    }
    int lines = 0; /* singular and undamped: this is repaired, logged and reported */
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    CHECK_OK(ptq_context_set_log(context, count_line, &lines));
    ptq_qtensor *q = quantize_in(context, &l, PTQ_METHOD_GPTQ, "group 32 damp 0");
    CHECK(q && ptq_qtensor_damping(q) > 0 && ptq_qtensor_damping(q) <= 1 && lines > 0);
    ptq_qtensor_free(q);
    ptq_context_free(context);
    for (int kind = 0; kind < 3; kind++)
        for (int s = 0; s < 4; s++) {
            check_degenerate(&l, PTQ_METHOD_RTN, rtn[s], kind);
            check_degenerate(&l, PTQ_METHOD_GPTQ, settings[s], kind);
        }
    free_layer(&l);
}

/* Several matrices in one call give the same as each alone; own statistics the same as shared ones.
 */
static void test_many(void)
{
    struct layer a = make_layer(9, 96, 200, 17), b = make_layer(14, 96, 300, 18);
    ptq_config *config = make_config(test_context(), PTQ_METHOD_GPTQ, "group 32");
    const ptq_tensor *weights[2] = {a.weight, b.weight};
    for (int64_t i = 0; i < a.rows * 96; i++) /* columns of equal magnitude */
        a.x[i] = i % 96 / 8 % 2 ? -a.x[i - 8] : a.x[i];
    collect(&a);
    const ptq_stats *own[2] = {NULL, b.stats}, *both[2] = {a.stats, b.stats};
    ptq_qtensor *q[2], *alone[2] = {quantize(&a, PTQ_METHOD_GPTQ, "group 32"),
                                    quantize(&b, PTQ_METHOD_GPTQ, "group 32")};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(ptq_quantize(config, weights, 2, i ? NULL : a.stats, i ? both : own, q));
        CHECK(same(q[0], alone[0]) && same(q[1], alone[1]));
        ptq_qtensor_free(q[0]);
        ptq_qtensor_free(q[1]);
    }
    /* with act-order the order is that of the shared input, also for own statistics */
    CHECK_OK(ptq_config_parse(config, "act-order", "on"));
    CHECK_OK(ptq_quantize(config, weights, 2, a.stats, own, q));
    int32_t orders[2][96];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(ptq_qtensor_order(q[i], orders[i]));
        ptq_qtensor_free(q[i]);
    }
    CHECK(!memcmp(orders[0], orders[1], sizeof orders[0]));
    float h[96 * 96];
    CHECK_OK(ptq_stats_hessian(a.stats, h));
    for (int i = 1; i < 96; i++) {
        float before = h[orders[0][i - 1] * 97], after = h[orders[0][i] * 97];
        CHECK(before > after || (before == after && orders[0][i - 1] < orders[0][i]));
    }
    for (int i = 0; i < 2; i++)
        ptq_qtensor_free(alone[i]);
    ptq_config_free(config);
    free_layer(&a);
    free_layer(&b);
}

/* f16 and bf16 weights give the same result as the same numbers in f32. */
static void test_dtypes(void)
{
    struct layer a = make_layer(9, 96, 200, 24);
    ptq_config *config = make_config(test_context(), PTQ_METHOD_GPTQ, "group 32 act-order on");
    for (int32_t dtype = PTQ_DTYPE_F16; dtype <= PTQ_DTYPE_BF16; dtype++) {
        uint16_t half[9 * 96];
        ptq_tensor *t;
        ptq_qtensor *q[2];
        const int64_t shape[2] = {9, 96};
        ptqi_from_f32(half, dtype, a.w, 9 * 96);
        ptqi_to_f32(a.w, half, dtype, 9 * 96);
        CHECK_OK(ptq_tensor_borrow(test_context(), dtype, 2, shape, half, &t));
        const ptq_tensor *one[1] = {t};
        CHECK_OK(ptq_quantize(config, one, 1, a.stats, NULL, q));
        q[1] = quantize(&a, PTQ_METHOD_GPTQ, "group 32 act-order on");
        CHECK(same(q[0], q[1]));
        ptq_qtensor_free(q[0]);
        ptq_qtensor_free(q[1]);
        ptq_tensor_free(t);
    }
    ptq_config_free(config);
    free_layer(&a);
}

static ptq_status try_quantize(const ptq_config *config, const ptq_tensor *a, const ptq_tensor *b,
                               const ptq_stats *stats)
{
    const ptq_tensor *weights[2] = {a, b};
    ptq_qtensor *q[2] = {(ptq_qtensor *)1, (ptq_qtensor *)1};
    ptq_status status = ptq_quantize(config, weights, 2, stats, NULL, q);
    CHECK(status == PTQ_OK || (!q[0] && !q[1]));
    for (int i = 0; i < 2 && !status; i++)
        ptq_qtensor_free(q[i]);
    return status;
}

static void test_refused(void)
{
    struct layer l = make_layer(5, 64, 80, 19), wide = make_layer(5, 96, 80, 20);
    ptq_config *rtn = make_config(test_context(), PTQ_METHOD_RTN, "group 32");
    ptq_config *gptq = make_config(test_context(), PTQ_METHOD_GPTQ, "group 32");
    ptq_stats *empty, *ranges;
    ptq_tensor *integers, *flat;
    char message[256];
    const int64_t shape[2] = {5, 64};
    static const float bad[] = {NAN, INFINITY};
    CHECK_OK(ptq_stats_create(test_context(), 64, PTQ_STATS_HESSIAN, &empty));
    CHECK_OK(ptq_stats_create(test_context(), 64, PTQ_STATS_RANGES, &ranges));
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_I8, 2, shape, &integers));
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F32, 1, shape, &flat));
    CHECK_STATUS(try_quantize(gptq, l.weight, l.weight, NULL), PTQ_ERROR_MISSING);
    CHECK_STATUS(try_quantize(gptq, l.weight, l.weight, empty), PTQ_ERROR_MISSING);
    CHECK_STATUS(try_quantize(gptq, l.weight, l.weight, ranges), PTQ_ERROR_MISSING);
    CHECK_STATUS(try_quantize(gptq, l.weight, l.weight, wide.stats), PTQ_ERROR_SHAPE);
    CHECK_STATUS(try_quantize(gptq, l.weight, wide.weight, l.stats), PTQ_ERROR_SHAPE);
    CHECK_STATUS(try_quantize(rtn, l.weight, NULL, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(try_quantize(rtn, NULL, l.weight, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(try_quantize(rtn, l.weight, flat, NULL), PTQ_ERROR_SHAPE);
    CHECK_STATUS(try_quantize(rtn, l.weight, integers, NULL), PTQ_ERROR_DTYPE);
    CHECK_OK(try_quantize(rtn, l.weight, l.weight, NULL));
    CHECK_OK(try_quantize(rtn, l.weight, l.weight, empty));
    CHECK_OK(try_quantize(rtn, l.weight, l.weight, ranges));
    CHECK_STATUS(ptq_quantize(rtn, NULL, 1, NULL, NULL, NULL), PTQ_ERROR_ARGUMENT);
    for (int i = 0; i < 4; i++) {
        float keep = l.w[3 * 64 + 7];
        l.w[3 * 64 + 7] = bad[i % 2];
        CHECK_STATUS(try_quantize(i < 2 ? rtn : gptq, l.weight, l.weight, l.stats),
                     PTQ_ERROR_NOT_FINITE);
        ptq_last_message(message, sizeof message);
        CHECK(strstr(message, "layer[3][7]") != NULL);
        l.w[3 * 64 + 7] = keep;
    }
    l.x[0] = 1e30f; /* finite, but its square is not */
    collect(&l);
    CHECK_STATUS(try_quantize(gptq, l.weight, l.weight, l.stats), PTQ_ERROR_NOT_FINITE);
    CHECK_OK(try_quantize(rtn, l.weight, l.weight, l.stats));
    ptq_stats_free(empty);
    ptq_stats_free(ranges);
    ptq_tensor_free(integers);
    ptq_tensor_free(flat);
    ptq_config_free(rtn);
    ptq_config_free(gptq);
    free_layer(&l);
    free_layer(&wide);
}

/* RTN rounds without statistics, so it accepts statistics with any flags. With an infinite Hessian,
 * the codes are the same and the output error is unknown. */
static void test_rtn_own_stats(void)
{
    struct layer l = make_layer(5, 64, 80, 21);
    ptq_config *config = make_config(test_context(), PTQ_METHOD_RTN, "group 32");
    const ptq_tensor *weights[1] = {l.weight};
    ptq_stats *ranges;
    ptq_qtensor *q;
    CHECK_OK(ptq_stats_create(test_context(), 64, PTQ_STATS_RANGES, &ranges));
    const ptq_stats *own[1] = {ranges};
    CHECK_OK(ptq_quantize(config, weights, 1, NULL, own, &q));
    CHECK(isnan(ptq_qtensor_output_error(q)));
    ptq_qtensor_free(q);
    l.x[0] = 1e30f; /* finite, and its square is not */
    collect(&l);
    const ptq_stats *infinite[1] = {l.stats};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(ptq_quantize(config, weights, 1, i ? NULL : l.stats, i ? infinite : NULL, &q));
        CHECK(isnan(ptq_qtensor_output_error(q)) && ptq_qtensor_weight_error(q) > 0);
        ptq_qtensor_free(q);
    }
    ptq_stats_free(ranges);
    ptq_config_free(config);
    free_layer(&l);
}

/* An unknown id is an error, never some other method. */
static void test_unknown(void)
{
    struct layer l = make_layer(5, 64, 80, 25);
    ptq_config *config = make_config(test_context(), PTQ_METHOD_RTN, "group 32");
    config->rounding = 99;
    CHECK_STATUS(try_quantize(config, l.weight, l.weight, l.stats), PTQ_ERROR_UNSUPPORTED);
    config->rounding = PTQ_ROUNDING_RTN;
    config->equalize = 99;
    CHECK_STATUS(try_quantize(config, l.weight, l.weight, l.stats), PTQ_ERROR_UNSUPPORTED);
    ptq_config_free(config);
    free_layer(&l);
}

static void note_progress(void *user, double fraction, const char *what)
{
    double *last = user;
    CHECK(fraction >= *last && fraction <= 1 && !strcmp(what, "layer"));
    *last = fraction;
}

static void test_cancel_and_progress(void)
{
    struct layer l = make_layer(5, 64, 80, 22);
    double last = 0;
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    CHECK_OK(ptq_context_set_progress(context, note_progress, &last));
    for (int32_t method = PTQ_METHOD_RTN; method <= PTQ_METHOD_GPTQ; method++) {
        ptq_config *config = make_config(context, method, "group 32");
        ptq_context_cancel(context);
        CHECK_STATUS(try_quantize(config, l.weight, l.weight, l.stats), PTQ_ERROR_CANCELLED);
        ptq_context_clear_cancel(context);
        last = 0;
        CHECK_OK(try_quantize(config, l.weight, l.weight, l.stats));
        CHECK(last == 1);
        ptq_config_free(config);
    }
    ptq_context_free(context);
    free_layer(&l);
}

static void test_memory(const char *settings, int own_stats)
{
    struct layer l = make_layer(4, 96, 120, 23);
    const ptq_stats *own[2] = {NULL, l.stats};
    const ptq_tensor *weights[2] = {l.weight, l.weight};
    for (int64_t n = 1, done = 0; !done && CHECK(n < 400); n++) {
        ptq_context *context = test_failing_context(n);
        ptq_config *config = NULL;
        ptq_qtensor *q[2] = {NULL, NULL};
        ptq_status status = PTQ_ERROR_MEMORY;
        if (context) {
            CHECK_OK(ptq_context_set_threads(context, 1));
            status = ptq_config_create(context, PTQ_METHOD_GPTQ, &config);
        }
        if (!status) {
            CHECK_OK(ptq_config_parse(config, "group", "32"));
            CHECK_OK(ptq_config_parse(config, settings, "on"));
            status = ptq_quantize(config, weights, 2, l.stats, own_stats ? own : NULL, q);
        }
        CHECK(status == PTQ_OK || (status == PTQ_ERROR_MEMORY && !q[0] && !q[1]));
        done = status == PTQ_OK;
        ptq_qtensor_free(q[0]);
        ptq_qtensor_free(q[1]);
        ptq_config_free(config);
        test_free_failing(context);
    }
    free_layer(&l);
}

void test_method(void)
{
    test_beats_rtn();
    test_equal_bits();
    test_block();
    test_scale_dtypes();
    test_grids();
    test_range_grid();
    test_sizes_of_weights();
    test_dead("group 32");
    test_dead("group 32 act-order on");
    test_dead("group 32 static-groups on sym off");
    test_degenerate();
    test_many();
    test_dtypes();
    test_refused();
    test_rtn_own_stats();
    test_unknown();
    test_cancel_and_progress();
    test_memory("act-order", 0);
    test_memory("act-order", 1);
    test_memory("mse", 0);
}
