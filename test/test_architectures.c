/*
 * Small random models of every architecture against the logits that transformers gives, as recorded
 * by architectures.py. Weights are computed here from the names of the tensors, as there. The
 * models are left in the scratch directory, where command.sh quantizes them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "architectures.h"
#include "base/context.h"
#include "calibrate/fold.h"
#include "model/model.h"
#include "logits.h"
#include "test.h"

void test_architectures(void);

static const char *const names[] = {"llama",         "llama-linear", "llama-dynamic",
                                    "llama-llama3",  "llama-yarn",   "llama-yarn-mscale",
                                    "llama-bias",    "mistral",      "qwen2",
                                    "qwen2-window",  "qwen3",        "qwen3-window",
                                    "gemma2",        "gemma3",       "phi3",
                                    "phi3-longrope", "phi3-short",   "gpt2",
                                    "gpt2-tied",     "opt",          "bloom",
                                    "mixtral",       "qwen3-moe",    "qwen3-moe-sparse"};
enum { NAMES = sizeof names / sizeof *names };

/* Numbers in [-1, 1) by splitmix64, from the FNV-1a hash of the name. */
static double uniform(const char *name, uint64_t i)
{
    uint64_t z = 14695981039346656037u;
    for (; *name; name++)
        z = (z ^ (uint8_t)*name) * 1099511628211u;
    z += (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 40) * 0x1p-23 - 1.0;
}

/* A line of tensors.txt: name, center, spread, shape. */
static void add_tensor(ptq_store *store, char *line)
{
    char *next;
    const char *name = strtok_r(line, " ", &next);
    const double center = atof(strtok_r(NULL, " ", &next));
    const double spread = atof(strtok_r(NULL, " ", &next));
    int64_t shape[2], count = 1;
    int32_t rank = 0;
    for (char *text; rank < 2 && (text = strtok_r(NULL, " \n", &next)); count *= shape[rank++])
        shape[rank] = atoll(text);
    ptq_tensor *tensor;
    if (!CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F32, rank, shape, &tensor)))
        return;
    float *values = ptq_tensor_data(tensor);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(center + spread * uniform(name, (uint64_t)i));
    CHECK_OK(ptq_store_add(store, name, tensor));
    ptq_tensor_free(tensor);
}

static void copy_file(const char *from, const char *to)
{
    char buffer[8192];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    if (!CHECK(in && out))
        return;
    const size_t size = fread(buffer, 1, sizeof buffer, in);
    CHECK(size < sizeof buffer && fwrite(buffer, 1, size, out) == size);
    fclose(in);
    fclose(out);
}

/* Writes the model to a directory. */
static void make_model(const char *recorded, const char *directory)
{
    char from[700], to[700], line[512];
    ptq_store *store;
    snprintf(from, sizeof from, "%s/config.json", recorded);
    snprintf(to, sizeof to, "%s/config.json", directory);
    mkdir(directory, 0777);
    copy_file(from, to);
    snprintf(from, sizeof from, "%s/tensors.txt", recorded);
    snprintf(to, sizeof to, "%s/model.safetensors", directory);
    FILE *tensors = fopen(from, "r");
    if (!CHECK(tensors != NULL) || !CHECK_OK(ptq_store_create(test_context(), to, &store)))
        return;
    while (fgets(line, sizeof line, tensors))
        add_tensor(store, line);
    fclose(tensors);
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
}

void architectures_make(const char *name, char *directory, size_t capacity)
{
    char part[100], recorded[600];
    mkdir(test_scratch("architectures"), 0777);
    snprintf(part, sizeof part, "architectures/%s", name);
    snprintf(recorded, sizeof recorded, "%s", test_data(part));
    snprintf(directory, capacity, "%s", test_scratch(part));
    make_model(recorded, directory);
}

/* The same, some tokens at a time, with a cache. */
static float *run_cached(ptq_context *context, const char *directory, const int32_t *ids,
                         int64_t count)
{
    static const int64_t steps[] = {7, 1, 1, 5};
    struct model *m;
    struct workspace *w;
    struct cache *cache;
    struct block *blocks[8] = {NULL};
    int quantized;
    if (!CHECK_OK(model_open(context, directory, &m)))
        return NULL;
    const int64_t vocabulary = m->config.vocabulary;
    float *x = ptqi_alloc(context, count * m->config.hidden, (int64_t)sizeof *x);
    float *logits = ptqi_alloc(context, count * vocabulary, (int64_t)sizeof *logits);
    CHECK_OK(workspace_create(m, 7, &w));
    CHECK_OK(cache_create(m, count, &cache));
    w->cache = cache;
    for (int64_t l = 0; l < m->config.layers; l++)
        CHECK_OK(model_load_block(m, NULL, l, -1, &blocks[l], &quantized));
    for (int64_t i = 0, step; w->position < count; i++, w->position += step) {
        step = steps[i % 4] < count - w->position ? steps[i % 4] : count - w->position;
        CHECK_OK(model_embed(m, ids + w->position, w->position, step, x));
        for (int64_t l = 0; l < m->config.layers; l++)
            CHECK_OK(block_forward(m, blocks[l], w, x, step));
        CHECK_OK(model_logits(m, x, step, logits + w->position * vocabulary));
    }
    for (int64_t l = 0; l < m->config.layers; l++)
        block_free(blocks[l]);
    cache_free(cache);
    workspace_free(w);
    model_free(m);
    ptqi_free(context, x);
    return logits;
}

