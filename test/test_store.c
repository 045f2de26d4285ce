/*
 * Stores: round trips, shards with their index, files with every field corrupted, files truncated
 * at every byte, unaligned data, writes that cannot finish, out of memory.
 */
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/store.h"

void test_store(void);

static const char *file; /* the file that most tests use */

static void write_bytes(const char *path, const void *data, int64_t bytes)
{
    FILE *out = fopen(path, "wb");
    if (!CHECK(out != NULL))
        return;
    CHECK_EQ((int64_t)fwrite(data, 1, (size_t)bytes, out), bytes);
    CHECK(fclose(out) == 0);
}

/* A safetensors file with this header and data of 0, 1, 2, ... */
static void write_raw(const char *path, const char *header, int64_t data)
{
    static uint8_t buffer[65536];
    uint64_t length = strlen(header);
    for (int i = 0; i < 8; i++)
        buffer[i] = (uint8_t)(length >> (8 * i));
    memcpy(buffer + 8, header, length);
    for (int64_t i = 0; i < data; i++)
        buffer[8 + (int64_t)length + i] = (uint8_t)i;
    write_bytes(path, buffer, 8 + (int64_t)length + data);
}

/* Checks that opening the store fails with status, and that the message names the file. */
static int is_refused(const char *path, ptq_status wanted)
{
    ptq_store *store;
    char message[600];
    ptq_status status = ptq_store_open(test_context(), path, &store);
    ptq_last_message(message, sizeof message);
    int ok = status == wanted && store == NULL && strstr(message, path) != NULL;
    ptq_store_free(store);
    return ok;
}

static void fill(void *data, int64_t bytes, struct random *r)
{
    for (int64_t i = 0; i < bytes; i++)
        ((uint8_t *)data)[i] = (uint8_t)random_bits(r);
}

/* One tensor of every dtype and every rank. */
static void add_all(ptq_store *store, ptq_tensor **tensors, struct random *r)
{
    for (int32_t dtype = PTQ_DTYPE_F32; dtype <= PTQ_DTYPE_I32; dtype++)
        for (int32_t rank = 0; rank <= PTQ_MAX_RANK; rank++) {
            int64_t shape[PTQ_MAX_RANK], i = dtype * 10 + rank;
            char name[32];
            for (int32_t axis = 0; axis < rank; axis++)
                shape[axis] = 1 + (axis + dtype) % 3;
            if (rank == 3 && dtype % 2)
                shape[1] = 0;
            CHECK_OK(ptq_tensor_create(test_context(), dtype, rank, shape, &tensors[i]));
            fill(ptq_tensor_data(tensors[i]), ptq_tensor_bytes(tensors[i]), r);
            snprintf(name, sizeof name, "t\xc3\xa9\"%d.%d", dtype, rank);
            CHECK_OK(ptq_store_add(store, name, tensors[i]));
        }
}

