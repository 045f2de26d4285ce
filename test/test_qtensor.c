/*
 * Quantized matrices made from parts and read back, from memory and through a store; corrupt
 * stores; out of memory.
 */
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "qtensor.h"
#include "store/store.h"

void test_qtensor(void);

enum { ZEROS = 1, ORDER = 2, INPUT_SCALE = 4, HALF_SCALES = 8 };

/* Parts of a matrix. */
struct parts {
    int64_t n, k, group, size, groups; /* size: columns of a full group */
    int32_t bits;
    uint8_t *codes, *zeros;
    float *scales, *input_scale;
    int32_t *order, *group_index;
};

static void make_parts(struct parts *p, int64_t n, int64_t k, int32_t bits, int64_t group,
                       uint64_t seed)
{
    struct random r = {seed};
    p->n = n;
    p->k = k;
    p->bits = bits;
    p->group = group;
    p->size = group && group < k ? group : k;
    p->groups = (k + p->size - 1) / p->size;
    p->codes = malloc((size_t)(n * k));
    p->zeros = malloc((size_t)(n * p->groups));
    p->scales = malloc((size_t)(n * p->groups) * 4);
    p->input_scale = malloc((size_t)k * 4);
    p->order = malloc((size_t)k * 4);
    p->group_index = malloc((size_t)k * 4);
    for (int64_t i = 0; i < n * k; i++)
        p->codes[i] = (uint8_t)(random_bits(&r) & ((1u << bits) - 1));
    for (int64_t i = 0; i < n * p->groups; i++) {
        p->zeros[i] = (uint8_t)(random_bits(&r) & ((1u << bits) - 1));
        p->scales[i] = random_normal(&r);
    }
    for (int64_t i = 0; i < k; i++) {
        int64_t other = random_below(&r, i + 1);
        p->input_scale[i] = 0.5f + fabsf(random_normal(&r));
        p->order[i] = p->order[other];
        p->order[other] = (int32_t)i;
    }
    for (int64_t i = 0; i < k; i++)
        p->group_index[p->order[i]] = (int32_t)(i / p->size);
}

static void free_parts(struct parts *p)
{
    free(p->codes);
    free(p->zeros);
    free(p->scales);
    free(p->input_scale);
    free(p->order);
    free(p->group_index);
}

static ptq_status build(ptq_context *context, const struct parts *p, int what, ptq_qtensor **q)
{
    ptq_status status = ptq_qtensor_create(context, p->n, p->k, p->bits, p->group, q);
    if (!status)
        status = ptq_qtensor_set_codes(*q, p->codes);
    for (int64_t i = 0; i < p->n * p->groups && (what & HALF_SCALES); i++)
        p->scales[i] = ptqi_round_to(p->scales[i], PTQ_DTYPE_F16);
    if (!status)
        status = ptq_qtensor_set_scales(*q, p->scales);
    if (!status && (what & ZEROS))
        status = ptq_qtensor_set_zeros(*q, p->zeros);
    if (!status && (what & ORDER))
        status = ptq_qtensor_set_order(*q, p->order);
    if (!status && (what & INPUT_SCALE))
        status = ptq_qtensor_set_input_scale(*q, p->input_scale);
    return status;
}

static int read_is(const void *got, const void *want, int64_t bytes)
{
    return !memcmp(got, want, (size_t)bytes);
}

