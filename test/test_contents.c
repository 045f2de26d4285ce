/*
 * Checkpoints as found in practice: what else their files and their config.json contain, and in
 * which dtypes. What would change the result is used, or rejected by name before any work;
 * everything else passes through quantization unchanged.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "base/half.h"
#include "model/model.h"
#include "calibrate/quantize_run.h"
#include "test.h"

static const char tiny[] = "examples/llama-tiny";

/* A tensor to add to a checkpoint, of any type, whose bytes are all the same. */
struct extra {
    const char *name, *dtype, *shape;
    int bytes, value;
};

static void write_file(const char *directory, const char *name, const void *data, int64_t bytes)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    CHECK_OK(ptqi_write_file(test_context(), path, data, bytes));
}

static void copy_file(const char *from, const char *directory, const char *name)
{
    struct ptqi_map file;
    char path[700];
    snprintf(path, sizeof path, "%s/%s", from, name);
    if (!CHECK_OK(ptqi_map_file(test_context(), path, &file)))
        return;
    write_file(directory, name, file.data, file.size);
    ptqi_unmap_file(&file);
}

/* Replaces a part of config.json, and adds members to its end. */
static void write_config(const char *directory, const char *old, const char *new, const char *more)
{
    struct ptqi_map file;
    char path[700], text[4000];
    snprintf(path, sizeof path, "%s/config.json", tiny);
    if (!CHECK_OK(ptqi_map_file(test_context(), path, &file)))
        return;
    const char *data = (const char *)file.data, *at = data;
    char copy[3000];
    snprintf(copy, sizeof copy, "%.*s", (int)file.size, data);
    at = *old ? strstr(copy, old) : copy;
    if (CHECK(at != NULL)) {
        char *end = strrchr(copy, '}');
        *end = 0;
        snprintf(text, sizeof text, "%.*s%s%s%s}", (int)(at - copy), copy, new, at + strlen(old),
                 more);
        write_file(directory, "config.json", text, (int64_t)strlen(text));
    }
    ptqi_unmap_file(&file);
}

/* llama-tiny's model.safetensors with one more tensor. */
static void write_model(const char *directory, const struct extra *extra)
{
    struct ptqi_map file;
    char path[700];
    snprintf(path, sizeof path, "%s/model.safetensors", tiny);
    if (!CHECK_OK(ptqi_map_file(test_context(), path, &file)))
        return;
    uint64_t header = 0;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | file.data[i];
    const int64_t data = file.size - 8 - (int64_t)header;
    char *all = malloc((size_t)(file.size + extra->bytes) + 1000), *at = all + 8;
    const char *end = (const char *)file.data + 8 + header;
    while (*--end != '}')
        ;
    memcpy(at, file.data + 8, (size_t)(end - (const char *)file.data - 8));
    at += end - (const char *)file.data - 8;
    at += sprintf(at, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%lld,%lld]}}",
                  extra->name, extra->dtype, extra->shape, (long long)data,
                  (long long)data + extra->bytes);
    header = (uint64_t)(at - all - 8);
    for (int i = 0; i < 8; i++)
        all[i] = (char)(header >> (8 * i));
    memcpy(at, file.data + file.size - data, (size_t)data);
    memset(at + data, extra->value, (size_t)extra->bytes);
    write_file(directory, "model.safetensors", all, at + data + extra->bytes - all);
    ptqi_unmap_file(&file);
    free(all);
}

/* A scratch copy of llama-tiny with another config and one more tensor (NULL: none). */
static const char *make_checkpoint(const char *old, const char *new, const char *more,
                                   const struct extra *extra)
{
    static char directory[600];
    snprintf(directory, sizeof directory, "%s", test_scratch("contents"));
    mkdir(directory, 0777);
    copy_file(tiny, directory, "tokenizer.json");
    write_config(directory, old, new, more);
    if (extra)
        write_model(directory, extra);
    else
        copy_file(tiny, directory, "model.safetensors");
    return directory;
}

