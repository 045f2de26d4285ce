/*
 * Extensions of the published methods: block rotation, gptq+, matrices stacked from parts.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "linalg/rotate.h"
#include "calls.h"
#include "test.h"

void test_plus(void);

enum { N = 22, K = 168, ROWS = 420 }; /* 168 = 128 + 32 + 8 = 2 * 64 + 32 + 8 */

static float w[N * K], x[ROWS * K];
static ptq_stats *stats;

static void make_layer(void)
{
    struct random r = {99};
    for (int i = 0; i < N * K; i++)
        w[i] = random_normal(&r) * (random_below(&r, 40) ? 0.05f : 0.3f);
    for (int t = 0; t < ROWS; t++) {
        float common = random_normal(&r), last = 0;
        for (int i = 0; i < K; i++) {
            last = 0.6f * last + random_normal(&r);
            x[t * K + i] = (last + common) * (i % 37 == 5 ? 25.0f : 1.0f);
        }
    }
    CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE, &stats));
    CHECK_OK(ptq_stats_update(stats, x, PTQ_DTYPE_F32, ROWS, K, NULL));
}

static ptq_status quantize_rows(ptq_context *context, const char *settings, int64_t first,
                                int64_t count, ptq_qtensor **q)
{
    const int64_t shape[2] = {count, K};
    ptq_config *config;
    ptq_tensor *weight;
    char copy[128], *rest = copy, *name;
    *q = NULL;
    snprintf(copy, sizeof copy, "%s", settings);
    ptq_status status = ptq_config_create(context, PTQ_METHOD_GPTQ, &config);
    if (status)
        return status;
    while ((name = strtok_r(rest, " ", &rest)))
        CHECK_OK(ptq_config_parse(config, name, strtok_r(rest, " ", &rest)));
    status = ptq_tensor_borrow(context, PTQ_DTYPE_F32, 2, shape, w + first * K, &weight);
    if (!status)
        status = ptq_quantize(config, (const ptq_tensor *const *)&weight, 1, stats, NULL, q);
    ptq_tensor_free(weight);
    ptq_config_free(config);
    return status;
}

static ptq_qtensor *quantize(const char *settings)
{
    ptq_qtensor *q;
    if (!CHECK_OK(quantize_rows(test_context(), settings, 0, N, &q)))
        printf("    %s\n", settings);
    return q;
}

/* |X W^T - X Q^T|^2 / |X W^T|^2 */
static double lost(const ptq_qtensor *q)
{
    static float rounded[N * K];
    double error = 0, whole = 0;
    CHECK_OK(ptq_qtensor_dequantize(q, rounded));
    for (int t = 0; t < ROWS; t++)
        for (int n = 0; n < N; n++) {
            double y = 0, d = 0;
            for (int i = 0; i < K; i++) {
                y += (double)x[t * K + i] * (double)w[n * K + i];
                d += (double)x[t * K + i] * ((double)w[n * K + i] - (double)rounded[n * K + i]);
            }
            error += d * d;
            whole += y * y;
        }
    return error / whole;
}

/* Against an explicit Hadamard matrix: element (i, j) is -1 to the number of common bits. */
static void test_rotation(void)
{
    static const int32_t blocks[] = {32, 64, 128};
    static const int64_t widths[] = {1, 7, 32, 64, 100, 128, 168, 576};
    for (int b = 0; b < 3; b++)
        for (int k = 0; k < 8; k++) {
            float in[576], out[2 * 576];
            struct random r = {(uint64_t)(8 * b + k)};
            int64_t width = widths[k], wrong = 0;
            for (int64_t i = 0; i < width; i++)
                in[i] = out[i] = out[width + i] = random_normal(&r);
            ptqi_rotate(test_context(), out, 2, width, blocks[b]);
            for (int64_t first = 0, size = blocks[b]; first < width; first += size) {
                while (first + size > width)
                    size /= 2;
                for (int64_t i = 0; i < size; i++) {
                    double sum = 0;
                    for (int64_t j = 0; j < size; j++) {
                        int bits = 0;
                        for (int64_t common = i & j; common; common &= common - 1)
                            bits++;
                        sum += bits % 2 ? -(double)in[first + j] : (double)in[first + j];
                    }
                    wrong += fabs((double)out[first + i] - sum / sqrt((double)size)) > 2e-6;
                }
            }
            wrong += memcmp(out, out + width, (size_t)width * sizeof *out) != 0;
            ptqi_rotate(test_context(), out, 1, width, blocks[b]);
            for (int64_t i = 0; i < width; i++)
                wrong += fabsf(out[i] - in[i]) > 2e-6f;
            CHECK_EQ(wrong, 0);
        }
}

