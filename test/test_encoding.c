/*
 * Codes, scales and zero points in the memory layouts of others. Values are placed bit by bit here,
 * without the library's code, and must come out of every function that reads a matrix.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/half.h"
#include "layer.h"
#include "test.h"

void test_encoding(void);

enum { N = 37, K = 176, GROUP = 32, GROUPS = (K + GROUP - 1) / GROUP, MOST_VALUES = 256 };

/* Where the values of a block are, and where the blocks. */
struct form {
    int32_t bits, axis, count, values;
    int32_t shifts[MOST_VALUES]; /* of the block */
    int64_t offset, stride_n, stride_k;
};

struct memory {
    uint8_t *data;
    int64_t bytes; /* ends with the last bit that a value has */
};

static int64_t address(const struct form *f, int64_t n, int64_t k, int32_t *value)
{
    const int along_k = f->axis == PTQ_ALONG_K;
    *value = (int32_t)((along_k ? k : n) % f->count);
    return f->offset + (along_k ? n : n / f->count) * f->stride_n +
           (along_k ? k / f->count : k) * f->stride_k;
}

static int64_t block_bytes(const struct form *f)
{
    int last = 0;
    for (int i = 0; i < f->count; i++)
        last = f->shifts[i] + f->bits > last ? f->shifts[i] + f->bits : last;
    return (last + 7) / 8;
}

/* What is stored for a code of `bits` bits. */
static int stored(const struct form *f, int32_t bits, int code)
{
    const int value = f->values == PTQ_VALUES_SIGNED     ? code - (1 << (bits - 1))
                      : f->values == PTQ_VALUES_LESS_ONE ? code - 1
                                                         : code;
    return value & ((1 << f->bits) - 1);
}

/* [n][k] codes of `bits` bits in the form, with noise in between. */
static struct memory encode(const struct form *f, int32_t bits, int64_t n, int64_t k,
                            const uint8_t *codes)
{
    struct memory m = {NULL, 0};
    struct random r = {3};
    int32_t v;
    const int64_t last = address(f, n - 1, k - 1, &v);
    m.bytes = last + block_bytes(f) - f->offset;
    uint8_t *data = malloc((size_t)(m.bytes + f->offset));
    for (int64_t i = 0; i < m.bytes + f->offset; i++)
        data[i] = (uint8_t)random_bits(&r);
    for (int64_t i = 0; i < n * k; i++) {
        const int64_t at = address(f, i / k, i % k, &v);
        const int value = stored(f, bits, codes[i]);
        for (int b = 0; b < f->bits; b++) {
            uint8_t *byte = &data[at + (f->shifts[v] + b) / 8];
            const int bit = 1 << (f->shifts[v] + b) % 8;
            *byte = (uint8_t)(value >> b & 1 ? *byte | bit : *byte & ~bit);
        }
    }
    m.data = data;
    return m;
}

static ptq_encoding *make_encoding(const struct form *f, int in_order)
{
    ptq_encoding *e;
    CHECK_OK(ptq_encoding_create(test_context(), f->bits, f->axis, f->count,
                                 in_order ? NULL : f->shifts, f->values, &e));
    return e;
}

struct matrix {
    int32_t bits;
    uint8_t codes[N * K];
    float scales[N * GROUPS];
};

static struct matrix make_matrix(int32_t bits, uint64_t seed)
{
    struct matrix m = {.bits = bits};
    struct random r = {seed};
    for (int i = 0; i < N * K; i++)
        m.codes[i] = (uint8_t)random_below(&r, 1 << bits);
    for (int i = 0; i < N * GROUPS; i++)
        m.scales[i] = ptqi_round_to(random_normal(&r), PTQ_DTYPE_F16);
    return m;
}

/* The matrix with its own codes, or none yet. */
static ptq_qtensor *make_qtensor(const struct matrix *m, int codes, int order, int32_t activations)
{
    ptq_qtensor *q;
    int32_t columns[K];
    for (int i = 0; i < K; i++)
        columns[i] = i * 45 % K;
    CHECK_OK(ptq_qtensor_create(test_context(), N, K, m->bits, GROUP, &q));
    CHECK_OK(ptq_qtensor_set_scales(q, m->scales));
    CHECK_OK(ptq_qtensor_set_activations(q, activations));
    if (codes)
        CHECK_OK(ptq_qtensor_set_codes(q, m->codes));
    if (order)
        CHECK_OK(ptq_qtensor_set_order(q, columns));
    return q;
}

