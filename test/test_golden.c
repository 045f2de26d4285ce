/*
 * RTN and GPTQ against the outputs of the original implementations for the same layers. The layers
 * are synthetic, with outliers, dead channels and heavy tails. test/data/golden is a small part of
 * the data; ../shared/golden, if present, is all of it.
 *
 * RTN's codes must be equal except on ties, fewer than one in 10000. GPTQ propagates rounding
 * differences, so its output error must be at most the original's, or within 1 % of it.
 */
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"

void test_golden(void);

/* A layer and, in double, X^T X. */
struct layer {
    char name[64];
    int64_t n, k;
    ptq_tensor *weight;
    float *w;
    double *gram, energy; /* energy of the outputs, |X W^T|^2 */
    ptq_stats *stats;
};

/* sum over the rows of d of d G d^T: the squared norm of X D^T. */
static double energy(const struct layer *l, const float *d)
{
    double sum = 0;
    for (int64_t n = 0; n < l->n; n++)
        for (int64_t i = 0; i < l->k; i++) {
            double row = 0;
            for (int64_t j = 0; j < l->k; j++)
                row += l->gram[i * l->k + j] * (double)d[n * l->k + j];
            sum += row * (double)d[n * l->k + i];
        }
    return sum;
}

static void free_layer(struct layer *l)
{
    ptq_tensor_free(l->weight);
    ptq_stats_free(l->stats);
    free(l->w);
    free(l->gram);
    memset(l, 0, sizeof *l);
}

static void load_layer(struct layer *l, const char *directory, const char *name)
{
    char path[600];
    ptq_store *store;
    ptq_tensor *x, *w;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (!CHECK_OK(ptq_store_open(test_context(), path, &store)))
        return;
    snprintf(l->name, sizeof l->name, "%s", name);
    CHECK_OK(ptq_store_tensor(store, "weight", &w));
    CHECK_OK(ptq_store_tensor(store, "input", &x));
    const float *inputs = ptq_tensor_data(x);
    const int64_t shape[2] = {l->n = ptq_tensor_size(w, 0), l->k = ptq_tensor_size(w, 1)};
    const int64_t rows = ptq_tensor_size(x, 0), k = l->k;
    l->w = malloc((size_t)ptq_tensor_bytes(w));
    memcpy(l->w, ptq_tensor_data(w), (size_t)ptq_tensor_bytes(w));
    CHECK_OK(ptq_tensor_borrow(test_context(), PTQ_DTYPE_F32, 2, shape, l->w, &l->weight));
    CHECK_OK(ptq_stats_create(test_context(), k, PTQ_STATS_HESSIAN, &l->stats));
    CHECK_OK(ptq_stats_update(l->stats, inputs, PTQ_DTYPE_F32, rows, k, NULL));
    l->gram = calloc((size_t)(k * k), sizeof *l->gram);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++)
                l->gram[i * k + j] += (double)inputs[t * k + i] * (double)inputs[t * k + j];
    l->energy = energy(l, l->w);
    ptq_tensor_free(x);
    ptq_tensor_free(w);
    ptq_store_free(store);
}

static double number(const struct ptqi_json *object, const char *name, double fallback)
{
    const struct ptqi_json *value = ptqi_json_get(object, name);
    return value && value->kind == PTQI_JSON_NUMBER ? value->number : fallback;
}

static ptq_config *make_config(const struct ptqi_json *c)
{
    ptq_config *config = NULL;
    const char *grid = ptqi_json_string(ptqi_json_get(c, "grid"));
    CHECK_OK(ptq_config_create(test_context(),
                               ptq_method_from_name(ptqi_json_string(ptqi_json_get(c, "method"))),
                               &config));
    CHECK_OK(ptq_config_set_float(config, PTQ_PARAM_BITS, number(c, "bits", 0)));
    CHECK_OK(ptq_config_set_float(config, PTQ_PARAM_GROUP, number(c, "group", -1)));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_SYMMETRIC, ptqi_json_flag(c, "sym", 1)));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_MSE, ptqi_json_flag(c, "mse", 0)));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_ACT_ORDER, ptqi_json_flag(c, "act_order", 0)));
    CHECK_OK(
        ptq_config_set_int(config, PTQ_PARAM_STATIC_GROUPS, ptqi_json_flag(c, "static_groups", 0)));
    CHECK_OK(ptq_config_set_float(config, PTQ_PARAM_DAMPING, number(c, "damping", 0.01)));
    CHECK_OK(ptq_config_set_float(config, PTQ_PARAM_BLOCK, number(c, "block", 128)));
    CHECK_OK(ptq_config_set_int(config, PTQ_PARAM_CLIP, ptqi_json_flag(c, "clip", 0)));
    CHECK_OK(ptq_config_parse(config, "grid", grid ? grid : "gptq"));
    return config;
}