/* The linear layer gives the same as the dequantized matrix, in whatever basis it was rounded. */
static void check_linear(const ptq_qtensor *q, const char *settings)
{
    static float rounded[N * K], y[ROWS * N];
    ptq_linear *linear;
    double worst = 0, size = 0;
    CHECK_OK(ptq_qtensor_dequantize(q, rounded));
    if (!CHECK_OK(ptq_linear_create(test_context(), q, &linear)))
        return;
    CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, ROWS, K, y, PTQ_DTYPE_F32, N, NULL));
    for (int t = 0; t < ROWS; t++)
        for (int n = 0; n < N; n++) {
            double sum = 0;
            for (int i = 0; i < K; i++)
                sum += (double)x[t * K + i] * (double)rounded[n * K + i];
            worst += (sum - (double)y[t * N + n]) * (sum - (double)y[t * N + n]);
            size += sum * sum;
        }
    double allowed = ptq_qtensor_activations(q) == PTQ_ACTIVATIONS_F32 ? 1e-11 : 4e-3;
    if (!CHECK(worst < allowed * size))
        printf("    %s: output differs by %g\n", settings, worst / size);
    ptq_linear_free(linear);
}

static void check_file(const ptq_qtensor *q)
{
    static float before[N * K], after[N * K];
    const char *path = test_scratch("rotated.safetensors");
    ptq_store *store;
    ptq_qtensor *read = NULL;
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, "m"));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, "m", &read));
    CHECK_EQ(ptq_qtensor_rotation(read), ptq_qtensor_rotation(q));
    CHECK_OK(ptq_qtensor_dequantize(q, before));
    CHECK_OK(ptq_qtensor_dequantize(read, after));
    CHECK(!memcmp(before, after, sizeof before));
    ptq_qtensor_free(read);
    ptq_store_free(store);
}

static void test_rotated(void)
{
    static const char *const settings[] = {
        "group 32 rotate 32",
        "group 32 rotate 64 equalize smoothquant activations int8-token",
        "group 64 rotate 128 act-order on round gptq+",
        "group 32 rotate 64 equalize lae activations int8-static",
        "group 32 rotate 64 round rtn clip on activations int8-tensor",
        "group 0 rotate 128 sym off equalize awq activations int8-token",
    };
    for (int i = 0; i < 6; i++) {
        ptq_qtensor *q = quantize(settings[i]);
        if (!q)
            continue;
        double error = lost(q), same = ptq_qtensor_output_error(q);
        if (!CHECK(error < 0.05 && fabs(same / error - 1) < 1e-2))
            printf("    %s: error %g, reported %g\n", settings[i], error, same);
        check_linear(q, settings[i]);
        check_file(q);
        ptq_qtensor_free(q);
    }
    ptq_qtensor *q = quantize("group 32");
    CHECK_STATUS(ptq_qtensor_set_rotation(q, 16), PTQ_ERROR_BOUNDS);
    CHECK_EQ(ptq_qtensor_rotation(q), 0);
    ptq_qtensor_free(q);
}

/* A static scale for a rotated input covers the largest row, wherever it is in the stream. */
static void test_extremes(void)
{
    static float rows[2000 * K], scale[K];
    struct random r = {123};
    ptq_stats *whole, *first, *second;
    ptq_equalization *e;
    ptq_config *config;
    ptq_tensor *weight;
    const int64_t shape[2] = {N, K};
    for (int i = 0; i < 2000 * K; i++)
        rows[i] = random_normal(&r);
    for (int i = 0; i < K; i++)
        rows[1337 * K + i] *= 30; /* an odd position, which the sample omits */
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, w, &weight));
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_RTN, &config));
    CHECK_OK(ptq_config_parse(config, "activations", "int8-static"));
    CHECK_OK(ptq_config_parse(config, "rotate", "64"));
    ptq_stats **all[] = {&whole, &first, &second};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(ptq_stats_create(test_context(), K, PTQ_STATS_SAMPLE, all[i]));
        CHECK_OK(ptq_stats_update(*all[i], i == 2 ? rows + 700 * K : rows, PTQ_DTYPE_F32,
                                  i == 0   ? 2000
                                  : i == 1 ? 700
                                           : 1300,
                                  K, NULL));
    }
    CHECK_OK(ptq_stats_merge(first, second));
    CHECK_OK(ptq_stats_save(first, test_scratch("extremes.stats")));
    ptq_stats_free(second);
    CHECK_OK(ptq_stats_load(test_context(), test_scratch("extremes.stats"), &second));
    ptqi_rotate(test_context(), rows + 1337 * K, 1, K, 64);
    float most = 0;
    for (int i = 0; i < K; i++)
        most = fabsf(rows[1337 * K + i]) > most ? fabsf(rows[1337 * K + i]) : most;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(ptq_equalize(config, (const ptq_tensor *const *)&weight, 1, *all[i], NULL, &e));
        CHECK(ptq_equalization_activation_scale(e) == most / 127.0f);
        CHECK_EQ(ptq_equalization_rotation(e), 64);
        CHECK_OK(ptq_equalization_scale(e, scale));
        CHECK(scale[0] == 1.0f && scale[K - 1] == 1.0f);
        ptq_equalization_free(e);
        ptq_stats_free(*all[i]);
    }
    ptq_config_free(config);
    ptq_tensor_free(weight);
}

