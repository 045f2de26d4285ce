/*
 * GGUF files as stores: every type of block against what gguf-py makes of it (make_gguf.py), every
 * type of metadata, truncated and corrupted files, and headers with one thing wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"

void test_gguf(void);

static ptq_store *open_blocks(void)
{
    ptq_store *s = NULL;
    CHECK_OK(ptq_store_open(test_context(), test_data("blocks.gguf"), &s));
    return s;
}

static void check_type(const ptq_store *s, const char *name)
{
    enum { ROWS = 2, COLUMNS = 512 };
    static float out[ROWS * COLUMNS];
    char wanted[40];
    ptq_qtensor *q = NULL;
    ptq_tensor *t = NULL;
    int differing = 0;
    snprintf(wanted, sizeof wanted, "%s.wanted", name);
    CHECK_EQ(ptq_format_find(s, name), PTQ_FORMAT_GGUF);
    if (CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_GGUF, s, name, &q)) &&
        CHECK_OK(ptq_store_tensor(s, wanted, &t))) {
        const float *values = ptq_tensor_data(t);
        CHECK_EQ(ptq_qtensor_n(q), ROWS);
        CHECK_EQ(ptq_qtensor_k(q), COLUMNS);
        CHECK_OK(ptq_qtensor_dequantize(q, out));
        for (int i = 0; i < ROWS * COLUMNS; i++)
            differing += !(out[i] == values[i]); /* -0 is 0 */
        if (!CHECK_EQ(differing, 0))
            printf("    %s\n", name);
    }
    ptq_tensor_free(t);
    ptq_qtensor_free(q);
}

static void test_types(void)
{
    static const char *const names[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1",   "Q8_0",
                                        "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"};
    char text[200];
    ptq_store *s = open_blocks();
    ptq_qtensor *q = NULL;
    if (!s)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_type(s, names[i]);
    CHECK_STATUS(ptq_qtensor_read(test_context(), PTQ_FORMAT_GGUF, s, "Q2_K", &q),
                 PTQ_ERROR_UNSUPPORTED);
    ptq_last_message(text, (int64_t)sizeof text);
    CHECK(strstr(text, "Q2_K.weight: type Q2_K of GGUF is not supported") != NULL);
    CHECK_STATUS(ptq_qtensor_read(test_context(), PTQ_FORMAT_GGUF, s, "MXFP4", &q),
                 PTQ_ERROR_UNSUPPORTED);
    CHECK_EQ(ptq_format_find(s, "Q4_0.wanted"), 0);
    ptq_store_free(s);
}

static void test_metadata(void)
{
    static const char *const wanted[][3] = {
        {"general.architecture", "str", "test"},
        {"t.u8", "u8", "255"},
        {"t.i8", "i8", "-128"},
        {"t.u16", "u16", "65535"},
        {"t.i16", "i16", "-32768"},
        {"t.u32", "u32", "4294967295"},
        {"t.i32", "i32", "-2147483648"},
        {"t.f32", "f32", "9.99999975e-06"},
        {"t.bool", "bool", "true"},
        {"t.str", "str", "a \"text\" \xc3\xa9\n"},
        {"t.u64", "u64", "9007199254740993"},
        {"t.i64", "i64", "-9223372036854775808"},
        {"t.f64", "f64", "0.10000000000000001"},
        {"t.words", "arr[str]",
         "[\"a\", \"b\\\"c\", \"\xc4\xa0"
         "d\"]"},
        {"t.numbers", "arr[i32]", "[1, -2, 3]"},
        {"t.reals", "arr[f32]", "[0.5, 9.99999975e-06]"},
        {"t.flags", "arr[bool]", "[true, false]"},
    };
    ptq_store *s = open_blocks();
    if (!s)
        return;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *type = ptq_store_metadata_type(s, wanted[i][0]);
        const char *value = ptq_store_metadata(s, wanted[i][0]);
        if (!CHECK(type && !strcmp(type, wanted[i][1])) ||
            !CHECK(value && !strcmp(value, wanted[i][2])))
            printf("    %s: %s %s\n", wanted[i][0], type, value);
    }
    CHECK(!ptq_store_metadata_type(s, "t.none"));
    const int64_t half = ptq_store_find(s, "half");
    CHECK_EQ(ptq_store_rank(s, half), 3);
    CHECK_EQ(ptq_store_size(s, half, 1), 2);
    CHECK_EQ(ptq_store_size(s, half, 2), 3);
    CHECK_EQ(ptq_store_dtype_value(s, half), PTQ_DTYPE_F16);
    CHECK_EQ(ptq_store_dtype_value(s, ptq_store_find(s, "Q4_K.weight")), 0);
    CHECK(!strcmp(ptq_store_dtype(s, ptq_store_find(s, "Q4_K.weight")), "Q4_K"));
    CHECK_EQ(ptq_store_bytes(s, ptq_store_find(s, "Q4_K.weight")), 2 * 2 * 144);
    ptq_store_free(s);
}

