/*
 * What a store holds: shapes and dtypes without reading, quantized matrices; stores in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"

void test_enumerate(void);

enum { N = 3, K = 40, MATRICES = 3 };

static const char *const prefixes[MATRICES] = {"z.proj", "a", "model.layers.0.q"};

static ptq_qtensor *make_matrix(void)
{
    static const uint8_t codes[N * K];
    static const float scales[N * 2] = {1, 1, 1, 1, 1, 1};
    ptq_qtensor *q;
    CHECK_OK(ptq_qtensor_create(test_context(), N, K, 4, 32, &q));
    CHECK_OK(ptq_qtensor_set_codes(q, codes));
    CHECK_OK(ptq_qtensor_set_scales(q, scales));
    return q;
}

/* Matrices between plain tensors, some of which look as if they were parts of one. */
static const char *write_file(void)
{
    const char *path = test_scratch("enumerate.safetensors");
    const int64_t shape[3] = {2, 1, 7};
    static char long_name[600];
    ptq_qtensor *q = make_matrix();
    ptq_tensor *plain;
    ptq_store *store;
    memset(long_name, 'p', 590);
    memcpy(long_name + 590, ".codes", 7);
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_BF16, 3, shape, &plain));
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_OK(ptq_store_add(store, "plain", plain));
    for (int i = 0; i < MATRICES; i++) {
        CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, prefixes[i]));
        CHECK_OK(ptq_store_add(store,
                               i == 0   ? "other.codes"
                               : i == 1 ? ".codes"
                                        : long_name,
                               plain));
    }
    CHECK_OK(ptq_store_set_metadata(store, "ghost", "{}")); /* settings without a matrix */
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    ptq_tensor_free(plain);
    ptq_qtensor_free(q);
    return path;
}

static void check_matrices(const ptq_store *store)
{
    char prefix[64];
    for (int i = 0; i < MATRICES; i++) {
        const int64_t length = (int64_t)strlen(prefixes[i]);
        ptq_qtensor *q;
        CHECK_EQ(ptq_format_matrix(store, i, NULL, 0), length);
        CHECK_EQ(ptq_format_matrix(store, i, prefix, (int64_t)sizeof prefix), length);
        CHECK(!strcmp(prefix, prefixes[i]));
        CHECK_EQ(ptq_format_find(store, prefix), PTQ_FORMAT_PTQ);
        CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, prefix, &q));
        CHECK(ptq_qtensor_n(q) == N && ptq_qtensor_k(q) == K);
        ptq_qtensor_free(q);
    }
    CHECK(ptq_format_matrix(store, MATRICES, prefix, 64) == 0 && !*prefix);
    CHECK(ptq_format_matrix(store, -1, NULL, 0) == 0 && ptq_format_matrix(NULL, 0, NULL, 0) == 0);
}

static void check_shapes(const ptq_store *store)
{
    const int64_t plain = ptq_store_find(store, "plain"), codes = ptq_store_find(store, "a.codes");
    CHECK(plain == 0 && !strcmp(ptq_store_name(store, codes), "a.codes"));
    CHECK(ptq_store_rank(store, plain) == 3 && ptq_store_size(store, plain, 0) == 2 &&
          ptq_store_size(store, plain, 1) == 1 && ptq_store_size(store, plain, 2) == 7 &&
          ptq_store_size(store, plain, 3) == 1 && ptq_store_size(store, plain, -1) == 1);
    CHECK_EQ(ptq_store_dtype_value(store, plain), PTQ_DTYPE_BF16);
    CHECK_EQ(ptq_store_dtype_value(store, codes), PTQ_DTYPE_U8);
    CHECK(ptq_store_rank(store, codes) == 2 && ptq_store_size(store, codes, 1) == K / 2);
    CHECK(ptq_store_find(store, "nothing") == -1 && ptq_store_size(store, -1, 0) == 0 &&
          ptq_store_rank(store, ptq_store_count(store)) == 0 &&
          ptq_store_dtype_value(store, -1) == 0);
}

/* The bytes of a file, `shift` bytes behind a multiple of 64. */
static uint8_t *read_file(const char *path, int shift, int64_t *bytes)
{
    FILE *in = fopen(path, "rb");
    uint8_t *data = aligned_alloc(64, 1 << 16);
    *bytes = in ? (int64_t)fread(data + shift, 1, 60000, in) : 0;
    CHECK(in && *bytes > 0 && *bytes < 60000 && !fclose(in));
    return data;
}

static void test_in_memory(const char *path, int shift)
{
    ptq_store *store, *other;
    ptq_tensor *tensor;
    int64_t bytes;
    uint8_t *data = read_file(path, shift, &bytes);
    CHECK_OK(ptq_store_open_memory(test_context(), data + shift, bytes, &store));
    CHECK_OK(ptq_store_open(test_context(), path, &other));
    CHECK_EQ(ptq_store_count(store), ptq_store_count(other));
    for (int64_t i = 0; i < ptq_store_count(store); i++)
        CHECK(!strcmp(ptq_store_name(store, i), ptq_store_name(other, i)) &&
              ptq_store_bytes(store, i) == ptq_store_bytes(other, i) &&
              !memcmp(ptq_store_data(store, i), ptq_store_data(other, i),
                      (size_t)ptq_store_bytes(store, i)));
    check_shapes(store);
    check_matrices(store);
    CHECK_OK(ptq_store_tensor(store, "plain", &tensor));
    ptq_store_free(store); /* the tensor keeps it */
    CHECK_EQ(ptq_tensor_bytes(tensor), 28);
    ptq_tensor_free(tensor);
    ptq_store_free(other);
    free(data);
}

/* Cut off anywhere, in memory of just that size. */
static void test_truncated(const char *path)
{
    int64_t bytes;
    uint8_t *data = read_file(path, 0, &bytes);
    for (int64_t n = 0; n < bytes; n++) {
        uint8_t *copy = malloc((size_t)n + 1);
        ptq_store *store = (void *)&bytes;
        memcpy(copy, data, (size_t)n);
        CHECK_STATUS(ptq_store_open_memory(test_context(), copy, n, &store),
                     n ? PTQ_ERROR_FORMAT : PTQ_ERROR_ARGUMENT);
        CHECK(store == NULL);
        free(copy);
    }
    free(data);
}

void test_enumerate(void)
{
    const char *path = write_file();
    ptq_store *store;
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    check_shapes(store);
    check_matrices(store);
    ptq_store_free(store);
    test_in_memory(path, 0);
    test_in_memory(path, 1);
    test_truncated(path);
}