/* y = sx (sr (sum of level (code - zero) x)), to the bit. */
static void check_two_level_linear(ptq_qtensor *q, const float *scales, const float *row_scales,
                                   const uint8_t *zeros)
{
    static uint8_t codes[N * K];
    static float y[3 * N], basis[3 * K];
    int32_t group_of[K];
    const int64_t groups = ptq_qtensor_groups(q);
    ptq_linear *linear;
    int wrong = 0;
    memcpy(basis, x, sizeof basis);
    if (ptq_qtensor_rotation(q))
        ptqi_rotate(test_context(), basis, 3, K, ptq_qtensor_rotation(q));
    CHECK_OK(ptq_qtensor_set_activations(q, PTQ_ACTIVATIONS_INT8_TOKEN));
    CHECK_OK(ptq_qtensor_codes(q, codes));
    CHECK_OK(ptq_qtensor_group_index(q, group_of));
    if (!CHECK_OK(ptq_linear_create(test_context(), q, &linear)))
        return;
    CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, 3, K, y, PTQ_DTYPE_F32, N, NULL));
    for (int t = 0; t < 3; t++) {
        float most = 0;
        for (int i = 0; i < K; i++)
            most = fabsf(basis[t * K + i]) > most ? fabsf(basis[t * K + i]) : most;
        const float scale = most / 127.0f;
        for (int n = 0; n < N; n++) {
            int32_t sum = 0;
            for (int i = 0; i < K; i++) {
                const int64_t at = n * groups + group_of[i];
                sum += (int32_t)(scales[at] / row_scales[n]) * (codes[n * K + i] - zeros[at]) *
                       (int32_t)rintf(basis[t * K + i] / scale);
            }
            wrong += y[t * N + n] != scale * (row_scales[n] * (float)sum);
        }
    }
    CHECK_EQ(wrong, 0);
    ptq_linear_free(linear);
}

/* Two-level scales keep their guarantees, even through a file. */
static void test_two_level(void)
{
    static const char *const settings[] = {
        "group 32 round rtn",
        "group 64 sym off round gptq",
        "group 32 round gptq+ bits 3",
        "group 32 sym off round gptq+ rotate 64 act-order on",
        "group 0 sym off grid awq bits 2",
        "group 32 act-order on static-groups on round gptq+",
    };
    for (int s = 0; s < 6; s++) {
        char text[128];
        float scales[N * 6], row_scales[N];
        uint8_t zeros[N * 6];
        snprintf(text, sizeof text, "%s scales two-level", settings[s]);
        ptq_qtensor *q = quantize(text), *plain = quantize(settings[s]);
        int64_t groups = ptq_qtensor_groups(q), bits = ptq_qtensor_bits(q), wrong = 0;
        CHECK(ptq_qtensor_has_row_scales(q) && !ptq_qtensor_has_row_scales(plain));
        CHECK(lost(q) < 1.3 * lost(plain) + 1e-3);
        CHECK_OK(ptq_qtensor_scales(q, scales));
        CHECK_OK(ptq_qtensor_zeros(q, zeros));
        CHECK_OK(ptq_qtensor_row_scales(q, row_scales));
        for (int64_t i = 0; i < N * groups; i++) {
            float level = scales[i] / row_scales[i / groups];
            int top = (1 << bits) - 1, far = zeros[i] > top - zeros[i] ? zeros[i] : top - zeros[i];
            wrong += level != (float)(int)level || level < 1 || level > 15 ||
                     (int)level * far > 127 || ptqi_round_to(scales[i], PTQ_DTYPE_F16) != scales[i];
        }
        CHECK_EQ(wrong, 0);
        check_file(q);
        check_two_level_linear(q, scales, row_scales, zeros);
        CHECK_STATUS(ptq_qtensor_set_scales(q, NULL), PTQ_ERROR_ARGUMENT);
        CHECK(ptq_qtensor_has_row_scales(q));      /* failures change nothing */
        CHECK_OK(ptq_qtensor_set_zeros(q, zeros)); /* they might no longer fit the levels */
        CHECK(!ptq_qtensor_has_row_scales(q));
        CHECK_OK(ptq_qtensor_set_row_scales(q, row_scales));
        scales[0] *= 1.01f;
        CHECK_OK(ptq_qtensor_set_scales(q, scales));
        CHECK(!ptq_qtensor_has_row_scales(q));
        CHECK_STATUS(ptq_qtensor_set_row_scales(q, row_scales), PTQ_ERROR_BOUNDS);
        CHECK_STATUS(ptq_qtensor_set_rotation(q, PTQ_AUTO), PTQ_ERROR_BOUNDS);
        ptq_qtensor_free(q);
        ptq_qtensor_free(plain);
    }
}