/* Opens a checkpoint. If wanted is given, it must be rejected with a message that contains it. */
static struct model *open_checkpoint(const char *directory, const char *wanted)
{
    struct model *m = NULL;
    char message[600];
    ptq_status status = model_open(test_context(), directory, &m);
    ptq_last_message(message, (int64_t)sizeof message);
    if (!CHECK(wanted ? status && strstr(message, wanted) : !status))
        printf("    wanted: %s; got: %s\n", wanted ? wanted : "success",
               status ? message : "success");
    return m;
}

/* Spellings of config.json. */
static void test_config_spellings(void)
{
    static const struct {
        const char *old, *new, *more, *refused; /* refused: text in the message; NULL: accepted */
        double theta;
        const char *unused;
    } cases[] = {
        {"\"rope_theta\": 10000.0", "\"rope_theta\": 5e5", "", NULL, 5e5, ""},
        {"", "", ",\"rope_parameters\": {\"rope_type\": \"default\"}", NULL, 1e4, ""},
        {"", "", ",\"rope_parameters\": {}, \"rope_scaling\": null", NULL, 1e4, ""},
        {"\"rope_theta\": 10000.0", "\"x\": null",
         ",\"rope_scaling\": {\"rope_type\": \"default\", \"rope_theta\": 5e5}", NULL, 5e5, ""},
        {"\"rope_theta\": 10000.0", "\"x\": null", ",\"rope_parameters\": {\"rope_theta\": 7e5}",
         NULL, 7e5, ""},
        {"\"rope_theta\": 10000.0", "\"x\": null", "", NULL, 1e4, ""},
        {"", "", ",\"rope_parameters\": {\"rope_theta\": 7e5}", "rope_parameters", 0, ""},
        {"", "", ",\"rope_parameters\": {\"type\": \"proportional\"}", "rope_parameters", 0, ""},
        {"", "", ",\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8}", "rope_scaling", 0,
         ""},
        {"", "", ",\"rope_scaling\": {\"factor\": 8}", "factor", 0, ""},
        {"", "", ",\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}", NULL, 1e4, ""},
        {"", "", ",\"rope_scaling\": {\"type\": \"linear\"}", "rope_scaling", 0, ""},
        {"", "", ",\"rope_scaling\": {\"type\": \"default\", \"partial_rotary_factor\": 1e300}",
         "partial_rotary_factor", 0, ""},
        {"", "", ",\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4, \"beta_fast\": 1}",
         "rope_scaling", 0, ""},
        {"", "", ",\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"truncate\": 0}",
         "rope_scaling", 0, ""},
        {"", "",
         ",\"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}, \"rope_parameters\": "
         "{\"rope_type\": \"linear\", \"factor\": 2}",
         "rope_scaling", 0, ""},
        {"", "", ",\"rope_scaling\": {\"mscale\": 1}", "rope_scaling", 0, ""},
        {"", "", ",\"rope_scaling\": {\"rope_type\": 3}", "rope_scaling", 0, ""},
        {"", "", ",\"rope_scaling\": \"linear\"", "rope_scaling", 0, ""},
        {"", "", ",\"rope_scaling\": true", "rope_scaling", 0, ""},
        {"10000.0", "\"10000\"", "", "rope_theta", 0, ""},
        {"", "", ",\"rope_interleaved\": false", NULL, 1e4, ""},
        {"", "", ",\"rope_interleaved\": true", "rope_interleaved", 0, ""},
        {"", "", ",\"rope_interleaved\": \"false\"", "rope_interleaved", 0, ""},
        {"\"tie_word_embeddings\": true", "\"tie_word_embeddings\": \"true\"", "",
         "tie_word_embeddings", 0, ""},
        {"\"tie_word_embeddings\": true", "\"tie_word_embeddings\": null", "", "lm_head.weight", 0,
         ""},
        {"\"attention_bias\": false", "\"attention_bias\": 0", "", "attention_bias", 0, ""},
        {"\"attention_bias\": false", "\"attention_bias\": true", "", "k_proj.bias", 0, ""},
        {"\"mlp_bias\": false", "\"mlp_bias\": true", "", "proj.bias", 0, ""},
        {"\"mlp_bias\": false", "\"mlp_bias\": null", "", NULL, 1e4, ""},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 2.5", "", "num_key_value_heads", 0,
         ""},
        {"\"silu\"", "\"gelu\"", "", "hidden_act", 0, ""},
        {"\"silu\"", "null", "", NULL, 1e4, ""},
        {"", "", ",\"quantization\": {\"bits\": 4}", "quantization", 0, ""},
        {"", "", ",\"compression_config\": {\"bits\": 4}", "compression_config", 0, ""},
        {"", "", ",\"pruned_heads\": {\"1\": [0]}", "pruned_heads", 0, ""},
        {"", "", ",\"pruned_heads\": {}", NULL, 1e4, ""},
        {"", "", ",\"quantization_config\": {\"quant_method\": \"ptq\"}", "quantization_config", 0,
         ""},
        {"", "", ",\"quantization_config\": {\"quant_method\": \"ptq\", \"version\": 2}",
         "quantization_config", 0, ""},
        {"", "", ",\"quantization_config\": {\"quant_method\": \"ptq\", \"version\": 1}", NULL, 1e4,
         "config.json's quantization_config (no matrix is quantized)"},
        {"", "", ",\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4}",
         "no matrix is quantized", 0, ""},
        {"", "", ",\"quantization_config\": {}", "no matrix is quantized", 0, ""},
        {"", "", ",\"quantization_config\": []", "quantization_config", 0, ""},
        {"", "", ",\"quantization_config\": null", NULL, 1e4, ""},
        {"", "", ",\"is_causal\": true", NULL, 1e4, ""},
        {"", "", ",\"is_causal\": false", "is_causal", 0, ""},
        {"", "", ",\"is_causal\": 0", "is_causal", 0, ""},
        {"", "", ",\"attn_logit_softcapping\": 50", "attn_logit_softcapping", 0, ""},
        {"", "", ",\"sliding_window\": 64, \"something\": [1], \"nothing\": null", NULL, 1e4,
         "config.json's sliding_window, config.json's something"},
        {"\"model_type\": \"llama\"", "\"model_type\": \"llama9\"", "",
         "supported: llama, mistral, ", 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *directory = make_checkpoint(cases[i].old, cases[i].new, cases[i].more, NULL);
        struct model *m = open_checkpoint(directory, cases[i].refused);
        if (m && !CHECK(m->config.rope.theta == cases[i].theta &&
                        !strcmp(m->checkpoint->unused.text, cases[i].unused)))
            printf("    %s%s: theta %g, unused \"%s\"\n", cases[i].new, cases[i].more,
                   m->config.rope.theta, m->checkpoint->unused.text);
        model_free(m);
    }
}

