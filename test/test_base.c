/*
 * Statuses, messages, and f16 and bf16: all 65536 values against a formula in double, and rounding
 * to them at and next to every tie.
 */
#include "base/table.h"
#include "test.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/half.h"

void test_base(void);

static void test_statuses(void)
{
    for (ptq_status s = PTQ_OK; s <= PTQ_ERROR_MISSING; s++) {
        CHECK(!strncmp(ptq_status_name(s), s ? "PTQ_ERROR_" : "PTQ_OK", s ? 10 : 7));
        CHECK(strlen(ptq_status_sentence(s)) > 3);
        for (ptq_status other = PTQ_OK; other < s; other++)
            CHECK(strcmp(ptq_status_name(s), ptq_status_name(other)) != 0);
    }
    static const ptq_status unknown[] = {-1, PTQ_ERROR_MISSING + 1, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++) {
        CHECK(ptq_status_name(unknown[i]) != NULL);
        CHECK(ptq_status_sentence(unknown[i]) != NULL);
    }
    CHECK_EQ(ptq_version(),
             PTQ_VERSION_MAJOR * 10000 + PTQ_VERSION_MINOR * 100 + PTQ_VERSION_PATCH);
}

static const char *last(void)
{
    static char text[600];
    ptq_last_message(text, sizeof text);
    return text;
}

