/*
 * The forward pass against logits recorded from PyTorch, and the properties that evaluation relies
 * on: equal bits for any number of threads and every instruction set.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/context.h"
#include "base/file.h"
#include "model/model.h"
#include "test.h"

enum { TOKENS = 64 };

/* Logits [TOKENS][vocabulary] of the first TOKENS ids of a model's reference. */
static float *run_model(ptq_context *context, const char *path, const int32_t *ids)
{
    struct model *m;
    struct workspace *w = NULL;
    float *logits = NULL;
    if (!CHECK_OK(model_open(context, path, &m)))
        return NULL;
    float *x = ptqi_alloc(context, TOKENS * m->config.hidden, (int64_t)sizeof *x);
    CHECK_OK(workspace_create(m, TOKENS, &w));
    CHECK_OK(model_embed(m, ids, 0, TOKENS, x));
    for (int64_t l = 0; l < m->config.layers; l++) {
        struct block *b;
        int quantized;
        if (!CHECK_OK(model_load_block(m, NULL, l, -1, &b, &quantized)))
            break;
        CHECK_EQ(quantized, 0);
        CHECK_OK(block_forward(m, b, w, x, TOKENS));
        block_free(b);
    }
    logits = ptqi_alloc(context, TOKENS * m->config.vocabulary, (int64_t)sizeof *logits);
    CHECK_OK(model_logits(m, x, TOKENS, logits));
    ptqi_free(context, x);
    workspace_free(w);
    model_free(m);
    return logits;
}

/* The largest difference between the logits of a model and those recorded in a directory. */
static void compare_logits(const char *path, const char *recorded)
{
    ptq_context *context = test_context();
    char file[600];
    ptq_store *store;
    ptq_tensor *ids, *wanted;
    snprintf(file, sizeof file, "%s/reference.safetensors", recorded);
    if (!CHECK_OK(ptq_store_open(context, file, &store)))
        return;
    CHECK_OK(ptq_store_tensor(store, "ids", &ids));
    CHECK_OK(ptq_store_tensor(store, "logits", &wanted));
    CHECK_EQ(ptq_tensor_elements(ids), TOKENS);
    const float *reference = ptq_tensor_data(wanted);
    float *logits = run_model(context, path, ptq_tensor_data(ids));
    double worst = 0, largest = 0;
    for (int64_t i = 0; logits && i < ptq_tensor_elements(wanted); i++) {
        worst = fmax(worst, fabs((double)logits[i] - reference[i]));
        largest = fmax(largest, fabs((double)reference[i]));
    }
    if (!CHECK(logits && worst < 2e-5 * largest))
        printf("    %s: logits differ by %g of %g\n", path, worst, largest);
    ptqi_free(context, logits);
    ptq_tensor_free(ids);
    ptq_tensor_free(wanted);
    ptq_store_free(store);
}

/* A copy of a model whose tensor names lack their first part, as in the published BLOOM. */
static int copy_without_prefix(const char *path, const char *prefix, const char *copy)
{
    ptq_context *context = test_context();
    char file[700];
    ptq_store *from, *to;
    ptq_tensor *tensors[128] = {0};
    struct ptqi_map config;
    mkdir(copy, 0777);
    snprintf(file, sizeof file, "%s/config.json", path);
    if (!CHECK_OK(ptqi_map_file(context, file, &config)))
        return 0;
    snprintf(file, sizeof file, "%s/config.json", copy);
    CHECK_OK(ptqi_write_file(context, file, config.data, config.size));
    ptqi_unmap_file(&config);
    snprintf(file, sizeof file, "%s/model.safetensors", copy);
    if (!CHECK_OK(ptq_store_open(context, path, &from)))
        return 0;
    CHECK_OK(ptq_store_create(context, file, &to));
    int64_t count = ptq_store_count(from);
    for (int64_t i = 0; i < count && count <= 128; i++) {
        const char *name = ptq_store_name(from, i);
        CHECK(!strncmp(name, prefix, strlen(prefix)));
        CHECK_OK(ptq_store_tensor(from, name, &tensors[i]));
        CHECK_OK(ptq_store_add(to, name + strlen(prefix), tensors[i]));
    }
    int written = CHECK(count <= 128) && CHECK_OK(ptq_store_commit(to));
    for (int i = 0; i < 128; i++)
        ptq_tensor_free(tensors[i]);
    ptq_store_free(to);
    ptq_store_free(from);
    return written;
}

static void check_equal_bits(void)
{
    static const int32_t threads[] = {1, 2, 3, 7};
    int32_t ids[TOKENS];
    ptq_context *context = test_context();
    int32_t isa = ptq_context_isa(context);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = 37 * i % 1024;
    float *first = run_model(context, "examples/llama-tiny", ids);
    for (int i = 0; i < 5 && first; i++) {
        CHECK_OK(ptq_context_set_threads(context, i < 4 ? threads[i] : 2));
        CHECK_OK(ptq_context_set_isa(context, i < 4 ? isa : PTQ_ISA_PORTABLE));
        float *again = run_model(context, "examples/llama-tiny", ids);
        CHECK(again && !memcmp(first, again, TOKENS * 1024 * sizeof *first));
        ptqi_free(context, again);
    }
    ptqi_free(context, first);
    ptq_context_set_threads(context, 0);
    ptq_context_set_isa(context, isa);
}

void test_model(void);
void test_model(void)
{
    static const char *const shared[] = {"models/llama-5m", "models/llama-5m-sharded-bf16",
                                         "models/llama-5m-outlier", "models/bloom-3m"};
    const char *path = NULL;
    char copy[600];
    compare_logits("examples/llama-tiny", "examples/llama-tiny");
    for (int i = 0; i < 4; i++) {
        if ((path = shared_data(shared[i])))
            compare_logits(path, path);
        else
            test_skip("../shared/models is not there");
    }
    snprintf(copy, sizeof copy, "%s", test_scratch("bloom"));
    if (path && copy_without_prefix(path, "transformer.", copy))
        compare_logits(copy, path);
    check_equal_bits();
}