static ptq_status quantize(struct model *m, const char *out, int32_t method, int fold)
{
    struct progress progress;
    struct quantize_run run = {.context = test_context(), .model = m, .path = out, .fold = fold};
    run.progress = &progress;
    progress_begin(&progress, 0);
    CHECK_OK(ptq_config_create(test_context(), method, &run.config));
    CHECK_OK(ptq_config_set_int(run.config, PTQ_PARAM_GROUP, 32));
    struct calibration_request request = {"examples/calib-tiny.txt", 2, 32, 0};
    struct windows windows = {0};
    if (quantize_needs_calibration(run.config)) {
        CHECK_OK(quantize_load_calibration(m, &request, &windows));
        run.windows = &windows;
    }
    ptq_status status = quantize_check_model(m, &progress);
    if (!status)
        status = quantize_model(&run);
    quantize_free(&run, 0);
    windows_free(&windows);
    ptq_config_free(run.config);
    return status;
}

static void remove_output(const char *out)
{
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json"};
    char path[700];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", out, files[i]);
        unlink(path);
    }
    rmdir(out);
}

static int64_t find_tensor(const ptq_store *store, const char *name)
{
    int64_t i = ptq_store_count(store) - 1;
    while (i >= 0 && strcmp(ptq_store_name(store, i), name))
        i--;
    return i;
}

/* Whether a tensor of one store is in the other, byte for byte. */
static int same_tensor(const ptq_store *a, const ptq_store *b, const char *name)
{
    const int64_t i = find_tensor(a, name), j = find_tensor(b, name);
    return i >= 0 && j >= 0 && !strcmp(ptq_store_dtype(a, i), ptq_store_dtype(b, j)) &&
           ptq_store_bytes(a, i) == ptq_store_bytes(b, j) &&
           !memcmp(ptq_store_data(a, i), ptq_store_data(b, j), (size_t)ptq_store_bytes(a, i));
}