static void test_round_trip(void)
{
    static const char *const names[] = {"", "F32", "F16", "BF16", "I8", "U8", "I32"};
    ptq_store *store;
    ptq_tensor *tensors[80] = {0}, *t;
    struct random r = {1};
    CHECK_OK(ptq_store_create(test_context(), file, &store));
    add_all(store, tensors, &r);
    CHECK_OK(ptq_store_set_metadata(store, "key", "first"));
    CHECK_OK(ptq_store_set_metadata(store, "a \"quote\" \\ \n", "\xe2\x82\xac"));
    CHECK_OK(ptq_store_set_metadata(store, "key", "second"));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), file, &store));
    CHECK_EQ(ptq_store_count(store), 6 * 9);
    CHECK(!strcmp(ptq_store_metadata(store, "key"), "second"));
    CHECK(!strcmp(ptq_store_metadata(store, "a \"quote\" \\ \n"), "\xe2\x82\xac"));
    CHECK(ptq_store_metadata(store, "none") == NULL);
    for (int64_t index = 0; index < 54; index++) {
        int32_t dtype = (int32_t)(1 + index / 9);
        const ptq_tensor *from = tensors[dtype * 10 + index % 9];
        const char *name = ptq_store_name(store, index);
        CHECK(ptq_store_has(store, name) && !strcmp(ptq_store_dtype(store, index), names[dtype]));
        CHECK_EQ(ptq_store_bytes(store, index), ptq_tensor_bytes(from));
        if (!CHECK_OK(ptq_store_tensor(store, name, &t)))
            continue;
        CHECK(ptq_tensor_dtype(t) == dtype && ptq_tensor_rank(t) == index % 9);
        for (int32_t axis = 0; axis < 9; axis++)
            CHECK_EQ(ptq_tensor_size(t, axis), ptq_tensor_size(from, axis));
        CHECK(!strcmp(ptq_tensor_name(t), name));
        CHECK(!memcmp(ptq_tensor_data(t), ptq_tensor_data(from), (size_t)ptq_tensor_bytes(t)));
        ptq_tensor_free(t);
    }
    CHECK(!ptq_store_name(store, 54) && !ptq_store_name(store, -1) && !ptq_store_dtype(store, 54));
    CHECK(ptq_store_bytes(store, 54) == 0 && !ptq_store_has(store, "t"));
    CHECK_STATUS(ptq_store_tensor(store, "t", &t), PTQ_ERROR_UNKNOWN);
    CHECK(t == NULL);
    CHECK_STATUS(ptq_store_add(store, "more", tensors[11]), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_store_set_metadata(store, "a", "b"), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_store_commit(store), PTQ_ERROR_ARGUMENT);
    ptq_store_free(store);
    for (int i = 0; i < 80; i++)
        ptq_tensor_free(tensors[i]);
}

static void test_empty(void)
{
    ptq_store *store;
    CHECK_OK(ptq_store_create(test_context(), file, &store));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), file, &store));
    CHECK(ptq_store_count(store) == 0 && !ptq_store_has(store, "a") && !ptq_store_name(store, 0));
    CHECK(ptq_store_metadata(store, "a") == NULL);
    ptq_store_free(store);
    ptq_store_free(NULL);
}

#define T(name, dtype, shape, begin, end)                                                          \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end   \
    "]}"

/* All types that files have but ptq_tensor lacks, and unaligned data. */
static void test_other_files(void)
{
    ptq_store *store;
    ptq_tensor *t;
    write_raw(file,
              "{" T("x", "U8", "[1]", "0", "1") "," T("f", "F32", "[2]", "1", "9") "," /**/
              T("d", "F64", "[1]", "9", "17") "," T("i", "I64", "[0]", "17", "17") "," T(
                  "b", "BOOL", "[]", "17", "18") "," T("e", "F8_E4M3", "[2,1]", "18", "20") "}  ",
              20);
    if (!CHECK_OK(ptq_store_open(test_context(), file, &store)))
        return;
    CHECK_EQ(ptq_store_count(store), 6);
    CHECK(!strcmp(ptq_store_dtype(store, 2), "F64") && ptq_store_bytes(store, 2) == 8);
    CHECK_STATUS(ptq_store_tensor(store, "d", &t), PTQ_ERROR_DTYPE);
    CHECK_STATUS(ptq_store_tensor(store, "b", &t), PTQ_ERROR_DTYPE);
    CHECK_OK(ptq_store_tensor(store, "f", &t));
    CHECK((uintptr_t)ptq_tensor_data(t) % 4 == 0);
    CHECK(!memcmp(ptq_tensor_data(t), "\1\2\3\4\5\6\7\10", 8));
    ptq_tensor_free(t);
    ptq_store_free(store);
    CHECK(is_refused("/nowhere/at/all.safetensors", PTQ_ERROR_IO));
    CHECK_STATUS(ptq_store_open(test_context(), NULL, &store), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_store_open(test_context(), file, NULL), PTQ_ERROR_ARGUMENT);
}