/* Opens a file in memory and reads all of it. */
static ptq_status touch(const uint8_t *bytes, int64_t size)
{
    ptq_store *s;
    ptq_qtensor *q;
    volatile uint8_t sum = 0;
    const ptq_status status = ptq_store_open_memory(test_context(), bytes, size, &s);
    for (int64_t i = 0; !status && i < ptq_store_count(s); i++) {
        const uint8_t *data = ptq_store_data(s, i);
        char name[256];
        for (int64_t j = 0; j < ptq_store_bytes(s, i); j++)
            sum = (uint8_t)(sum + data[j]);
        snprintf(name, sizeof name, "%s", ptq_store_name(s, i));
        if (strrchr(name, '.'))
            *strrchr(name, '.') = 0;
        if (!ptq_qtensor_read(test_context(), PTQ_FORMAT_GGUF, s, name, &q))
            ptq_qtensor_free(q);
    }
    if (!status)
        ptq_store_free(s);
    return status;
}

/* The bytes of the recorded file; *header: up to its data. */
static uint8_t *read_blocks(int64_t *size, int64_t *header)
{
    FILE *f = fopen(test_data("blocks.gguf"), "rb");
    uint8_t *bytes = malloc(1 << 20);
    ptq_store *s = open_blocks();
    *size = f && bytes ? (int64_t)fread(bytes, 1, 1 << 20, f) : 0;
    int64_t data = 0;
    for (int64_t i = 0; s && i < ptq_store_count(s); i++)
        data += (ptq_store_bytes(s, i) + 31) / 32 * 32;
    *header = *size - data;
    ptq_store_free(s);
    if (f)
        fclose(f);
    return bytes;
}

static void test_corrupted(void)
{
    static const uint8_t flips[] = {1, 0x80, 0xff};
    int64_t size, header, opened = 0;
    uint8_t *bytes = read_blocks(&size, &header);
    if (!CHECK(header > 1000 && header < size))
        return;
    CHECK_OK(touch(bytes, size));
    for (int64_t i = 0; i < header; i++) {
        uint8_t *part = malloc((size_t)i + 1); /* so that reads beyond it are seen by sanitizers */
        memcpy(part, bytes, (size_t)i);
        opened += !touch(part, i);
        free(part);
    }
    CHECK_EQ(opened, 0);
    CHECK_STATUS(touch(bytes, size - 32), PTQ_ERROR_FORMAT);
    for (int64_t i = 0; i < header; i++)
        for (size_t j = 0; j < sizeof flips; j++) {
            bytes[i] ^= flips[j];
            (void)touch(bytes, size);
            bytes[i] ^= flips[j];
        }
    CHECK_OK(touch(bytes, size));
    free(bytes);
}

/* A file made of a header, written piece by piece, and 64 bytes of data. */
struct file {
    uint8_t bytes[2048];
    int64_t size;
};

static void put(struct file *f, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        f->bytes[f->size++] = (uint8_t)(value >> 8 * i);
}

static void put_string(struct file *f, const char *text, int64_t length)
{
    put(f, (uint64_t)length, 8);
    memcpy(f->bytes + f->size, text, (size_t)length);
    f->size += length;
}

static void begin(struct file *f, uint32_t version, uint64_t tensors, uint64_t pairs)
{
    f->size = 0;
    put(f, 0x46554747, 4);
    put(f, version, 4);
    put(f, tensors, 8);
    put(f, pairs, 8);
}