/* A linear with another rotation needs another preparation. */
static void test_recipe(void)
{
    static char prepared[1 << 16];
    char *aligned = prepared + (PTQ_ALIGNMENT - (uintptr_t)prepared % PTQ_ALIGNMENT);
    float y[2 * N];
    ptq_qtensor *q = quantize("group 32 activations int8-token");
    ptq_linear *plain, *rotated;
    CHECK_OK(ptq_linear_create(test_context(), q, &plain));
    CHECK_OK(ptq_qtensor_set_rotation(q, 64));
    CHECK_OK(ptq_linear_create(test_context(), q, &rotated));
    CHECK_OK(prepare(plain, x, PTQ_DTYPE_F32, 2, K, aligned));
    CHECK_OK(forward_prepared(plain, aligned, y, PTQ_DTYPE_F32, N, NULL));
    CHECK_STATUS(forward_prepared(rotated, aligned, y, PTQ_DTYPE_F32, N, NULL), PTQ_ERROR_CONFLICT);
    ptq_linear_free(plain);
    ptq_linear_free(rotated);
    ptq_qtensor_free(q);
}

static void test_second_look(void)
{
    static const char *const settings[] = {
        "bits 4 group 32",           "bits 3 group 64 sym off",
        "bits 2 group 32",           "bits 4 group 0 act-order on",
        "bits 3 group 32 grid awq",  "bits 4 group 64 act-order on static-groups on",
        "bits 4 group 32 rotate 64", "bits 3 group 64 scale-dtype f16 equalize lae",
        "bits 8 group 32 damp 0.1",  "bits 4 group 32 grid awq sym off block 48",
    };
    for (int i = 0; i < 10; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s round gptq+", settings[i]);
        ptq_qtensor *once = quantize(settings[i]), *twice = quantize(text);
        double before = lost(once), after = lost(twice);
        if (!CHECK(after < before && fabs(ptq_qtensor_output_error(twice) / after - 1) < 1e-2))
            printf("    %s: %g, and at the second look %g\n", settings[i], before, after);
        ptq_qtensor_free(once);
        ptq_qtensor_free(twice);
    }
}

static int same(const ptq_qtensor *a, const ptq_qtensor *b)
{
    static uint8_t codes[2][N * K];
    static float values[2][N * K];
    CHECK_OK(ptq_qtensor_codes(a, codes[0]));
    CHECK_OK(ptq_qtensor_codes(b, codes[1]));
    CHECK_OK(ptq_qtensor_dequantize(a, values[0]));
    CHECK_OK(ptq_qtensor_dequantize(b, values[1]));
    return !memcmp(codes[0], codes[1], sizeof codes[0]) &&
           !memcmp(values[0], values[1], sizeof values[0]);
}