static const struct {
    const char *header;
    int64_t data;
} hostile_headers[] = {
    {"", 0},
    {"null", 0},
    {"[]", 0},
    {"{", 0},
    {"{} x", 0},
    {"{}", 1},
    {"\"a\"", 0},
    {"1", 0},
    /* offsets: beyond, backwards, negative, fractions, too many, wrong kinds, missing */
    {"{" T("a", "U8", "[4]", "0", "4") "}", 3},
    {"{" T("a", "U8", "[4]", "0", "4") "}", 5},
    {"{" T("a", "U8", "[0]", "4", "0") "}", 4},
    {"{" T("a", "U8", "[4]", "-4", "0") "}", 4},
    {"{" T("a", "U8", "[4]", "1", "5") "}", 5},
    {"{" T("a", "U8", "[4]", "0.5", "4.5") "}", 4},
    {"{" T("a", "U8", "[4]", "0", "4,8") "}", 8},
    {"{" T("a", "U8", "[4]", "0", "1e300") "}", 4},
    {"{" T("a", "U8", "[4]", "0", "\"4\"") "}", 4},
    {"{" T("a", "U8", "[4]", "0", "9223372036854775807") "}", 4},
    {"{" T("a", "U8", "[4]", "18446744073709551612", "0") "}", 4},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":{}}}", 4},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0]}}", 4},
    /* overlaps and holes */
    {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[4]", "3", "7") "}", 7},
    {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[4]", "0", "4") "}", 4},
    {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[3]", "5", "8") "}", 8},
    {"{" T("a", "U8", "[4]", "4", "8") "," T("b", "U8", "[3]", "0", "3") "}", 8},
    {"{" T("a", "U8", "[4]", "0", "4") "," T("b", "U8", "[0]", "2", "2") "}", 4},
    /* shapes that do not agree, overflow, are negative, of huge rank, no numbers */
    {"{" T("a", "F32", "[4]", "0", "4") "}", 4},
    {"{" T("a", "U8", "[2,3]", "0", "4") "}", 4},
    {"{" T("a", "U8", "[2]", "0", "4") "}", 4},
    {"{" T("a", "U8", "[-1]", "0", "4") "}", 4},
    {"{" T("a", "U8", "[-2,-2]", "0", "4") "}", 4},
    {"{" T("a", "U8", "[4294967296,4294967296]", "0", "0") "}", 0},
    {"{" T("a", "F32", "[4611686018427387904]", "0", "0") "}", 0},
    {"{" T("a", "F32", "[2147483648,2147483648]", "0", "0") "}", 0},
    {"{" T("a", "U8", "[1e30]", "0", "0") "}", 0},
    {"{" T("a", "U8", "[1.5]", "0", "1") "}", 1},
    {"{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1},
    {"{" T("a", "U8", "[\"4\"]", "0", "4") "}", 4},
    {"{" T("a", "U8", "4", "0", "4") "}", 4},
    {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1},
    /* dtypes, names, metadata */
    {"{" T("a", "u8", "[4]", "0", "4") "}", 4},
    {"{" T("a", "F128", "[4]", "0", "4") "}", 4},
    {"{" T("a", "", "[4]", "0", "4") "}", 4},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
    {"{\"a\":null}", 0},
    {"{" T("a", "U8", "[1]", "0", "1") "," T("a", "U8", "[1]", "1", "2") "}", 2},
    {"{" T("a\\u0000b", "U8", "[1]", "0", "1") "}", 1},
    {"{\"__metadata__\":{\"a\":1}}", 0},
    {"{\"__metadata__\":[\"a\"]}", 0},
    {"{\"__metadata__\":{\"a\":{}}}", 0},
    {"{\"__metadata__\":5}", 0},
    {"{\"__metadata__\":\"a\"}", 0},
};

static void test_hostile_headers(void)
{
    for (size_t i = 0; i < sizeof hostile_headers / sizeof *hostile_headers; i++) {
        write_raw(file, hostile_headers[i].header, hostile_headers[i].data);
        if (!CHECK(is_refused(file, PTQ_ERROR_FORMAT)))
            printf("    %s\n", hostile_headers[i].header);
    }
}

static void test_lying_length(void)
{
    static const uint64_t lengths[] = {3,          100000001,      INT64_MAX,
                                       UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    uint8_t bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int b = 0; b < 8; b++)
            bytes[b] = (uint8_t)(lengths[i] >> (8 * b));
        write_bytes(file, bytes, 10);
        CHECK(is_refused(file, PTQ_ERROR_FORMAT));
    }
}