/* Tensors that the architecture does not know. */
static void test_unknown_tensors(void)
{
    static const struct {
        struct extra extra;
        const char *refused;
    } cases[] = {
        {{"model.position_ids", "I64", "4", 32, 1}, NULL},
        {{"model.layers.3.self_attn.mask", "BOOL", "2,2", 4, 1}, NULL},
        {{"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", "2", 8, 0}, NULL},
        {{"model.scale", "F64", "3", 24, 0}, NULL},
        {{"model.layers.4.mlp.up_proj.weight", "F16", "2,2", 8, 0}, NULL},
        {{"vision.scale", "F8_E4M3", "", 1, 0}, NULL},
        {{"model.layers.0.self_attn.masked_bias", "F32", "0", 0, 0}, NULL},
        {{"model.layers.0.self_attn.q_norm.weight", "F16", "32", 64, 0}, "q_norm.weight"},
        {{"model.layers.1.third_norm.weight", "F64", "1", 8, 0}, "third_norm.weight"},
        {{"model.layers.2.mlp.up_proj.lora_A.weight", "F32", "1", 4, 0}, "lora_A.weight"},
        {{"base.model.layers.2.mlp.up_proj.lora_A", "F32", "1", 4, 0}, "base.model.layers.2"},
        {{"vision.encoder.layers.2.norm", "F32", "1", 4, 0}, NULL},
        {{"model.layers.2.mlp.up_proj.weight_scale", "F32", "1", 4, 0}, "weight_scale"},
        {{"model.layers.2.mlp.up_proj.qzeros", "I32", "1", 4, 0}, "qzeros"},
        {{"model.layers.2.mlp.up_proj.codes", "U8", "1", 1, 0}, "up_proj.codes"},
        {{"model.layers.2.self_attn.q_proj.bias", "F16", "128", 256, 0}, "attention_bias"},
        {{"model.layers.2.input_layernorm.bias", "F16", "128", 256, 0}, "input_layernorm.bias"},
        {{"model.norm.bias", "F16", "128", 256, 0}, "model.norm.bias"},
        {{"model.embed_tokens.weight_scale", "F16", "", 2, 0}, "embed_tokens.weight_scale"},
        {{"lm_head.bias", "F16", "1024", 2048, 0}, "lm_head.bias"},
    };
    char out[600];
    snprintf(out, sizeof out, "%s", test_scratch("contents-out"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *directory = make_checkpoint("", "", "", &cases[i].extra);
        struct model *m = open_checkpoint(directory, cases[i].refused);
        ptq_store *store;
        remove_output(out);
        if (!m)
            continue;
        if (CHECK_OK(quantize(m, out, PTQ_METHOD_RTN, 0)) &&
            CHECK_OK(ptq_store_open(test_context(), out, &store))) {
            CHECK(same_tensor(m->checkpoint->store, store, cases[i].extra.name));
            ptq_store_free(store);
        }
        model_free(m);
        m = open_checkpoint(out, NULL);
        model_free(m);
    }
    remove_output(out);
}

/* config.json says that the head is the embedding, and the file has a head. */
static void test_tied_head(void)
{
    ptq_tensor *embedding;
    const struct extra other = {"lm_head.weight", "F16", "1024,128", 1024 * 128 * 2, 1};
    struct model *m = open_checkpoint(make_checkpoint("", "", "", &other), NULL);
    CHECK(m && m->head != &m->embedding);
    model_free(m);
    const struct extra wrong = {"lm_head.weight", "F16", "512,128", 512 * 128 * 2, 1};
    open_checkpoint(make_checkpoint("", "", "", &wrong), "lm_head.weight");
    /* A copy of the embedding, in another dtype. */
    const char *directory = make_checkpoint("", "", "", NULL);
    char path[700];
    ptq_store *from, *to;
    ptq_tensor *wide;
    int64_t shape[2] = {1024, 128};
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    CHECK_OK(ptq_store_open(test_context(), path, &from));
    CHECK_OK(ptq_store_create(test_context(), path, &to));
    CHECK_OK(ptq_store_tensor(from, "model.embed_tokens.weight", &embedding));
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F32, 2, shape, &wide));
    CHECK_OK(ptq_tensor_to_f32(embedding, ptq_tensor_data(wide)));
    for (int64_t i = 0; i < ptq_store_count(from); i++)
        CHECK_OK(ptq_store_copy(to, from, ptq_store_name(from, i)));
    CHECK_OK(ptq_store_add(to, "lm_head.weight", wide));
    CHECK_OK(ptq_store_commit(to));
    ptq_tensor_free(embedding);
    ptq_tensor_free(wide);
    ptq_store_free(to);
    ptq_store_free(from);
    m = open_checkpoint(directory, NULL);
    CHECK(m && m->head == &m->embedding);
    model_free(m);
}