/* Every part of q equals its source, and q dequantizes according to the formula. */
static void check_parts(const ptq_qtensor *q, const struct parts *p, int what)
{
    const int64_t n = p->n, k = p->k, groups = p->groups;
    uint8_t *bytes = malloc((size_t)(n * k));
    float *floats = malloc((size_t)(n * k) * 4);
    int32_t *integers = malloc((size_t)k * 4), wrong = 0;
    CHECK(ptq_qtensor_n(q) == n && ptq_qtensor_k(q) == k && ptq_qtensor_bits(q) == p->bits);
    CHECK(ptq_qtensor_group(q) == p->group && ptq_qtensor_groups(q) == groups);
    CHECK(ptq_qtensor_symmetric(q) == !(what & ZEROS) &&
          ptq_qtensor_has_order(q) == !!(what & ORDER) &&
          ptq_qtensor_has_input_scale(q) == !!(what & INPUT_SCALE));
    CHECK_OK(ptq_qtensor_codes(q, bytes));
    CHECK(read_is(bytes, p->codes, n * k));
    CHECK_OK(ptq_qtensor_scales(q, floats));
    CHECK(read_is(floats, p->scales, n * groups * 4));
    CHECK_OK(ptq_qtensor_zeros(q, bytes));
    for (int64_t i = 0; i < n * groups; i++)
        wrong += bytes[i] != (what & ZEROS ? p->zeros[i] : 1 << (p->bits - 1));
    CHECK_OK(ptq_qtensor_order(q, integers));
    for (int64_t i = 0; i < k; i++)
        wrong += integers[i] != (what & ORDER ? p->order[i] : i);
    CHECK_OK(ptq_qtensor_group_index(q, integers));
    for (int64_t i = 0; i < k; i++)
        wrong += integers[i] != (what & ORDER ? p->group_index[i] : i / p->size);
    CHECK_OK(ptq_qtensor_dequantize(q, floats));
    for (int64_t i = 0; i < n * k; i++) {
        int64_t at = i / k * groups + integers[i % k];
        int zero = what & ZEROS ? p->zeros[at] : 1 << (p->bits - 1);
        float w = p->scales[at] * (float)(p->codes[i] - zero);
        wrong += floats[i] != (what & INPUT_SCALE ? w / p->input_scale[i % k] : w);
    }
    CHECK_OK(ptq_qtensor_input_scale(q, floats));
    for (int64_t i = 0; i < k; i++)
        wrong += floats[i] != (what & INPUT_SCALE ? p->input_scale[i] : 1.0f);
    CHECK_EQ(wrong, 0);
    free(bytes);
    free(floats);
    free(integers);
}

/* Writes q and reads it again. */
static ptq_qtensor *through_store(const ptq_qtensor *q, const char *path)
{
    ptq_store *store;
    ptq_qtensor *read = NULL;
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, "layer.weight"));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, "layer.weight", &read));
    ptq_store_free(store);
    return read;
}

static void test_round_trips(void)
{
    static const int32_t bits[] = {2, 3, 4, 8};
    static const int64_t shapes[][3] = {{5, 37, 0}, {3, 96, 32}, {7, 101, 32},
                                        {1, 1, 0},  {2, 33, 64}, {4, 131, 128}};
    const char *path = test_scratch("qtensor.safetensors");
    for (int b = 0; b < 4; b++)
        for (int s = 0; s < 6; s++)
            for (int what = 0; what < 16; what += 1 + (s > 0) * 4) {
                struct parts p;
                ptq_qtensor *q;
                make_parts(&p, shapes[s][0], shapes[s][1], bits[b], shapes[s][2], (uint64_t)s + 1);
                CHECK_OK(build(test_context(), &p, what, &q));
                CHECK(isnan(ptq_qtensor_weight_error(q)) && isnan(ptq_qtensor_output_error(q)) &&
                      ptq_qtensor_damping(q) == 0);
                check_parts(q, &p, what);
                q->weight_error = 1.0 / 3; /* errors and activations are stored too */
                q->damping = 0.015;
                CHECK_OK(ptq_qtensor_set_activations(q, what & 1));
                ptq_qtensor *read = through_store(q, path);
                if (read) {
                    check_parts(read, &p, what);
                    CHECK(ptq_qtensor_weight_error(read) == 1.0 / 3 &&
                          isnan(ptq_qtensor_output_error(read)) &&
                          ptq_qtensor_damping(read) == 0.015);
                    CHECK_EQ(ptq_qtensor_activations(read), what & 1);
                }
                ptq_qtensor_free(read);
                ptq_qtensor_free(q);
                free_parts(&p);
            }
}

