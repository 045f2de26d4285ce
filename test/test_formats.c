/*
 * Checkpoints that other tools made: the logits of those tools, and the same bytes when a matrix is
 * read and written again, by way of the ptq format too.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "logits.h"
#include "test.h"

void test_formats(void);

/* How far the logits may be from the tool's: of the largest, or in norm. GPTQ's and AWQ's tool
 * dequantizes in f16; one moved tie of quantized activations is more than 1e-5. */
static const struct {
    const char *name;
    double worst, distance;
} checkpoints[] = {
    {"ct-w4a16-g32-llama-tiny", 1e-5, 1},
    {"ct-w4a16-asym-g32-awq-llama-tiny", 1e-5, 1},
    {"ct-w4a16-g128-nodown-bf16-llama-tiny", 1e-5, 1},
    {"ct-w4a16-gidx-g32-llama-tiny", 1e-5, 1},
    {"ct-w3a16-g32-llama-tiny", 1e-5, 1},
    {"ct-w4a8-g32-llama-tiny", 1, 1e-2},
    {"ct-w8a8-dynamic-llama-tiny", 1, 1e-2},
    {"ct-w8a8-static-llama-tiny", 1, 1e-2},
    {"gptq-w4-g32-asym-actorder-llama-tiny", 1, 3e-4},
    {"gptqv2-w3-g32-asym-llama-tiny", 1, 3e-4},
    {"gptqv2-w2-g32-asym-llama-tiny", 1, 3e-4},
    {"gptq-w8-channel-sym-llama-tiny", 1, 3e-4},
    {"gptq-w4-g128-oddk-llama-tiny", 1, 3e-4},
    {"autoawq-gemm-w4-g64-llama-5m", 1, 3e-4},
};
enum { CHECKPOINTS = sizeof checkpoints / sizeof *checkpoints };

static const char *file_of(const char *checkpoint, const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "checkpoints/%s/%s", checkpoint, file);
    return shared_data(path);
}

static void check_logits(int i)
{
    char directory[300];
    ptq_store *store;
    ptq_tensor *ids, *wanted;
    snprintf(directory, sizeof directory, "../shared/checkpoints/%s", checkpoints[i].name);
    if (!CHECK_OK(ptq_store_open(test_context(),
                                 file_of(checkpoints[i].name, "reference.safetensors"), &store)))
        return;
    CHECK_OK(ptq_store_tensor(store, "ids", &ids));
    CHECK_OK(ptq_store_tensor(store, "logits", &wanted));
    const int64_t count = ptq_tensor_elements(wanted);
    float *logits =
        logits_of(test_context(), directory, ptq_tensor_data(ids), ptq_tensor_elements(ids));
    if (logits) {
        const double worst = logits_worst(logits, ptq_tensor_data(wanted), count);
        const double distance = logits_distance(logits, ptq_tensor_data(wanted), count);
        if (!CHECK(worst <= checkpoints[i].worst && distance <= checkpoints[i].distance))
            printf("    %s: %.1e of the largest, %.1e in norm\n", checkpoints[i].name, worst,
                   distance);
    }
    ptqi_free(test_context(), logits);
    ptq_tensor_free(ids);
    ptq_tensor_free(wanted);
    ptq_store_free(store);
}

/* Attaches quantization_config to a store. */
static void set_quantization(ptq_store *store, const char *checkpoint)
{
    struct ptqi_map file;
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    struct ptqi_json_writer w;
    const char *path = file_of(checkpoint, "config.json");
    CHECK_OK(ptqi_map_file(test_context(), path, &file));
    CHECK_OK(ptqi_json_parse(test_context(), (const char *)file.data, file.size, path, &document,
                             &root));
    ptqi_json_begin(&w, test_context());
    ptqi_json_add_value(&w, NULL, ptqi_json_get(root, "quantization_config"));
    CHECK_OK(ptqi_json_finish(&w));
    CHECK_OK(ptq_store_set_quantization(store, w.text));
    ptqi_json_end(&w);
    ptqi_json_free(document);
    ptqi_unmap_file(&file);
}