/* Everything that reads a matrix finds the same in both. */
static void check_same(const ptq_qtensor *q, const ptq_qtensor *want)
{
    static float a[N * K], b[N * K];
    uint8_t codes[N * K], other[N * K];
    ptq_qtensor *parts[2];
    CHECK_OK(ptq_qtensor_codes(q, codes));
    CHECK_OK(ptq_qtensor_codes(want, other));
    CHECK(!memcmp(codes, other, sizeof codes));
    CHECK_OK(ptq_qtensor_dequantize(q, a));
    CHECK_OK(ptq_qtensor_dequantize(want, b));
    CHECK(!memcmp(a, b, sizeof a));
    CHECK_OK(ptq_qtensor_rows(q, 5, 9, &parts[0]));
    CHECK_OK(ptq_qtensor_codes(parts[0], codes));
    CHECK(!memcmp(codes, other + 5 * K, 9 * K));
    ptq_qtensor_free(parts[0]);
    if (ptq_qtensor_has_order(q))
        return;
    CHECK_OK(ptq_qtensor_columns(q, GROUP, 2 * GROUP, &parts[0]));
    CHECK_OK(ptq_qtensor_columns(want, GROUP, 2 * GROUP, &parts[1]));
    CHECK_OK(ptq_qtensor_dequantize(parts[0], a));
    CHECK_OK(ptq_qtensor_dequantize(parts[1], b));
    CHECK(!memcmp(a, b, (size_t)N * 2 * GROUP * sizeof *a));
    ptq_qtensor_free(parts[0]);
    ptq_qtensor_free(parts[1]);
}

static void check_file(const ptq_qtensor *q, const ptq_qtensor *want)
{
    const char *path = test_scratch("encoding.safetensors");
    ptq_store *store;
    ptq_qtensor *read;
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, "m"));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, "m", &read));
    ptq_store_free(store);
    check_same(read, want);
    ptq_qtensor_free(read);
    unlink(path);
}

/* Packed, they have the same bytes on every instruction set, also by several threads. */
static void check_packed(const ptq_qtensor *q, const ptq_qtensor *want)
{
    for (int32_t isa = PTQ_ISA_PORTABLE; isa < 32; isa++) {
        if (!ptq_isa_usable(isa))
            continue;
        ptq_context *context = make_context(2, isa);
        ptq_linear *a, *b;
        const int64_t bytes = ptq_linear_packed_bytes(context, q);
        char *memory = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
        char *other = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
        CHECK_OK(ptq_linear_create_in(context, q, memory, bytes, &a));
        CHECK_OK(ptq_linear_create_in(context, want, other, bytes, &b));
        CHECK(!memcmp(memory, other, (size_t)bytes));
        ptq_linear_free(a);
        ptq_linear_free(b);
        free(memory);
        free(other);
        ptq_context_free(context);
    }
}

static void check_form(const struct form *f, int32_t bits, int in_order)
{
    const struct matrix m = make_matrix(bits, 7);
    const struct memory memory = encode(f, bits, N, K, m.codes);
    ptq_encoding *e = make_encoding(f, in_order);
    for (int order = 0; order < 2; order++)
        for (int32_t activations = 0; activations < 2; activations++) {
            ptq_qtensor *want = make_qtensor(&m, 1, order, activations);
            ptq_qtensor *q = make_qtensor(&m, 0, order, activations);
            CHECK_STATUS(ptq_qtensor_borrow_codes(q, e, memory.data + f->offset, memory.bytes - 1,
                                                  f->stride_n, f->stride_k),
                         PTQ_ERROR_BOUNDS);
            CHECK_OK(ptq_qtensor_borrow_codes(q, e, memory.data + f->offset, memory.bytes,
                                              f->stride_n, f->stride_k));
            check_same(q, want);
            check_packed(q, want);
            check_file(q, want);
            ptq_qtensor_free(q);
            ptq_qtensor_free(want);
        }
    ptq_encoding_free(e);
    free(memory.data);
}