static void test_setters(void)
{
    struct parts p;
    ptq_qtensor *q;
    uint8_t codes[4 * 65];
    make_parts(&p, 4, 65, 3, 32, 5);
    CHECK_OK(ptq_qtensor_create(test_context(), 4, 65, 3, 32, &q));
    CHECK_STATUS(ptq_qtensor_codes(q, codes), PTQ_ERROR_MISSING);
    CHECK_OK(ptq_qtensor_set_codes(q, p.codes));
    float unused[4 * 65];
    CHECK_STATUS(ptq_qtensor_dequantize(q, unused), PTQ_ERROR_MISSING);
    memcpy(codes, p.codes, sizeof codes);
    codes[2 * 65 + 11] = 8;
    CHECK_STATUS(ptq_qtensor_set_codes(q, codes), PTQ_ERROR_BOUNDS);
    char message[128];
    ptq_last_message(message, sizeof message);
    CHECK(strstr(message, "[2][11]") != NULL);
    CHECK_OK(ptq_qtensor_set_scales(q, p.scales));
    float scale = p.scales[7];
    p.scales[7] = INFINITY;
    CHECK_STATUS(ptq_qtensor_set_scales(q, p.scales), PTQ_ERROR_NOT_FINITE);
    p.scales[7] = scale;
    p.zeros[3] = 9;
    CHECK_STATUS(ptq_qtensor_set_zeros(q, p.zeros), PTQ_ERROR_BOUNDS);
    check_parts(q, &p, 0); /* rejected calls changed nothing */
    static const int32_t wrong[] = {-1, 65, 1 << 30};
    int32_t order[65], index = p.group_index[64];
    for (int i = 0; i < 4; i++) {
        memcpy(order, p.order, sizeof order);
        order[64] = i < 3 ? wrong[i] : order[0];
        CHECK_STATUS(ptq_qtensor_set_order(q, order), PTQ_ERROR_BOUNDS);
        p.group_index[64] = i < 3 ? (i ? 3 : -1) : INT32_MIN; /* no such group */
        CHECK_STATUS(ptq_qtensor_set_group_index(q, p.group_index), PTQ_ERROR_BOUNDS);
    }
    p.group_index[64] = index;
    static const float bad[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        float keep = p.input_scale[9];
        p.input_scale[9] = bad[i];
        CHECK_STATUS(ptq_qtensor_set_input_scale(q, p.input_scale), PTQ_ERROR_BOUNDS);
        p.input_scale[9] = keep;
    }
    CHECK_STATUS(ptq_qtensor_set_activations(q, PTQ_ACTIVATIONS_FPTQ), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_set_activations(q, 10), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_set_activations(q, -1), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_set_codes(q, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_qtensor_set_scales(q, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_qtensor_set_zeros(q, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_qtensor_set_order(q, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_qtensor_set_group_index(q, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_qtensor_set_input_scale(q, NULL), PTQ_ERROR_ARGUMENT);
    check_parts(q, &p, 0);
    /* the group index sets an order with the same groups */
    CHECK_OK(ptq_qtensor_set_group_index(q, p.group_index));
    int32_t got[65];
    CHECK_OK(ptq_qtensor_group_index(q, got));
    CHECK(read_is(got, p.group_index, sizeof got) && ptq_qtensor_has_order(q));
    ptq_qtensor_free(q);
    free_parts(&p);
}

static void test_create(void)
{
    static const struct {
        int64_t n, k;
        int32_t bits;
        int64_t group;
        ptq_status status;
    } cases[] = {
        {0, 4, 4, 0, PTQ_ERROR_SHAPE},         {4, 0, 4, 0, PTQ_ERROR_SHAPE},
        {-1, 4, 4, 0, PTQ_ERROR_SHAPE},        {4, 131073, 4, 0, PTQ_ERROR_SHAPE},
        {INT64_MAX, 2, 4, 0, PTQ_ERROR_SHAPE}, {4, 64, 7, 0, PTQ_ERROR_BOUNDS},
        {4, 64, 0, 0, PTQ_ERROR_BOUNDS},       {4, 64, 16, 0, PTQ_ERROR_BOUNDS},
        {4, 64, 4, 33, PTQ_ERROR_BOUNDS},      {4, 64, 4, -32, PTQ_ERROR_BOUNDS},
        {4, 64, 4, 8, PTQ_ERROR_BOUNDS},
    };
    ptq_qtensor *q;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_STATUS(ptq_qtensor_create(test_context(), cases[i].n, cases[i].k, cases[i].bits,
                                        cases[i].group, &q),
                     cases[i].status);
        CHECK(q == NULL);
    }
    CHECK_STATUS(ptq_qtensor_create(test_context(), 1, 1, 4, 0, NULL), PTQ_ERROR_ARGUMENT);
    ptq_qtensor_free(NULL);
}

/* What a store says about a matrix of 2 x 33, 4 bits, group 32; a name and size beyond K, or NULL.
 */
struct hostile {
    const char *settings;
    int64_t rows, row_bytes, groups, zeros, order, input_scale;
    int32_t scale_dtype;
    int break_values; /* zeros too large, an invalid order, scales not finite */
};

#define SETTINGS(version, bits, k, group, activations)                                             \
    "{\"version\":" version ",\"bits\":" bits ",\"k\":" k ",\"group\":" group                      \
    ",\"activations\":" activations "}"

static ptq_status read_hostile(const struct hostile *h, const char *path)
{
    static uint8_t bytes[65536];
    static float floats[256];
    int32_t order[64];
    int64_t codes[2] = {h->rows, h->row_bytes}, groups[2] = {2, h->groups},
            zeros[2] = {2, h->zeros};
    ptq_store *store;
    ptq_qtensor *q;
    for (int i = 0; i < 256; i++)
        floats[i] = 1;
    for (int i = 0; i < 64; i++)
        order[i] = i;
    memset(bytes, 7, sizeof bytes);
    if (h->break_values == 1)
        bytes[1] = 17;
    if (h->break_values == 2)
        order[3] = 4;
    if (h->break_values == 3)
        floats[3] = h->scale_dtype == PTQ_DTYPE_F32 ? NAN : 1;
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_OK(ptqi_store_put(store, "w.codes", PTQ_DTYPE_U8, 2, codes, bytes));
    CHECK_OK(ptqi_store_put(store, "w.scales", h->scale_dtype, 2, groups, floats));
    if (h->zeros)
        CHECK_OK(ptqi_store_put(store, "w.zeros", PTQ_DTYPE_U8, 2, zeros, bytes));
    if (h->order)
        CHECK_OK(ptqi_store_put(store, "w.order", PTQ_DTYPE_I32, 1, &h->order, order));
    if (h->input_scale)
        CHECK_OK(ptqi_store_put(store, "w.input_scale", PTQ_DTYPE_F32, 1, &h->input_scale, floats));
    if (h->settings)
        CHECK_OK(ptq_store_set_metadata(store, "w", h->settings));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    ptq_status status = ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, "w", &q);
    CHECK((status == PTQ_OK) == (q != NULL));
    ptq_qtensor_free(q);
    ptq_store_free(store);
    return status;
}

static void test_hostile_stores(void)
{
    const char *path = test_scratch("hostile-qtensor.safetensors");
    static const char good_settings[] = SETTINGS("1", "4", "33", "32", "\"f32\"");
    static const char *const bad_settings[] = {
        NULL,
        "",
        "{",
        "[]",
        "{}",
        "5",
        SETTINGS("7", "4", "33", "32", "\"f32\""),
        SETTINGS("1", "5", "33", "32", "\"f32\""),
        SETTINGS("1", "4294967300", "33", "32", "\"f32\""),
        SETTINGS("1", "-4", "33", "32", "\"f32\""),
        SETTINGS("1", "4", "0", "32", "\"f32\""),
        SETTINGS("1", "4", "-33", "32", "\"f32\""),
        SETTINGS("1", "4", "35", "32", "\"f32\""),
        SETTINGS("1", "4", "1e15", "32", "\"f32\""),
        SETTINGS("1", "4", "131072", "32", "\"f32\""),
        SETTINGS("1", "4", "33.5", "32", "\"f32\""),
        SETTINGS("1", "4", "33", "33", "\"f32\""),
        SETTINGS("1", "4", "33", "-32", "\"f32\""),
        SETTINGS("1", "4", "33", "64", "\"f32\""),
        SETTINGS("1", "4", "33", "32", "\"f64\""),
        SETTINGS("1", "4", "33", "32", "1"),
        SETTINGS("\"1\"", "4", "33", "32", "\"f32\""),
        SETTINGS("1", "8", "33", "32", "\"f32\""),
    };
    const struct hostile good = {good_settings, 2, 17, 2, 2, 33, 33, PTQ_DTYPE_F32, 0};
    CHECK_OK(read_hostile(&good, path));
    for (size_t i = 0; i < sizeof bad_settings / sizeof *bad_settings; i++) {
        struct hostile h = good;
        h.settings = bad_settings[i];
        ptq_status status = read_hostile(&h, path);
        if (!CHECK(status != PTQ_OK && status != PTQ_ERROR_MEMORY))
            printf("    %s\n", bad_settings[i] ? bad_settings[i] : "no settings");
    }
    struct hostile cases[16];
    int count = 0;
    for (int i = 0; i < 16; i++)
        cases[i] = good;
    cases[count++].rows = 3;
    cases[count++].rows = 1;
    cases[count++].rows = 0;
    cases[count++].row_bytes = 16;
    cases[count++].row_bytes = 18;
    cases[count++].groups = 1;
    cases[count++].groups = 3;
    cases[count++].zeros = 1;
    cases[count++].order = 32;
    cases[count++].order = 34;
    cases[count++].input_scale = 34;
    cases[count++].scale_dtype = PTQ_DTYPE_I32;
    for (int i = 1; i <= 3; i++)
        cases[count++].break_values = i;
    for (int i = 0; i < count; i++) {
        ptq_status status = read_hostile(&cases[i], path);
        if (!CHECK(status != PTQ_OK && status != PTQ_ERROR_MEMORY))
            printf("    hostile case %d\n", i);
    }
}

static ptq_status use_all(ptq_context *context, const struct parts *p, const char *path)
{
    ptq_qtensor *q = NULL, *read = NULL;
    ptq_store *store = NULL;
    float out[2 * 65];
    ptq_status status = build(context, p, ZEROS | INPUT_SCALE | HALF_SCALES, &q);
    if (!status)
        status = ptq_qtensor_set_group_index(q, p->group_index);
    if (!status)
        status = ptq_qtensor_dequantize(q, out);
    if (!status)
        status = ptq_store_create(context, path, &store);
    if (!status)
        status = ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, "w");
    if (!status)
        status = ptq_store_commit(store);
    ptq_store_free(store);
    store = NULL;
    if (!status)
        status = ptq_store_open(context, path, &store);
    if (!status)
        status = ptq_qtensor_read(context, PTQ_FORMAT_PTQ, store, "w", &read);
    ptq_store_free(store);
    ptq_qtensor_free(q);
    ptq_qtensor_free(read);
    return status;
}

static void test_memory(void)
{
    struct parts p;
    const char *path = test_scratch("memory-qtensor.safetensors");
    make_parts(&p, 2, 65, 4, 32, 6);
    for (int64_t n = 1, done = 0; !done && CHECK(n < 300); n++) {
        ptq_context *context = test_failing_context(n);
        ptq_status status = context ? use_all(context, &p, path) : PTQ_ERROR_MEMORY;
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        done = status == PTQ_OK;
        test_free_failing(context);
    }
    free_parts(&p);
}

/* Formats by number and name; the format in a store is found, and an unknown format is an error. */
static void test_formats(void)
{
    const char *path = test_scratch("formats.safetensors");
    struct parts p;
    ptq_store *store;
    ptq_qtensor *q, *read;
    int32_t format;
    for (int32_t i = 0; (format = ptq_format(i)); i++) {
        CHECK_EQ(ptq_format_from_name(ptq_format_name(format)), format);
        CHECK(ptq_format_ending(format, 0)[0] == '.');
    }
    CHECK(ptq_format(-1) == 0 && ptq_format_from_name("none") == 0 && !ptq_format_name(99));
    CHECK(!ptq_format_ending(99, 0) && !ptq_format_ending(PTQ_FORMAT_PTQ, 99));
    make_parts(&p, 2, 65, 4, 32, 6);
    CHECK_OK(build(test_context(), &p, 0, &q));
    CHECK_OK(ptq_format_can_hold(PTQ_FORMAT_PTQ, q));
    CHECK_STATUS(ptq_format_can_hold(99, q), PTQ_ERROR_UNKNOWN);
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_STATUS(ptq_qtensor_write(q, 99, store, "m"), PTQ_ERROR_UNKNOWN);
    CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, "m"));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    CHECK(!strcmp(ptq_store_metadata_key(store, 0), "m") && !ptq_store_metadata_key(store, 1));
    CHECK_EQ(ptq_format_find(store, "m"), PTQ_FORMAT_PTQ);
    CHECK_EQ(ptq_format_find(store, "other"), 0);
    CHECK_STATUS(ptq_qtensor_read(test_context(), 99, store, "m", &read), PTQ_ERROR_UNKNOWN);
    CHECK_STATUS(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, "other", &read),
                 PTQ_ERROR_UNKNOWN);
    CHECK(read == NULL);
    ptq_store_free(store);
    ptq_qtensor_free(q);
    free_parts(&p);
}

void test_qtensor(void)
{
    test_formats();
    test_create();
    test_setters();
    test_round_trips();
    test_hostile_stores();
    test_memory();
}