/* A vector of 32 values. */
static void put_tensor(struct file *f, const char *name, uint32_t type, uint64_t offset)
{
    put_string(f, name, (int64_t)strlen(name));
    put(f, 1, 4);
    put(f, 32, 8);
    put(f, type, 4);
    put(f, offset, 8);
}

static ptq_status finish(struct file *f)
{
    while (f->size % 32)
        f->bytes[f->size++] = 0;
    memset(f->bytes + f->size, 0, 64);
    return touch(f->bytes, f->size + 64);
}

static void check_message(struct file *f, ptq_status wanted, const char *words)
{
    char text[400];
    CHECK_STATUS(finish(f), wanted);
    ptq_last_message(text, (int64_t)sizeof text);
    if (!CHECK(strstr(text, words) != NULL))
        printf("    \"%s\" lacks \"%s\"\n", text, words);
}

/* A file with one pair of a type; the value follows. */
static void begin_pair(struct file *f, uint32_t type)
{
    begin(f, 3, 0, 1);
    put_string(f, "key", 3);
    put(f, type, 4);
}

static void test_wrong_pairs(void)
{
    struct file f;
    begin_pair(&f, 13);
    check_message(&f, PTQ_ERROR_FORMAT, "unknown type");
    begin_pair(&f, 9); /* an array of arrays */
    put(&f, 9, 4);
    put(&f, 0, 8);
    check_message(&f, PTQ_ERROR_FORMAT, "of arrays");
    begin_pair(&f, 9); /* longer than the file */
    put(&f, 4, 4);
    put(&f, UINT64_MAX, 8);
    check_message(&f, PTQ_ERROR_FORMAT, "too early");
    begin_pair(&f, 8);
    put(&f, UINT64_MAX, 8);
    check_message(&f, PTQ_ERROR_FORMAT, "too early");
    begin_pair(&f, 8);
    put_string(&f, "a\0b", 3);
    check_message(&f, PTQ_ERROR_FORMAT, "zero byte");
    begin_pair(&f, 8);
    put_string(&f, "\xff", 1);
    check_message(&f, PTQ_ERROR_FORMAT, "UTF-8");
    begin_pair(&f, 7);
    put(&f, 2, 1);
    check_message(&f, PTQ_ERROR_FORMAT, "neither 0 nor 1");
    begin_pair(&f, 6);
    put(&f, 0x7fc00000, 4);
    check_message(&f, PTQ_ERROR_FORMAT, "not finite");
    begin_pair(&f, 10);
    put(&f, UINT64_MAX, 8);
    check_message(&f, PTQ_ERROR_FORMAT, "too large");
    begin(&f, 3, 0, 2);
    for (int i = 0; i < 2; i++) {
        put_string(&f, "key", 3);
        put(&f, 0, 4);
        put(&f, 7, 1);
    }
    check_message(&f, PTQ_ERROR_FORMAT, "twice");
}

static void check_alignment(uint32_t alignment, uint64_t offset, ptq_status wanted,
                            const char *words)
{
    struct file f;
    begin(&f, 3, 1, 1);
    put_string(&f, "general.alignment", 17);
    put(&f, 4, 4);
    put(&f, alignment, 4);
    put_tensor(&f, "a", 24, offset);
    if (wanted)
        check_message(&f, wanted, words);
    else
        CHECK_OK(finish(&f));
}