/* The table of ptq/encoding.h. */
static void test_formats(void)
{
    static const int32_t awq[8] = {0, 16, 4, 20, 8, 24, 12, 28};
    struct form bytes = {8, PTQ_ALONG_K, 1, 0, {0}, 0, K, 1};
    struct form q4_0 = {4, PTQ_ALONG_K, 32, 0, {0}, 2, (K + 31) / 32 * 18, 18};
    struct form q8_0 = {8, PTQ_ALONG_K, 32, PTQ_VALUES_SIGNED, {0}, 2, (K + 31) / 32 * 34, 34};
    struct form gptq = {4, PTQ_ALONG_K, 8, 0, {0}, 0, 4, 4 * N};
    struct form in_words = {4, PTQ_ALONG_N, 8, 0, {0}, 0, 4, (N + 7) / 8 * 4};
    struct form tensors = {4, PTQ_ALONG_K, 8, 0, {0}, 0, K / 2, 4};
    struct form stream = {3, PTQ_ALONG_K, 32, 0, {0}, 0, (K + 31) / 32 * 12, 12};
    for (int i = 0; i < 32; i++) {
        q4_0.shifts[i] = i < 16 ? 8 * i : 8 * (i - 16) + 4;
        q8_0.shifts[i] = 8 * i;
        stream.shifts[i] = 3 * i;
    }
    for (int i = 0; i < 8; i++) {
        gptq.shifts[i] = tensors.shifts[i] = 4 * i;
        in_words.shifts[i] = awq[i];
    }
    check_form(&bytes, 8, 1);
    check_form(&bytes, 4, 1); /* one code in each byte: all are checked */
    check_form(&q4_0, 4, 0);
    check_form(&q8_0, 8, 1);
    check_form(&q8_0, 4, 0); /* int8 that holds -8 .. 7 */
    check_form(&gptq, 4, 1);
    check_form(&in_words, 4, 0);
    check_form(&tensors, 4, 0);
    check_form(&stream, 3, 1);
}

/* Values anywhere in a block, also across bytes. */
static void test_random(void)
{
    static const int32_t bits[] = {2, 3, 4, 5, 6, 8};
    struct random r = {91};
    for (int round = 0; round < 40; round++) {
        struct form f = {.bits = bits[round % 6], .values = round / 6 % 2};
        f.axis = round % 2 ? PTQ_ALONG_K : PTQ_ALONG_N;
        f.count = (int32_t)(1 + random_below(&r, round % 3 ? 40 : 7));
        int at = (int)random_below(&r, 5);
        for (int i = 0; i < f.count; i++, at += f.bits + (int)random_below(&r, 2))
            f.shifts[i] = at;
        for (int i = f.count - 1; i > 0; i--) {
            const int64_t j = random_below(&r, i + 1);
            const int32_t shift = f.shifts[i];
            f.shifts[i] = f.shifts[j];
            f.shifts[j] = shift;
        }
        const int64_t block = block_bytes(&f) + random_below(&r, 3);
        const int64_t blocks_n = f.axis == PTQ_ALONG_K ? N : (N + f.count - 1) / f.count;
        const int64_t blocks_k = f.axis == PTQ_ALONG_K ? (K + f.count - 1) / f.count : K;
        f.stride_n = round / 2 % 2 ? block : block * blocks_k;
        f.stride_k = round / 2 % 2 ? block * blocks_n : block;
        f.offset = random_below(&r, 4);
        check_form(&f, f.bits, 0);
    }
}