static void test_equal_bits(void)
{
    static const char *const settings[] = {
        "group 64 round gptq+ rotate 64", "group 32 round gptq+ act-order on sym off bits 3",
        "group 32 rotate 128 equalize lae clip on activations fptq"};
    for (int s = 0; s < 3; s++) {
        ptq_qtensor *first = quantize(settings[s]);
        for (int32_t isa = 1; isa < 32; isa++)
            for (int32_t threads = 1; threads < 6 && ptq_isa_usable(isa); threads += 2) {
                ptq_context *context;
                ptq_qtensor *q;
                CHECK_OK(ptq_context_create(&context));
                CHECK_OK(ptq_context_set_isa(context, isa));
                CHECK_OK(ptq_context_set_threads(context, threads));
                CHECK_OK(quantize_rows(context, settings[s], 0, N, &q));
                if (!CHECK(same(first, q)))
                    printf("    %s, %d threads, %s\n", ptq_isa_name(isa), threads, settings[s]);
                ptq_qtensor_free(q);
                ptq_context_free(context);
            }
        ptq_qtensor_free(first);
    }
}

/* Rows that are rounded separately and stacked equal the matrix rounded at once. */
static void test_stack(void)
{
    static const char *const settings[] = {"group 32 round gptq+ act-order on sym off",
                                           "group 64 equalize lae rotate 32 activations fptq"};
    for (int s = 0; s < 2; s++) {
        ptq_qtensor *whole = quantize(settings[s]), *parts[3], *stacked, *moved;
        int64_t rows[N];
        for (int i = 0; i < 3; i++)
            CHECK_OK(
                quantize_rows(test_context(), settings[s], 8 * i, i < 2 ? 8 : N - 16, &parts[i]));
        const ptq_qtensor *const *list = (const ptq_qtensor *const *)parts;
        CHECK_OK(ptq_qtensor_stack(test_context(), list, 3, NULL, &stacked));
        CHECK(same(whole, stacked));
        CHECK(fabs(ptq_qtensor_output_error(stacked) / ptq_qtensor_output_error(whole) - 1) < 1e-6);
        CHECK(fabs(ptq_qtensor_weight_error(stacked) / ptq_qtensor_weight_error(whole) - 1) < 1e-6);
        for (int i = 0; i < N; i++)
            rows[i] = N - 1 - i;
        CHECK_OK(ptq_qtensor_stack(test_context(), list, 3, rows, &moved));
        static uint8_t codes[2][N * K];
        CHECK_OK(ptq_qtensor_codes(moved, codes[0]));
        CHECK_OK(ptq_qtensor_codes(whole, codes[1]));
        int wrong = 0;
        for (int i = 0; i < N; i++)
            wrong += memcmp(codes[0] + (N - 1 - i) * K, codes[1] + i * K, K) != 0;
        CHECK_EQ(wrong, 0);
        ptq_qtensor_free(stacked);
        rows[3] = rows[4];
        CHECK_STATUS(ptq_qtensor_stack(test_context(), list, 3, rows, &stacked), PTQ_ERROR_BOUNDS);
        CHECK_OK(ptq_qtensor_set_activations(parts[1], PTQ_ACTIVATIONS_INT8_TENSOR));
        CHECK_STATUS(ptq_qtensor_stack(test_context(), list, 3, NULL, &stacked),
                     PTQ_ERROR_CONFLICT);
        CHECK(stacked == NULL);
        CHECK_STATUS(ptq_qtensor_stack(test_context(), list, 0, NULL, &stacked),
                     PTQ_ERROR_ARGUMENT);
        for (int i = 0; i < 3; i++)
            ptq_qtensor_free(parts[i]);
        ptq_qtensor_free(moved);
        ptq_qtensor_free(whole);
    }
}

/* Every allocation fails once. */
static void test_memory(const char *settings)
{
    for (int64_t n = 1, done = 0; !done && CHECK(n < 400); n++) {
        ptq_context *context = test_failing_context(n);
        ptq_qtensor *q = NULL, *stacked = NULL;
        ptq_status status = PTQ_ERROR_MEMORY;
        if (context) {
            CHECK_OK(ptq_context_set_threads(context, 1));
            status = quantize_rows(context, settings, 0, N, &q);
        }
        if (!status)
            status = ptq_qtensor_stack(context, (const ptq_qtensor *const *)&q, 1, NULL, &stacked);
        CHECK(status == PTQ_OK || (status == PTQ_ERROR_MEMORY && !stacked));
        done = status == PTQ_OK;
        ptq_qtensor_free(q);
        ptq_qtensor_free(stacked);
        test_free_failing(context);
    }
}

void test_plus(void)
{
    make_layer();
    test_rotation();
    test_rotated();
    test_extremes();
    test_two_level();
    test_recipe();
    test_second_look();
    test_equal_bits();
    test_stack();
    test_memory("group 32 round gptq+ rotate 64 clip on act-order on");
    test_memory("group 32 rotate 32 equalize lae activations int8-static sym off");
    ptq_stats_free(stats);
}