static void test_truncated(void)
{
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"}," T(
        "a", "F32", "[2]", "0", "8") "," T("b", "U8", "[3]", "8", "11") "}";
    uint8_t bytes[512], *exact;
    write_raw(file, header, 11);
    FILE *in = fopen(file, "rb");
    int64_t size = in ? (int64_t)fread(bytes, 1, sizeof bytes, in) : 0;
    CHECK(in && fclose(in) == 0 && size > 100);
    for (int64_t n = 0; n < size; n++) {
        exact = malloc((size_t)n + 1);
        memcpy(exact, bytes, (size_t)n);
        write_bytes(file, exact, n);
        CHECK(is_refused(file, PTQ_ERROR_FORMAT));
        free(exact);
    }
    write_bytes(file, bytes, size + 1);
    CHECK(is_refused(file, PTQ_ERROR_FORMAT));
    struct random r = {3};
    for (int i = 0; i < 1000; i++) { /* damaged anywhere: rejected, or open and readable */
        uint8_t damaged[512];
        ptq_store *store;
        ptq_tensor *t;
        memcpy(damaged, bytes, sizeof damaged);
        for (int64_t j = random_below(&r, 3); j >= 0; j--)
            damaged[random_below(&r, size)] = (uint8_t)random_bits(&r);
        write_bytes(file, damaged, size);
        if (ptq_store_open(test_context(), file, &store) == PTQ_OK)
            for (int64_t n = 0; n < ptq_store_count(store); n++)
                if (!ptq_store_tensor(store, ptq_store_name(store, n), &t))
                    ptq_tensor_free(t);
        ptq_store_free(store);
    }
}

/* A directory of two shards and an index with this weight map. */
static const char *write_sharded(const char *map)
{
    static char directory[256];
    char path[300];
    snprintf(directory, sizeof directory, "%s", test_scratch("sharded"));
    mkdir(directory, 0777);
    snprintf(path, sizeof path, "%s/one.safetensors", directory);
    write_raw(path, "{\"__metadata__\":{\"k\":\"one\"}," T("a", "U8", "[4]", "0", "4") "}", 4);
    snprintf(path, sizeof path, "%s/two.safetensors", directory);
    write_raw(path,
              "{\"__metadata__\":{\"k\":\"two\",\"l\":\"two\"}," /**/
              T("b", "U8", "[1]", "0", "1") "," T("c", "U8", "[2]", "1", "3") "}",
              3);
    snprintf(path, sizeof path, "%s/same.safetensors", directory);
    write_raw(path, "{" T("a", "U8", "[4]", "0", "4") "}", 4);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", directory);
    write_bytes(path, map, (int64_t)strlen(map));
    return directory;
}

static void test_shards(void)
{
    static const char good[] = "{\"metadata\":{},\"weight_map\":{\"c\":\"two.safetensors\","
                               "\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}";
    char path[300];
    ptq_store *store;
    for (int by_index = 0; by_index < 2; by_index++) {
        const char *directory = write_sharded(good);
        snprintf(path, sizeof path, "%s%s", directory,
                 by_index ? "/model.safetensors.index.json" : "");
        if (!CHECK_OK(ptq_store_open(test_context(), path, &store)))
            continue;
        CHECK(ptq_store_count(store) == 3 && ptq_store_has(store, "a") &&
              ptq_store_has(store, "b") && ptq_store_has(store, "c"));
        CHECK(!strcmp(ptq_store_metadata(store, "l"), "two"));
        CHECK(!strcmp(ptq_store_metadata(store, "k"), "two")); /* from the first shard */
        ptq_store_free(store);
    }
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"weight_map\":[]}",
        "{\"weight_map\":{\"a\":5}}",
        "{\"weight_map\":{\"a\":\"\"}}",
        "{\"weight_map\":{\"a\":\"..\"}}",
        "{\"weight_map\":{\"a\":\".\"}}",
        "{\"weight_map\":{\"a\":\"../sharded/one.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"/etc/passwd\"}}",
        "{\"weight_map\":{\"a\":\"./one.safetensors\"}}",
        "{\"weight_map\":{\"z\":\"one.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"one.safetensors\",\"d\":\"same.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"model.safetensors.index.json\"}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!CHECK(is_refused(write_sharded(bad[i]), PTQ_ERROR_FORMAT)))
            printf("    %s\n", bad[i]);
    CHECK(is_refused(write_sharded("{\"weight_map\":{\"a\":\"none.safetensors\"}}"), PTQ_ERROR_IO));
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", write_sharded(good));
    unlink(path); /* neither index nor model.safetensors */
    CHECK(is_refused(test_scratch("sharded"), PTQ_ERROR_IO));
}