/* Writes all matrices of a store to another one, in format 0 (their own) or ptq. */
static ptq_store *rewrite(const ptq_store *from, const char *checkpoint, int32_t source,
                          int32_t target, const char *path)
{
    ptq_store *store;
    char name[512];
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    set_quantization(store, checkpoint);
    for (int64_t i = 0; ptq_format_matrix(from, i, name, sizeof name); i++) {
        ptq_qtensor *q;
        CHECK_EQ(ptq_format_find(from, name), source);
        if (!CHECK_OK(ptq_qtensor_read(test_context(), source, from, name, &q)))
            continue;
        CHECK_OK(ptq_format_can_hold(target, q));
        CHECK_OK(ptq_qtensor_write(q, target, store, name));
        ptq_qtensor_free(q);
    }
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    set_quantization(store, checkpoint);
    return store;
}

/* Every tensor of the copy is in the original, the same, and the original has no other part. */
static void compare(const char *checkpoint, const ptq_store *original, const ptq_store *copy)
{
    int64_t matrices = 0, parts = 0;
    char name[512];
    while (ptq_format_matrix(original, matrices, name, sizeof name))
        matrices++;
    for (int64_t i = 0; i < ptq_store_count(copy); i++) {
        const int64_t at = ptq_store_find(original, ptq_store_name(copy, i));
        const int64_t bytes = ptq_store_bytes(copy, i);
        int same = at >= 0 && bytes == ptq_store_bytes(original, at) &&
                   !strcmp(ptq_store_dtype(copy, i), ptq_store_dtype(original, at)) &&
                   ptq_store_rank(copy, i) == ptq_store_rank(original, at) &&
                   !memcmp(ptq_store_data(copy, i), ptq_store_data(original, at), (size_t)bytes);
        for (int32_t axis = 0; axis < ptq_store_rank(copy, i); axis++)
            same &= ptq_store_size(copy, i, axis) == ptq_store_size(original, at, axis);
        if (!CHECK(same))
            printf("    %s: %s differs\n", checkpoint, ptq_store_name(copy, i));
    }
    for (int64_t i = 0; i < ptq_store_count(original); i++) {
        const char *tail = strrchr(ptq_store_name(original, i), '.');
        parts += strcmp(tail, ".weight") || !strcmp(ptq_store_dtype(original, i), "I8");
    }
    CHECK(matrices > 0);
    CHECK_EQ(parts, ptq_store_count(copy));
}

static void check_round_trip(const char *checkpoint)
{
    const char *path = file_of(checkpoint, "model.safetensors");
    char name[512];
    ptq_store *original, *own, *copy;
    CHECK_OK(ptq_store_open(test_context(), path, &original));
    set_quantization(original, checkpoint);
    ptq_format_matrix(original, 0, name, sizeof name);
    const int32_t format = ptq_format_find(original, name);
    copy = rewrite(original, checkpoint, format, format, test_scratch("same.safetensors"));
    compare(checkpoint, original, copy);
    ptq_store_free(copy);
    own = rewrite(original, checkpoint, format, PTQ_FORMAT_PTQ, test_scratch("own.safetensors"));
    copy = rewrite(own, checkpoint, PTQ_FORMAT_PTQ, format, test_scratch("same.safetensors"));
    compare(checkpoint, original, copy);
    ptq_store_free(copy);
    ptq_store_free(own);
    ptq_store_free(original);
}

void test_formats(void)
{
    for (int i = 0; i < CHECKPOINTS; i++) {
        if (!file_of(checkpoints[i].name, "config.json")) {
            test_skip("no checkpoints of other tools in ../shared");
            break;
        }
        check_logits(i);
        check_round_trip(checkpoints[i].name);
    }
}