/* Codes equal except on ties; scales within a few units in the last place. */
static void check_codes(const char *path, const struct layer *l, const ptq_qtensor *q)
{
    const int64_t count = l->n * l->k, scales = l->n * ptq_qtensor_groups(q);
    ptq_store *store;
    ptq_tensor *codes, *scale;
    if (!CHECK_OK(ptq_store_open(test_context(), path, &store)))
        return;
    CHECK_OK(ptq_store_tensor(store, "codes", &codes));
    CHECK_OK(ptq_store_tensor(store, "scales", &scale));
    uint8_t *got = malloc((size_t)count);
    float *got_scales = malloc((size_t)scales * 4);
    const uint8_t *want = ptq_tensor_data(codes);
    const float *want_scales = ptq_tensor_data(scale);
    int64_t differ = 0, far = 0;
    CHECK_EQ(ptq_tensor_elements(codes), count);
    CHECK_EQ(ptq_tensor_elements(scale), scales);
    CHECK_OK(ptq_qtensor_codes(q, got));
    CHECK_OK(ptq_qtensor_scales(q, got_scales));
    for (int64_t i = 0; i < count; i++)
        differ += got[i] != want[i];
    for (int64_t i = 0; i < scales; i++)
        far += fabsf(got_scales[i] - want_scales[i]) > 1e-6f * want_scales[i];
    if (!CHECK(differ * 10000 < count && far * 10000 < scales))
        printf("    %s: %lld codes and %lld scales differ\n", path, (long long)differ,
               (long long)far);
    free(got);
    free(got_scales);
    ptq_tensor_free(codes);
    ptq_tensor_free(scale);
    ptq_store_free(store);
}

static void check_case(const char *directory, const struct layer *l, const struct ptqi_json *c)
{
    ptq_config *config = make_config(c);
    ptq_qtensor *q = NULL;
    const char *file = ptqi_json_string(ptqi_json_get(c, "file"));
    const ptq_tensor *weights[1] = {l->weight};
    float *d = malloc((size_t)(l->n * l->k) * 4);
    CHECK_OK(ptq_quantize(config, weights, 1, l->stats, NULL, &q));
    if (q) {
        CHECK_OK(ptq_qtensor_dequantize(q, d));
        for (int64_t i = 0; i < l->n * l->k; i++)
            d[i] -= l->w[i];
        double error = energy(l, d) / l->energy, recorded = number(c, "output_error", 0);
        int rtn = ptq_config_method(config) == PTQ_METHOD_RTN;
        if (!CHECK(rtn ? fabs(error / recorded - 1) < 1e-3 : error <= 1.01 * recorded))
            printf("    %s: output error %.9g, recorded %.9g\n", file, error, recorded);
        /* the library's reported error, from the f32 Hessian */
        CHECK(fabs(ptq_qtensor_output_error(q) / error - 1) < 1e-3);
        if (rtn) {
            char path[600];
            snprintf(path, sizeof path, "%s/%s", directory, file);
            check_codes(path, l, q);
        }
    }
    free(d);
    ptq_qtensor_free(q);
    ptq_config_free(config);
}

static void check_directory(const char *index, int64_t least)
{
    char directory[512];
    struct ptqi_map map;
    struct ptqi_json_document *document;
    const struct ptqi_json *root = NULL;
    struct layer l = {0};
    int64_t count = 0;
    snprintf(directory, sizeof directory, "%s", index);
    *strrchr(directory, '/') = 0;
    if (!CHECK_OK(ptqi_map_file(test_context(), index, &map)))
        return;
    CHECK_OK(
        ptqi_json_parse(test_context(), (const char *)map.data, map.size, index, &document, &root));
    const struct ptqi_json *cases = ptqi_json_get(root, "cases");
    for (const struct ptqi_json *c = cases ? cases->first : NULL; c; c = c->next) {
        const char *name = ptqi_json_string(ptqi_json_get(c, "layer"));
        if (!ptqi_json_get(c, "output_error"))
            continue; /* cases with activations are tested by command.sh */
        if (strcmp(l.name, name)) {
            free_layer(&l);
            load_layer(&l, directory, name);
        }
        if (l.weight)
            check_case(directory, &l, c);
        count++;
    }
    CHECK(count >= least);
    free_layer(&l);
    ptqi_json_free(document);
    ptqi_unmap_file(&map);
}

void test_golden(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s", test_data("golden/index.json"));
    check_directory(path, 11);
    const char *all = shared_data("golden/index.json");
    if (!all) {
        test_skip("no ../shared/golden");
        return;
    }
    snprintf(path, sizeof path, "%s", all);
    check_directory(path, 40);
}