/* Writes two tensors of 3 bytes to path. */
static ptq_status write_small(ptq_context *context, const char *path)
{
    static const int64_t shape[1] = {3};
    static uint8_t data[3] = {1, 2, 3};
    ptq_store *store;
    ptq_tensor *t = NULL;
    ptq_status status = ptq_store_create(context, path, &store);
    if (!status)
        status = ptq_tensor_borrow(context, PTQ_DTYPE_U8, 1, shape, data, &t);
    if (!status)
        status = ptq_store_add(store, "a", t);
    if (!status)
        status = ptqi_store_put(store, "b", PTQ_DTYPE_U8, 1, shape, data);
    if (!status)
        status = ptq_store_set_metadata(store, "key", "value");
    if (!status)
        status = ptq_store_commit(store);
    ptq_store_free(store);
    ptq_tensor_free(t);
    return status;
}

static int exists(const char *path, const char *ending)
{
    char name[600];
    snprintf(name, sizeof name, "%s%s", path, ending);
    return access(name, F_OK) == 0;
}

static void test_commit_failures(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/x.safetensors", file);
    write_bytes(file, "x", 1);
    CHECK_STATUS(write_small(test_context(), path), PTQ_ERROR_IO); /* below a file */
    CHECK_STATUS(write_small(test_context(), test_scratch("none/x")), PTQ_ERROR_IO);
    const char *directory = test_scratch("directory");
    mkdir(directory, 0777);
    CHECK_STATUS(write_small(test_context(), directory), PTQ_ERROR_IO);
    CHECK(!exists(directory, ".partial"));
    unlink(file);
    ptq_store *store;
    CHECK_OK(ptq_store_create(test_context(), file, &store));
    ptq_store_free(store); /* dropped */
    CHECK(!exists(file, "") && !exists(file, ".partial"));
    CHECK_OK(write_small(test_context(), file));
    CHECK_OK(write_small(test_context(), file)); /* replaces it */
    CHECK(exists(file, "") && !exists(file, ".partial"));
    CHECK_OK(ptq_store_create(test_context(), file, &store));
    static const int64_t shape[1] = {1};
    CHECK_OK(ptqi_store_put(store, "a", PTQ_DTYPE_U8, 1, shape, "x"));
    CHECK(ptqi_store_put(store, "a", PTQ_DTYPE_U8, 1, shape, "x") != PTQ_OK); /* twice */
    CHECK_STATUS(ptq_store_add(store, "b", NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_store_set_metadata(store, NULL, ""), PTQ_ERROR_ARGUMENT);
    ptq_store_free(store);
    CHECK_STATUS(ptq_store_commit(NULL), PTQ_ERROR_ARGUMENT);
}

static void test_memory(void)
{
    unlink(file);
    for (int64_t n = 1, done = 0; !done && CHECK(n < 100); n++) {
        ptq_context *context = test_failing_context(n);
        ptq_status status = context ? write_small(context, file) : PTQ_ERROR_MEMORY;
        test_free_failing(context);
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        CHECK(exists(file, "") == (status == PTQ_OK) && !exists(file, ".partial"));
        done = status == PTQ_OK;
    }
    const char *directory = write_sharded("{\"weight_map\":{\"b\":\"two.safetensors\","
                                          "\"a\":\"one.safetensors\"}}");
    for (int64_t n = 1, done = 0; !done && CHECK(n < 200); n++) {
        ptq_context *context = test_failing_context(n);
        ptq_store *store = NULL;
        ptq_tensor *t = NULL;
        ptq_status status = context ? ptq_store_open(context, directory, &store) : PTQ_ERROR_MEMORY;
        if (!status)
            status = ptq_store_tensor(store, "c", &t);
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        done = status == PTQ_OK;
        ptq_tensor_free(t);
        ptq_store_free(store);
        test_free_failing(context);
    }
}

void test_store(void)
{
    static char path[256];
    snprintf(path, sizeof path, "%s", test_scratch("store.safetensors"));
    file = path;
    test_round_trip();
    test_empty();
    test_other_files();
    test_hostile_headers();
    test_lying_length();
    test_truncated();
    test_shards();
    test_commit_failures();
    test_memory();
}