/* Zero points of GPTQ's first format, along N; scales and minima in each dtype, [groups][N]. */
static void test_groups(void)
{
    const struct form f = {
        4, PTQ_ALONG_N,    8, PTQ_VALUES_LESS_ONE, {0, 4, 8, 12, 16, 20, 24, 28}, 0,
        4, (N + 7) / 8 * 4};
    struct matrix m = make_matrix(4, 5);
    uint8_t zeros[N * GROUPS], got[N * GROUPS];
    static char strided[GROUPS * N * 4 + 1];
    float scales[N * GROUPS];
    struct random r = {6};
    for (int i = 0; i < N * GROUPS; i++)
        zeros[i] = (uint8_t)(1 + random_below(&r, 16));
    ptq_qtensor *q = make_qtensor(&m, 1, 0, 0);
    ptq_encoding *e = make_encoding(&f, 0);
    const struct memory memory = encode(&f, 4, N, GROUPS, zeros);
    CHECK_OK(
        ptq_qtensor_set_encoded_zeros(q, e, memory.data, memory.bytes, f.stride_n, f.stride_k));
    CHECK_OK(ptq_qtensor_zeros(q, got));
    CHECK(!memcmp(got, zeros, sizeof zeros));
    CHECK_STATUS(
        ptq_qtensor_set_encoded_zeros(q, e, memory.data, memory.bytes - 1, f.stride_n, f.stride_k),
        PTQ_ERROR_BOUNDS);
    for (int32_t dtype = PTQ_DTYPE_F32; dtype <= PTQ_DTYPE_BF16; dtype++) {
        const int64_t size = ptq_dtype_size(dtype), bytes = GROUPS * N * size;
        for (int i = 0; i < N * GROUPS; i++) {
            m.scales[i] = ptqi_round_to(m.scales[i], dtype);
            uint32_t value;
            ptqi_from_f32(&value, dtype, &m.scales[i], 1);
            memcpy(strided + 1 + (i % GROUPS * N + i / GROUPS) * size, &value, (size_t)size);
        }
        CHECK_OK(ptq_qtensor_set_strided_scales(q, dtype, strided + 1, bytes, size, N * size));
        CHECK_OK(ptq_qtensor_scales(q, scales));
        CHECK(!memcmp(scales, m.scales, sizeof scales));
        CHECK_STATUS(
            ptq_qtensor_set_strided_scales(q, dtype, strided + 1, bytes - 1, size, N * size),
            PTQ_ERROR_BOUNDS);
    }
    CHECK_STATUS(ptq_qtensor_set_strided_scales(q, PTQ_DTYPE_I8, strided, N * GROUPS, 1, N),
                 PTQ_ERROR_DTYPE);
    CHECK_STATUS(ptq_qtensor_set_strided_minima(q, PTQ_DTYPE_F32, strided, sizeof strided, 4, 4),
                 PTQ_ERROR_CONFLICT);
    ptq_qtensor_free(q);
    q = make_qtensor(&m, 1, 0, 0);
    CHECK_OK(
        ptq_qtensor_set_strided_minima(q, PTQ_DTYPE_F32, m.scales, sizeof m.scales, GROUPS * 4, 4));
    CHECK_OK(ptq_qtensor_minima(q, scales));
    CHECK(!memcmp(scales, m.scales, sizeof scales));
    ptq_qtensor_free(q);
    ptq_encoding_free(e);
    free(memory.data);
}

static void test_errors(void)
{
    static const int32_t far[2] = {0, 4096}, below[2] = {-1, 0};
    static const uint8_t ff[N * GROUPS] = {255};
    const struct matrix m = make_matrix(4, 5);
    const int64_t huge = INT64_MAX / 2;
    ptq_context *c = test_context();
    ptq_qtensor *q = make_qtensor(&m, 0, 0, 0);
    ptq_encoding *e;
    uint8_t codes[N * K];
    CHECK_STATUS(ptq_encoding_create(c, 9, 1, 1, NULL, 0, &e), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_encoding_create(c, 4, 3, 1, NULL, 0, &e), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_encoding_create(c, 4, 1, 257, NULL, 0, &e), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_encoding_create(c, 4, 1, 2, far, 0, &e), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_encoding_create(c, 4, 1, 2, below, 0, &e), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_encoding_create(c, 4, 1, 2, NULL, 3, &e), PTQ_ERROR_ARGUMENT);
    CHECK(!e);
    CHECK_OK(ptq_encoding_create(c, 8, PTQ_ALONG_K, 1, NULL, PTQ_VALUES_LESS_ONE, &e));
    memcpy(codes, m.codes, sizeof codes);
    for (int i = 0; i < N * K; i++)
        codes[i] = (uint8_t)(codes[i] - 1);
    CHECK_OK(ptq_qtensor_borrow_codes(q, e, codes, sizeof codes, K, 1));
    codes[N * K - 1] = 15; /* 16 */
    CHECK_STATUS(ptq_qtensor_borrow_codes(q, e, codes, sizeof codes, K, 1), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_borrow_codes(q, e, codes, sizeof codes, -1, 1), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_borrow_codes(q, e, codes, sizeof codes, huge, 1), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_borrow_codes(q, e, codes, huge, 1, huge), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_borrow_codes(q, e, codes, -1, K, 1), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_set_encoded_zeros(q, e, ff, sizeof ff, GROUPS, 1), PTQ_ERROR_BOUNDS);
    ptq_encoding_free(e);
    ptq_encoding_free(NULL);
    ptq_qtensor_free(q);
}

void test_encoding(void)
{
    test_formats();
    test_random();
    test_groups();
    test_errors();
}