static void test_wrong_tensors(void)
{
    struct file f;
    begin(&f, 3, 1, 0);
    put_tensor(&f, "a", 99, 0);
    check_message(&f, PTQ_ERROR_UNSUPPORTED, "type 99 of GGUF is not known");
    begin(&f, 3, 1, 0);
    put_tensor(&f, "a", 12, 0); /* Q4_K has blocks of 256 */
    check_message(&f, PTQ_ERROR_FORMAT, "whole blocks");
    begin(&f, 3, 1, 0);
    put_tensor(&f, "a", 24, 8);
    check_message(&f, PTQ_ERROR_FORMAT, "not aligned");
    begin(&f, 3, 1, 0);
    put_tensor(&f, "a", 24, 64);
    check_message(&f, PTQ_ERROR_FORMAT, "outside");
    begin(&f, 3, 1, 0);
    put_tensor(&f, "a", 24, UINT64_MAX - 31);
    check_message(&f, PTQ_ERROR_FORMAT, "outside");
    begin(&f, 3, 2, 0);
    put_tensor(&f, "a", 25, 0);
    put_tensor(&f, "b", 24, 32);
    check_message(&f, PTQ_ERROR_FORMAT, "overlap");
    begin(&f, 3, 2, 0);
    put_tensor(&f, "a", 24, 0);
    put_tensor(&f, "a", 24, 32);
    check_message(&f, PTQ_ERROR_FORMAT, "named \"a\"");
    begin(&f, 3, UINT64_MAX, 0);
    check_message(&f, PTQ_ERROR_FORMAT, "too early");
    begin(&f, 3, 1, 0);
    put_string(&f, "a", 1);
    put(&f, 9, 4);
    check_message(&f, PTQ_ERROR_FORMAT, "axes");
    begin(&f, 3, 1, 0);
    put_string(&f, "a", 1);
    put(&f, 2, 4);
    put(&f, 1ull << 40, 8);
    put(&f, 1ull << 40, 8);
    put(&f, 0, 4);
    put(&f, 0, 8);
    check_message(&f, PTQ_ERROR_FORMAT, "too large");
}

static void test_versions(void)
{
    struct file f;
    for (uint32_t version = 2; version <= 3; version++) {
        begin(&f, version, 1, 0);
        put_tensor(&f, "a", 24, 32);
        CHECK_OK(finish(&f));
    }
    begin(&f, 1, 0, 0);
    check_message(&f, PTQ_ERROR_UNSUPPORTED, "versions 2 and 3");
    begin(&f, 3u << 24, 0, 0);
    check_message(&f, PTQ_ERROR_UNSUPPORTED, "big-endian");
    check_alignment(64, 0, PTQ_OK, "");
    check_alignment(8, 8, PTQ_OK, "");
    check_alignment(64, 32, PTQ_ERROR_FORMAT, "not aligned");
    check_alignment(0, 0, PTQ_ERROR_FORMAT, "power of two");
    check_alignment(24, 0, PTQ_ERROR_FORMAT, "power of two");
}

static void test_allocations(void)
{
    int failed = 0;
    for (int64_t i = 1; i < 2000; i++) {
        ptq_context *context = test_failing_context(i);
        ptq_store *s = NULL;
        ptq_qtensor *q = NULL;
        ptq_status status =
            context ? ptq_store_open(context, test_data("blocks.gguf"), &s) : PTQ_ERROR_MEMORY;
        if (!status)
            status = ptq_qtensor_read(context, PTQ_FORMAT_GGUF, s, "Q5_K", &q);
        failed += status == PTQ_ERROR_MEMORY;
        ptq_qtensor_free(q);
        ptq_store_free(s);
        test_free_failing(context);
        if (!status)
            break;
        CHECK_EQ(status, PTQ_ERROR_MEMORY);
    }
    CHECK(failed > 50);
}

/* All metadata and tensors of a file, copied to another one. */
static ptq_status copy_all(ptq_context *context, const char *from, const char *to)
{
    ptq_store *source = NULL, *copy = NULL;
    const char *key;
    ptq_status status = ptq_store_open(context, from, &source);
    if (!status)
        status = ptq_store_create(context, to, &copy);
    for (int64_t i = 0; !status && (key = ptq_store_metadata_key(source, i)); i++)
        status = ptq_store_set_typed_metadata(copy, key, ptq_store_metadata_type(source, key),
                                              ptq_store_metadata(source, key));
    for (int64_t i = 0; !status && i < ptq_store_count(source); i++)
        status = ptq_store_copy(copy, source, ptq_store_name(source, i));
    ptq_store_free(source);
    if (!status)
        status = ptq_store_commit(copy);
    ptq_store_free(copy);
    return status;
}

static int same_files(const char *a, const char *b)
{
    FILE *one = fopen(a, "rb"), *other = fopen(b, "rb");
    int x = 0, y = 1;
    if (one && other)
        do {
            x = getc(one);
            y = getc(other);
        } while (x == y && x != EOF);
    if (one)
        fclose(one);
    if (other)
        fclose(other);
    return x == y;
}

