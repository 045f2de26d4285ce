/*
 * A quantization config and a store, the parts of an input: each quantized matrix in it is run,
 * and written in every format that can hold it, from which it must be read as the same matrix.
 */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

enum { MOST_CONFIG = 4096, MOST_PREFIX = 500 };

/* The weights [n][k] of a matrix; the caller frees them. */
static float *weights_of(const ptq_qtensor *q)
{
    const int64_t n = ptq_qtensor_n(q), k = ptq_qtensor_k(q);
    fuzz_require(n > 0 && k > 0 && n <= FUZZ_MOST_ELEMENTS / k, "a matrix is as small as its file");
    float *weights = malloc((size_t)(n * k) * sizeof *weights);
    fuzz_require(weights && !ptq_qtensor_dequantize(q, weights), "weights can be dequantized");
    return weights;
}

/* Whether two numbers are equal; 0 and -0 are, and so are NaNs. */
static int same(float a, float b)
{
    return a == b || (a != a && b != b);
}

static void compare(const ptq_qtensor *a, const ptq_qtensor *b)
{
    const int64_t n = ptq_qtensor_n(a), k = ptq_qtensor_k(a);
    fuzz_require(n == ptq_qtensor_n(b) && k == ptq_qtensor_k(b), "a copy has the same shape");
    float *left = weights_of(a), *right = weights_of(b);
    for (int64_t i = 0; i < n * k; i++)
        fuzz_require(same(left[i], right[i]), "a copy has the same weights");
    free(left);
    free(right);
}

static void set_config(ptq_store *store, const char *config)
{
    if (*config)
        fuzz_require(!ptq_store_set_quantization(store, config), "a config of ours is accepted");
}

static void read_back(const ptq_qtensor *q, int32_t format, const char *path, const char *config)
{
    ptq_store *store;
    ptq_qtensor *again;
    fuzz_require(!ptq_store_open(fuzz_context(), path, &store), "a written store can be opened");
    set_config(store, config);
    fuzz_require(ptq_format_find(store, "m") == format, "a written matrix is found");
    fuzz_require(!ptq_qtensor_read(fuzz_context(), format, store, "m", &again),
                 "a written matrix can be read");
    compare(q, again);
    ptq_qtensor_free(again);
    ptq_store_free(store);
}

static void write_in(const ptq_qtensor *q, int32_t format)
{
    char config[MOST_CONFIG];
    ptq_store *store = NULL;
    const char *path = fuzz_path(format == PTQ_FORMAT_GGUF ? "matrix.gguf" : "matrix.safetensors");
    if (!fuzz_succeeded(ptq_format_can_hold(format, q)))
        return;
    fuzz_require(ptq_format_config(format, q, config, MOST_CONFIG) < MOST_CONFIG &&
                     !ptq_store_create(fuzz_context(), path, &store),
                 "a store can be begun");
    set_config(store, config);
    /* The config of compressed-tensors cannot say that columns have an order. */
    const int written = fuzz_succeeded(ptq_qtensor_write(q, format, store, "m"));
    fuzz_require(written || format == PTQ_FORMAT_COMPRESSED_TENSORS,
                 "what a format can hold is written");
    if (written)
        fuzz_require(!ptq_store_commit(store), "what was added is written");
    ptq_store_free(store);
    if (written)
        read_back(q, format, path, config);
}

static void run(const ptq_qtensor *q)
{
    ptq_linear *linear;
    if (!fuzz_succeeded(ptq_linear_create(fuzz_context(), q, &linear)))
        return;
    fuzz_run_linear(linear);
    ptq_linear_free(linear);
}

static void use(const ptq_store *store, const char *prefix)
{
    const int32_t format = ptq_format_find(store, prefix);
    ptq_qtensor *q;
    fuzz_require(format != 0, "an enumerated matrix has a format");
    if (!fuzz_succeeded(ptq_qtensor_read(fuzz_context(), format, store, prefix, &q)))
        return;
    free(weights_of(q));
    for (int32_t i = 0; ptq_format(i); i++)
        write_in(q, ptq_format(i));
    run(q);
    ptq_qtensor_free(q);
}

static void set_quantization(ptq_store *store, struct fuzz_part config)
{
    char text[MOST_CONFIG];
    if (config.size >= MOST_CONFIG)
        return;
    memcpy(text, config.bytes, (size_t)config.size);
    text[config.size] = 0;
    fuzz_succeeded(ptq_store_set_quantization(store, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_part parts[2];
    ptq_store *store;
    char prefix[MOST_PREFIX];
    fuzz_divide(bytes, size, parts, 2);
    if (!fuzz_succeeded(
            ptq_store_open_memory(fuzz_context(), parts[1].bytes, parts[1].size, &store)))
        return 0;
    set_quantization(store, parts[0]);
    for (int64_t i = 0; ptq_format_matrix(store, i, prefix, MOST_PREFIX); i++)
        use(store, prefix);
    ptq_store_free(store);
    return 0;
}