/* Whether the test stores this norm as f32, with values beyond f16. */
static int is_wide_norm(const char *name)
{
    return strstr(name, "post_attention_layernorm") != NULL;
}

/* An f16 checkpoint whose second norms are f32 and 90000 times as large, with gate and up scaled
 * down to match. */
static void write_mixed(const char *directory)
{
    char path[700];
    ptq_store *from, *to;
    ptq_tensor *tensors[64] = {NULL};
    int64_t count = 0;
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    CHECK_OK(ptq_store_open(test_context(), tiny, &from));
    CHECK_OK(ptq_store_create(test_context(), path, &to));
    for (int64_t i = 0; i < ptq_store_count(from); i++) {
        const char *name = ptq_store_name(from, i);
        const int after = strstr(name, "gate_proj") || strstr(name, "up_proj");
        if (!is_wide_norm(name) && !after) {
            CHECK_OK(ptq_store_copy(to, from, name));
            continue;
        }
        ptq_tensor *source;
        CHECK_OK(ptq_store_tensor(from, name, &source));
        int64_t shape[2] = {ptq_tensor_size(source, 0), ptq_tensor_size(source, 1)};
        CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F32, ptq_tensor_rank(source), shape,
                                   &tensors[count]));
        float *values = ptq_tensor_data(tensors[count]);
        CHECK_OK(ptq_tensor_to_f32(source, values));
        for (int64_t j = 0; j < ptq_tensor_elements(source); j++)
            values[j] = after ? values[j] / 90000 : (values[j] + 1) * 90000;
        CHECK_OK(ptq_store_add(to, name, tensors[count++]));
        ptq_tensor_free(source);
    }
    CHECK_OK(ptq_store_commit(to));
    for (int64_t i = 0; i < count; i++)
        ptq_tensor_free(tensors[i]);
    ptq_store_free(to);
    ptq_store_free(from);
}

/* Each vector keeps its own type, and its value if nothing is folded. */
static void test_mixed_types(void)
{
    char directory[600], out[600];
    snprintf(directory, sizeof directory, "%s", make_checkpoint("", "", "", NULL));
    snprintf(out, sizeof out, "%s", test_scratch("contents-out"));
    write_mixed(directory);
    for (int fold = 0; fold < 2; fold++) {
        struct model *m = open_checkpoint(directory, NULL);
        ptq_store *store;
        remove_output(out);
        if (m && CHECK_OK(quantize(m, out, fold ? PTQ_METHOD_SMOOTHQUANT : PTQ_METHOD_RTN, fold)) &&
            CHECK_OK(ptq_store_open(test_context(), out, &store))) {
            for (int64_t i = 0; i < ptq_store_count(store); i++) {
                const char *name = ptq_store_name(store, i);
                if (!strstr(name, "norm.weight"))
                    continue;
                CHECK(!strcmp(ptq_store_dtype(store, i), is_wide_norm(name) ? "F32" : "F16"));
                CHECK(fold || same_tensor(m->checkpoint->store, store, name));
            }
            ptq_store_free(store);
        }
        model_free(m);
        m = open_checkpoint(out, NULL);
        for (int64_t l = 0; m && l < m->config.layers; l++) {
            struct block *b;
            int quantized;
            if (CHECK_OK(model_load_block(m, NULL, l, -1, &b, &quantized)))
                block_free(b);
        }
        model_free(m);
    }
    remove_output(out);
}

void test_contents(void);
void test_contents(void)
{
    test_config_spellings();
    test_unknown_tensors();
    test_tied_head();
    test_mixed_types();
}