static void check_copy(const char *path)
{
    char from[600], to[600];
    snprintf(from, sizeof from, "%s", path);
    snprintf(to, sizeof to, "%s", test_scratch("copy.gguf"));
    CHECK_OK(copy_all(test_context(), from, to));
    CHECK(same_files(from, to));
}

static void test_copies(void)
{
    static const char *const shared[] = {"checkpoints/gguf-llama-tiny/llama-tiny-Q4_1.gguf",
                                         "checkpoints/gguf-llama-5m/llama-5m-Q4_K_M.gguf"};
    check_copy(test_data("blocks.gguf"));
    check_copy(test_data("sentencepiece.gguf"));
    for (int i = 0; i < 2; i++) {
        if (shared_data(shared[i]))
            check_copy(shared_data(shared[i]));
        else
            test_skip("no ../shared/checkpoints with GGUF files");
    }
    CHECK_STATUS(
        copy_all(test_context(), test_data("blocks.gguf"), test_scratch("copy.safetensors")),
        PTQ_ERROR_UNSUPPORTED);
    for (int64_t n = 1, done = 0; !done && CHECK(n < 2000); n++) {
        char to[600];
        snprintf(to, sizeof to, "%s", test_scratch("copy.gguf"));
        ptq_context *context = test_failing_context(n);
        const ptq_status status =
            context ? copy_all(context, test_data("blocks.gguf"), to) : PTQ_ERROR_MEMORY;
        test_free_failing(context);
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        done = status == PTQ_OK;
    }
}

/* A value that its type cannot hold. */
static void check_refused_value(const char *type, const char *value)
{
    ptq_store *s;
    char text[400];
    if (!CHECK_OK(ptq_store_create(test_context(), test_scratch("refused.gguf"), &s)))
        return;
    CHECK_OK(ptq_store_set_typed_metadata(s, "key", type, value));
    CHECK_STATUS(ptq_store_commit(s), PTQ_ERROR_FORMAT);
    ptq_last_message(text, (int64_t)sizeof text);
    if (!CHECK(strstr(text, "key") != NULL))
        printf("    %s\n", text);
    ptq_store_free(s);
}

static void test_refused_writes(void)
{
    static const char *const values[][2] = {
        {"u8", "256"},        {"u8", "-1"},         {"i8", "128"},       {"i8", "-129"},
        {"u32", "1.5"},       {"u32", "true"},      {"bool", "1"},       {"f32", "\"1\""},
        {"arr[u8]", "7"},     {"arr[u8]", "[256]"}, {"arr[str]", "[1]"}, {"u64", "1e30"},
        {"arr[bool]", "[0]"}, {"i64", "{}"},
    };
    const int64_t shape[5] = {1, 1, 1, 1, 1};
    ptq_tensor *t;
    ptq_store *s;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        check_refused_value(values[i][0], values[i][1]);
    CHECK_OK(ptq_store_create(test_context(), test_scratch("refused.gguf"), &s));
    CHECK_STATUS(ptq_store_set_typed_metadata(s, "key", "u128", "1"), PTQ_ERROR_UNKNOWN);
    CHECK_STATUS(ptq_store_set_typed_metadata(s, "key", "arr", "[]"), PTQ_ERROR_UNKNOWN);
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F32, 5, shape, &t));
    *(float *)ptq_tensor_data(t) = 0;
    CHECK_OK(ptq_store_add(s, "five", t));
    CHECK_STATUS(ptq_store_commit(s), PTQ_ERROR_FORMAT);
    ptq_tensor_free(t);
    ptq_store_free(s);
    CHECK_OK(ptq_store_create(test_context(), test_scratch("refused.safetensors"), &s));
    CHECK_STATUS(ptq_store_set_typed_metadata(s, "key", "u8", "1"), PTQ_ERROR_UNSUPPORTED);
    ptq_store_free(s);
}

void test_gguf(void)
{
    test_types();
    test_metadata();
    test_corrupted();
    test_wrong_pairs();
    test_wrong_tensors();
    test_versions();
    test_allocations();
    test_copies();
    test_refused_writes();
}