static void test_message_text(void)
{
    char small[8];
    ptq_context *context = test_context();
    CHECK_STATUS(ptqi_fail(context, PTQ_ERROR_SHAPE, "%s is %d", "seven", 7), PTQ_ERROR_SHAPE);
    CHECK(!strcmp(last(), "seven is 7"));
    CHECK_EQ(ptq_last_message(NULL, 0), 10);
    memset(small, '#', sizeof small);
    CHECK_EQ(ptq_last_message(small, 0), 10);
    CHECK(small[0] == '#');
    CHECK_EQ(ptq_last_message(small, 1), 10);
    CHECK(small[0] == 0 && small[1] == '#');
    CHECK_EQ(ptq_last_message(small, 6), 10);
    CHECK(!strcmp(small, "seven") && small[6] == '#');

    ptqi_fail_at(context, PTQ_ERROR_SHAPE, "here");
    CHECK(!strcmp(last(), "here: seven is 7"));
    ptqi_fail(context, PTQ_ERROR_FORMAT, "%s", last()); /* an argument of another's buffer */
    CHECK(!strcmp(last(), "here: seven is 7"));
    ptqi_fail(NULL, PTQ_ERROR_FORMAT, "a\nb\tc\x1b[2J\x7f");
    CHECK(!strcmp(last(), "a?b?c?[2J?"));

    char long_text[2000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    ptqi_fail(context, PTQ_ERROR_FORMAT, "%s", long_text);
    CHECK_EQ(ptq_last_message(NULL, 0), PTQI_MESSAGE_SIZE - 1);
    ptqi_fail_at(context, PTQ_ERROR_FORMAT, long_text);
    CHECK(ptq_last_message(NULL, 0) < PTQI_MESSAGE_SIZE);
}

/* Returns context if the new thread had no message yet. */
static void *fail_elsewhere(void *context)
{
    int64_t length = ptq_last_message(NULL, 0);
    ptqi_fail(context, PTQ_ERROR_FORMAT, "elsewhere");
    return length ? NULL : context;
}

static void test_message_threads(void)
{
    char text[64];
    pthread_t thread;
    void *had_none = NULL;
    ptq_context *context = test_context();
    ptqi_fail(context, PTQ_ERROR_FORMAT, "here");
    CHECK(pthread_create(&thread, NULL, fail_elsewhere, context) == 0);
    pthread_join(thread, &had_none);
    CHECK(had_none == context);
    CHECK(!strcmp(last(), "here"));
    CHECK_EQ(ptq_context_last_message(context, text, sizeof text), 9);
    CHECK(!strcmp(text, "elsewhere"));
    CHECK_EQ(ptq_context_last_message(NULL, text, sizeof text), 4);
    CHECK(!strcmp(text, "here"));
}

/* Parameters of a binary format: mantissa bits and the exponents of normal numbers. */
struct format {
    int mantissa, lowest, highest;
    float (*decode)(uint16_t);
    uint16_t (*encode)(float);
};

static float decode_f16(uint16_t h)
{
    return ptqi_f16_to_f32(h);
}
static uint16_t encode_f16(float x)
{
    return ptqi_f32_to_f16(x);
}
static float decode_bf16(uint16_t h)
{
    return ptqi_bf16_to_f32(h);
}
static uint16_t encode_bf16(float x)
{
    return ptqi_f32_to_bf16(x);
}
static const struct format formats[] = {{10, -14, 15, decode_f16, encode_f16},
                                        {7, -126, 127, decode_bf16, encode_bf16}};

static double value_of(const struct format *f, uint16_t h)
{
    int fraction = h & ((1 << f->mantissa) - 1);
    int exponent = (h & 0x7fff) >> f->mantissa;
    double sign = h & 0x8000 ? -1.0 : 1.0;
    if (exponent == f->highest - f->lowest + 2)
        return fraction ? (double)NAN : sign * HUGE_VAL;
    if (exponent == 0)
        return sign * ldexp(fraction, f->lowest - f->mantissa);
    return sign * ldexp(fraction + (1 << f->mantissa), f->lowest - f->mantissa + exponent - 1);
}

/* The bits of a finite or infinite x, ties to even, by division and nearbyint. */
static uint16_t rounded(const struct format *f, float x)
{
    double a = fabs((double)x);
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    uint16_t infinity = (uint16_t)((f->highest - f->lowest + 2) << f->mantissa);
    int exponent;
    if (a > 1e39)
        return sign | infinity;
    frexp(a, &exponent);
    exponent = a == 0 || exponent - 1 < f->lowest ? f->lowest : exponent - 1;
    double units = nearbyint(ldexp(a, f->mantissa - exponent)); /* up to 2^(mantissa + 1) */
    double bits = units + ldexp(exponent - f->lowest, f->mantissa);
    return sign | (bits > infinity ? infinity : (uint16_t)bits);
}

static int same_float(float a, double b)
{
    return b != b ? a != a : (double)a == b && !signbit(a) == !signbit(b);
}

/* Every value decodes according to the formula and encodes back to itself; NaNs stay NaNs. */
static void test_half_values(const struct format *f)
{
    int wrong = 0;
    for (int h = 0; h < 65536; h++) {
        float x = f->decode((uint16_t)h);
        wrong += !same_float(x, value_of(f, (uint16_t)h));
        uint16_t back = f->encode(x);
        if (x == x)
            wrong += back != h;
        else
            wrong += (back & 0x8000) != (h & 0x8000) || value_of(f, back) == value_of(f, back) ||
                     !(back >> (f->mantissa - 1) & 1); /* quiet */
    }
    CHECK_EQ(wrong, 0);
}

/* The midpoint of each pair of neighbours, and the adjacent f32 numbers. */
static void test_half_ties(const struct format *f)
{
    int wrong = 0;
    for (int h = 0; h < 65536; h++) {
        if ((h & 0x7fff) >= rounded(f, HUGE_VALF) - 1)
            continue;
        float a = f->decode((uint16_t)h), b = f->decode((uint16_t)(h + 1));
        float middle = (float)(((double)a + (double)b) / 2);
        float near[3] = {middle, nextafterf(middle, a), nextafterf(middle, b)};
        for (int i = 0; i < 3; i++)
            wrong += f->encode(near[i]) != rounded(f, near[i]);
        wrong += f->encode(near[0]) != (h & 1 ? h + 1 : h);
        wrong += f->encode(near[1]) != h || f->encode(near[2]) != h + 1;
    }
    CHECK_EQ(wrong, 0);
}

static void test_half_random(const struct format *f)
{
    struct random r = {42};
    int wrong = 0, count = test_long() ? 100000000 : 2000000;
    for (int i = 0; i < count; i++) {
        uint32_t u = (uint32_t)random_bits(&r);
        if (i & 1) /* around the range of f16 */
            u = (u & 0x807fffff) | (uint32_t)(96 + u % 52) << 23;
        float x = ptqi_from_bits(u);
        uint16_t h = f->encode(x);
        wrong += x == x ? h != rounded(f, x) : value_of(f, h) == value_of(f, h);
    }
    CHECK_EQ(wrong, 0);
}

static void test_half_rows(void)
{
    static const int32_t dtypes[] = {PTQ_DTYPE_F32, PTQ_DTYPE_F16, PTQ_DTYPE_BF16};
    float in[37], out[37];
    uint16_t halves[2 * 37];
    struct random r = {1};
    for (int i = 0; i < 37; i++)
        in[i] = random_normal(&r);
    for (int d = 0; d < 3; d++) {
        int wrong = 0;
        ptqi_from_f32(halves, dtypes[d], in, 37);
        ptqi_to_f32(out, halves, dtypes[d], 37);
        for (int i = 0; i < 37; i++) {
            float want = d ? formats[d - 1].decode(formats[d - 1].encode(in[i])) : in[i];
            wrong += out[i] != want || ptqi_round_to(in[i], dtypes[d]) != want;
        }
        CHECK_EQ(wrong, 0);
        CHECK(ptqi_is_float(dtypes[d]));
    }
    CHECK(!ptqi_is_float(PTQ_DTYPE_I8) && !ptqi_is_float(PTQ_DTYPE_I32) && !ptqi_is_float(0));
}

static void test_allocator(void)
{
    int64_t product;
    ptq_context *context = test_context();
    CHECK(ptqi_multiply(1 << 20, 1 << 20, &product) && product == (int64_t)1 << 40);
    CHECK(ptqi_multiply(INT64_MAX, 1, &product) && product == INT64_MAX);
    CHECK(ptqi_multiply(INT64_MAX, 0, &product) && product == 0);
    CHECK(!ptqi_multiply(INT64_MAX / 2 + 1, 2, &product));
    CHECK(!ptqi_multiply((int64_t)1 << 32, (int64_t)1 << 31, &product));
    CHECK(ptqi_alloc(context, INT64_MAX / 2, 4) == NULL);
    CHECK(ptqi_alloc(context, INT64_MAX, 1) == NULL);
    CHECK(ptqi_alloc(context, -1, 1) == NULL);
    void *nothing = ptqi_alloc(context, 0, 4);
    CHECK(nothing != NULL && (uintptr_t)nothing % 64 == 0);
    ptqi_free(context, nothing);
    ptqi_free(context, NULL);
    CHECK_STATUS(ptq_context_create(NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_context_create_with_allocator(NULL, NULL, NULL, &context), PTQ_ERROR_ARGUMENT);
    CHECK(context == NULL);
    for (int64_t n = 1;; n++) { /* out of memory while a context is created */
        context = test_failing_context(n);
        int made = context != NULL;
        test_free_failing(context);
        if (made)
            break;
        CHECK(n < 10);
    }
}

static void test_tensor(void)
{
    ptq_context *context = test_context();
    ptq_tensor *t;
    static const int64_t shape[] = {3, 0, 5}, huge[] = {(int64_t)1 << 40, (int64_t)1 << 40},
                         negative[] = {2, -1};
    float data[4] = {1, 2, 3, 4}, out[4];
    CHECK_OK(ptq_tensor_create(context, PTQ_DTYPE_F32, 3, shape, &t));
    CHECK(ptq_tensor_elements(t) == 0 && ptq_tensor_bytes(t) == 0 && ptq_tensor_size(t, 2) == 5 &&
          ptq_tensor_size(t, 3) == 1 && ptq_tensor_size(t, -1) == 1 && ptq_tensor_rank(t) == 3);
    CHECK(!strcmp(ptq_tensor_name(t), ""));
    CHECK_OK(ptq_tensor_set_name(t, "first"));
    CHECK_OK(ptq_tensor_set_name(t, "second"));
    CHECK(!strcmp(ptq_tensor_name(t), "second"));
    ptq_tensor_free(t);
    ptq_tensor_free(NULL);
    CHECK_STATUS(ptq_tensor_create(context, PTQ_DTYPE_F32, 2, huge, &t), PTQ_ERROR_SHAPE);
    CHECK(t == NULL);
    CHECK_STATUS(ptq_tensor_create(context, PTQ_DTYPE_F32, 2, negative, &t), PTQ_ERROR_SHAPE);
    CHECK_STATUS(ptq_tensor_create(context, 99, 1, shape, &t), PTQ_ERROR_DTYPE);
    CHECK_STATUS(ptq_tensor_create(context, PTQ_DTYPE_F32, 9, shape, &t), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_tensor_create(context, PTQ_DTYPE_F32, 1, NULL, &t), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_tensor_borrow(context, PTQ_DTYPE_F32, 1, shape, (char *)data + 1, &t),
                 PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_tensor_borrow(context, PTQ_DTYPE_F32, 1, shape, NULL, &t), PTQ_ERROR_ARGUMENT);
    CHECK_OK(ptq_tensor_borrow(context, PTQ_DTYPE_F32, 1, shape, data, &t));
    CHECK(ptq_tensor_data(t) == data);
    CHECK_OK(ptq_tensor_to_f32(t, out));
    CHECK(!memcmp(out, data, 12));
    ptq_tensor_free(t);
    CHECK_OK(ptq_tensor_borrow(context, PTQ_DTYPE_I32, 1, shape, data, &t));
    CHECK_STATUS(ptq_tensor_to_f32(t, out), PTQ_ERROR_DTYPE);
    ptq_tensor_free(t);
    for (int32_t d = PTQ_DTYPE_F32; d <= PTQ_DTYPE_I32; d++)
        CHECK(ptq_dtype_size(d) > 0 && ptq_dtype_name(d) != NULL);
    CHECK(ptq_dtype_size(0) == 0 && ptq_dtype_name(7) == NULL && ptq_dtype_size(-1) == 0);
}

enum { STRIDED_N = 5, STRIDED_K = 64, STRIDED_LD = 100 };

/* A matrix within a larger one, quantized, and dense, gives the same. */
static void check_strided(int32_t dtype, const void *wide, const float *want)
{
    ptq_context *context = test_context();
    const int64_t shape[2] = {STRIDED_N, STRIDED_K};
    float out[STRIDED_N * STRIDED_K];
    uint8_t codes[2][STRIDED_N * STRIDED_K];
    ptq_tensor *t[2];
    ptq_config *config;
    CHECK_OK(ptq_tensor_borrow_rows(context, dtype, STRIDED_N, STRIDED_K, STRIDED_LD, wide, &t[0]));
    CHECK_OK(ptq_tensor_borrow(context, PTQ_DTYPE_F32, 2, shape, want, &t[1]));
    CHECK(ptq_tensor_row_stride(t[0]) == STRIDED_LD && ptq_tensor_row_stride(t[1]) == STRIDED_K);
    CHECK(ptq_tensor_elements(t[0]) == STRIDED_N * STRIDED_K && ptq_tensor_data(t[0]) == wide);
    CHECK_OK(ptq_tensor_to_f32(t[0], out));
    CHECK(!memcmp(out, want, sizeof out));
    CHECK_OK(ptq_config_create(context, PTQ_METHOD_RTN, &config));
    for (int i = 0; i < 2; i++) {
        const ptq_tensor *list[1] = {t[i]};
        ptq_qtensor *q;
        CHECK_OK(ptq_quantize(config, list, 1, NULL, NULL, &q));
        CHECK_OK(ptq_qtensor_codes(q, codes[i]));
        ptq_qtensor_free(q);
    }
    CHECK(!memcmp(codes[0], codes[1], sizeof codes[0]));
    ptq_store *store;
    CHECK_OK(ptq_store_create(context, test_scratch("strided.safetensors"), &store));
    CHECK_STATUS(ptq_store_add(store, "a", t[0]), PTQ_ERROR_UNSUPPORTED);
    CHECK_OK(ptq_store_add(store, "a", t[1]));
    ptq_store_free(store);
    ptq_config_free(config);
    ptq_tensor_free(t[0]);
    ptq_tensor_free(t[1]);
}

static void test_strided(void)
{
    ptq_context *context = test_context();
    static float wide[STRIDED_N * STRIDED_LD], dense[STRIDED_N * STRIDED_K];
    static uint16_t halves[STRIDED_N * STRIDED_LD];
    ptq_tensor *t;
    for (int i = 0; i < STRIDED_N * STRIDED_LD; i++) {
        const int row = i / STRIDED_LD, column = i % STRIDED_LD;
        wide[i] = column < STRIDED_K ? (float)(i % 23 - 11) : NAN;
        halves[i] = ptqi_f32_to_f16(wide[i]);
        if (column < STRIDED_K)
            dense[row * STRIDED_K + column] = wide[i];
    }
    check_strided(PTQ_DTYPE_F32, wide, dense);
    check_strided(PTQ_DTYPE_F16, halves, dense);
    CHECK_STATUS(ptq_tensor_borrow_rows(context, PTQ_DTYPE_F32, 2, 8, 7, wide, &t),
                 PTQ_ERROR_ARGUMENT);
    CHECK(t == NULL);
    CHECK_STATUS(ptq_tensor_borrow_rows(context, PTQ_DTYPE_F32, 3, 8, INT64_MAX / 8, wide, &t),
                 PTQ_ERROR_SHAPE);
    CHECK_STATUS(ptq_tensor_borrow_rows(context, PTQ_DTYPE_F32, 2, 8, 8, NULL, &t),
                 PTQ_ERROR_ARGUMENT);
    CHECK_OK(ptq_tensor_borrow_rows(context, PTQ_DTYPE_F32, 0, 8, 8, NULL, &t));
    ptq_tensor_free(t);
    CHECK_OK(ptq_tensor_borrow_rows(context, PTQ_DTYPE_U8, 2, 0, INT64_MAX, NULL, &t));
    ptq_tensor_free(t);
}

/* The hash table, with items of equal hashes, and with hashes of numbers, which are never equal. */
static void test_table(void)
{
    enum { ITEMS = 5000 };
    struct ptqi_table t, other;
    const struct ptqi_slot *slot;
    int wrong = 0;
    ptqi_table_begin(&t, test_context());
    ptqi_table_begin(&other, test_context());
    CHECK(ptqi_table_hash(&t, "a", 1) != ptqi_table_hash(&other, "a", 1)); /* seeds differ */
    CHECK(ptqi_table_hash(&t, "a", 1) != ptqi_table_hash(&t, "a\0", 2));
    CHECK(!ptqi_table_next(&t, 5, &(int64_t){-1}));
    for (int64_t i = 0; i < ITEMS; i++) {
        CHECK_OK(ptqi_table_reserve(&t, i + 1));
        ptqi_table_add(&t, i % 10 ? ptqi_table_hash_number(&t, (uint64_t)i) : 0, i);
    }
    for (int64_t i = 0; i < ITEMS; i++) {
        int64_t at = -1;
        slot = ptqi_table_next(&t, ptqi_table_hash_number(&t, (uint64_t)i), &at);
        wrong += i % 10 ? !slot || slot->item != i : slot != NULL;
    }
    int64_t at = -1, equal = 0;
    while ((slot = ptqi_table_next(&t, 0, &at))) {
        wrong += slot->item % 10 != 0;
        equal++;
    }
    CHECK(wrong == 0 && equal == ITEMS / 10 && t.count == ITEMS && t.capacity >= ITEMS * 3 / 2);
    ptqi_table_end(&t);
    ptqi_table_end(&other);
}

void test_base(void)
{
    test_table();
    test_statuses();
    test_message_text();
    test_message_threads();
    for (int i = 0; i < 2; i++) {
        test_half_values(&formats[i]);
        test_half_ties(&formats[i]);
        test_half_random(&formats[i]);
    }
    test_half_rows();
    test_allocator();
    test_tensor();
    test_strided();
}