static void compare(const char *name, const float *logits, const float *wanted, int64_t count)
{
    const double worst = logits_worst(logits, wanted, count);
    if (!CHECK(worst <= 1e-5))
        printf("    %s: logits differ by %.1e of the largest\n", name, worst);
}

/* Scales of a site that its ties allow: 0.5 .. 2. */
static void make_scale(const struct model *m, enum site site, int64_t k, float *scale)
{
    int32_t *ties = ptqi_alloc(m->context, k, (int64_t)sizeof *ties);
    for (int64_t i = 0; i < k; i++)
        ties[i] = (int32_t)i;
    if (site == SITE_OUTPUT)
        fold_ties(&m->config, ties);
    for (int64_t i = 0; i < k; i++)
        scale[i] = 0.5f + 0.3f * (float)((ties[i] * 7 + (int)site) % 6);
    ptqi_free(m->context, ties);
}

/* Folds scales into what precedes a site; for SITE_DOWN, into every expert, if there are any. */
static void fold(const struct model *m, struct block *b, enum site site)
{
    float scale[256];
    int i = 0;
    while (b->matrices[i].site != site)
        i++;
    make_scale(m, site, b->matrices[i].k, scale);
    if (site != SITE_DOWN || !b->experts)
        CHECK_OK(fold_site(m, b, site, -1, scale));
    else
        for (int64_t e = 0; e < b->experts; e++)
            CHECK_OK(fold_site(m, b, site, e, scale));
}

/* Folding changes a block's weights, and not what it computes. This is the second block, since the
 * first of a model with experts may have none. */
static void check_folding(const char *name, const char *directory)
{
    enum { ROWS = 20 };
    ptq_context *context = test_context();
    struct model *m;
    struct workspace *w;
    struct block *b;
    int quantized;
    if (!CHECK_OK(model_open(context, directory, &m)))
        return;
    const int64_t count = ROWS * m->config.hidden;
    float *x = ptqi_alloc(context, 2 * count, (int64_t)sizeof *x);
    for (int64_t i = 0; i < count; i++)
        x[i] = x[count + i] = (float)uniform("x", (uint64_t)i);
    CHECK_OK(workspace_create(m, ROWS, &w));
    CHECK_OK(model_load_block(m, NULL, 1, -1, &b, &quantized));
    CHECK_OK(block_forward(m, b, w, x, ROWS));
    for (enum site site = 0; site < SITES; site++)
        if (fold_is_possible(m, site))
            fold(m, b, site);
    CHECK_OK(block_forward(m, b, w, x + count, ROWS));
    compare(name, x + count, x, count);
    block_free(b);
    workspace_free(w);
    model_free(m);
    ptqi_free(context, x);
}

void architectures_reference(const char *name, char *path, size_t capacity)
{
    char part[100];
    snprintf(part, sizeof part, "architectures/%s/reference.safetensors", name);
    snprintf(path, capacity, "%s", test_data(part));
}

/* other: a model, or NULL for the recorded logits. */
static void compare_with(const char *model, const char *other, const char *reference)
{
    ptq_store *store;
    ptq_tensor *ids, *recorded;
    if (!CHECK_OK(ptq_store_open(test_context(), reference, &store)))
        return;
    CHECK_OK(ptq_store_tensor(store, "ids", &ids));
    CHECK_OK(ptq_store_tensor(store, "logits", &recorded));
    const int64_t count = ptq_tensor_elements(ids);
    float *logits = logits_of(test_context(), model, ptq_tensor_data(ids), count);
    float *own = other ? logits_of(test_context(), other, ptq_tensor_data(ids), count) : NULL;
    if (logits && (own || !other))
        compare(model, logits, own ? own : ptq_tensor_data(recorded),
                ptq_tensor_elements(recorded));
    ptqi_free(test_context(), logits);
    ptqi_free(test_context(), own);
    ptq_tensor_free(ids);
    ptq_tensor_free(recorded);
    ptq_store_free(store);
}

void architectures_compare(const char *model, const char *reference)
{
    compare_with(model, NULL, reference);
}

void architectures_compare_models(const char *model, const char *other, const char *reference)
{
    compare_with(model, other, reference);
}

static void check_architecture(const char *name)
{
    char directory[600], reference[700];
    ptq_store *store;
    ptq_tensor *ids, *wanted;
    architectures_make(name, directory, sizeof directory);
    architectures_reference(name, reference, sizeof reference);
    if (!CHECK_OK(ptq_store_open(test_context(), reference, &store)))
        return;
    CHECK_OK(ptq_store_tensor(store, "ids", &ids));
    CHECK_OK(ptq_store_tensor(store, "logits", &wanted));
    float *logits =
        logits_of(test_context(), directory, ptq_tensor_data(ids), ptq_tensor_elements(ids));
    if (logits)
        compare(name, logits, ptq_tensor_data(wanted), ptq_tensor_elements(wanted));
    /* Angles that depend on the length of the window change while a text grows. */
    const int grows = !strcmp(name, "llama-dynamic") || !strcmp(name, "phi3-longrope");
    float *cached =
        run_cached(test_context(), directory, ptq_tensor_data(ids), ptq_tensor_elements(ids));
    if (cached && logits && !grows)
        CHECK(!memcmp(cached, logits, (size_t)ptq_tensor_elements(wanted) * sizeof *logits));
    ptqi_free(test_context(), cached);
    ptqi_free(test_context(), logits);
    check_folding(name, directory);
    ptq_tensor_free(ids);
    ptq_tensor_free(wanted);
    ptq_store_free(store);
}

void test_architectures(void)
{
    for (int i = 0; i < NAMES; i++)
        check_architecture(names[i]);
}
