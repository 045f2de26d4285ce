/*
 * Models in GGUF files: the models of test_architectures.c as llama.cpp's converter makes them
 * (gguf_models.py), and those of ../shared/checkpoints, against the logits of transformers; and the
 * token ids of llama.cpp.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "architectures.h"
#include "base/context.h"
#include "base/file.h"
#include "base/half.h"
#include "base/json.h"
#include "gguf/general.h"
#include "gguf/parameters.h"
#include "gguf/tensors.h"
#include "model/architecture.h"
#include "model/gguf_names.h"
#include "test.h"
#include "text/tokenizer.h"

void test_gguf_models(void);

static const char *const names[] = {
    "llama", "llama-linear", "llama-llama3", "llama-yarn", "qwen2",   "llama-bias",
    "qwen3", "qwen3-moe",    "gemma2",       "gemma3",     "phi3",    "phi3-longrope",
    "gpt2",  "gpt2-tied",    "phi3-short",   "bloom",      "mixtral", "mistral"};
enum { NAMES = sizeof names / sizeof *names, MOST_BYTES = 1 << 20 };

/* Row n of a tensor [rows][columns] of the model, as GGUF has it. */
static void copy_row(const struct model *m, const struct matrix *matrix, const float *values,
                     int64_t n, int64_t rows, int64_t columns, float *out)
{
    const int64_t row = matrix ? gguf_row(&m->config, matrix->role, n) : n;
    const int plus_one = !matrix && columns == 1 && m->config.architecture->norm_plus_one;
    for (int64_t k = 0; k < columns; k++)
        out[k] = (m->transposed && matrix && columns > 1 ? values[k * rows + row]
                                                         : values[row * columns + k]) +
                 (plus_one ? 1.0f : 0.0f);
}

/* Writes tensor i of the model to its place in a GGUF file. */
static void fill_tensor(const struct model *m, int64_t i, const ptq_store *gguf)
{
    const struct checkpoint *c = m->checkpoint;
    char name[MAX_GGUF_NAME];
    struct matrix matrix;
    CHECK(gguf_name(m, i, name));
    const int64_t at = ptq_store_find(gguf, name);
    if (!CHECK(at >= 0))
        return;
    const int is_matrix =
        c->places[i].block >= 0 &&
        model_find_matrix(m, c->places[i].block, ptq_store_name(c->store, i), &matrix);
    const int turned = is_matrix && m->transposed && ptq_store_rank(c->store, i) == 2;
    const int64_t rows = ptq_store_size(c->store, i, turned),
                  columns = ptq_store_size(c->store, i, !turned);
    float *out = (float *)(uintptr_t)ptq_store_data(gguf, at);
    if (is_matrix && matrix.expert >= 0)
        out += matrix.expert * rows * columns;
    for (int64_t n = 0; n < rows; n++)
        copy_row(m, is_matrix ? &matrix : NULL, ptq_store_data(c->store, i), n, rows, columns,
                 out + n * columns);
}

/* Makes the GGUF file of a model: the recorded header, then the tensors. */
static void make_gguf(const char *name, const char *directory, const char *path)
{
    char part[100];
    struct model *m;
    ptq_store *gguf;
    snprintf(part, sizeof part, "gguf/%s.header", name);
    FILE *header = fopen(test_data(part), "rb"), *file = fopen(path, "wb");
    uint8_t *bytes = calloc(MOST_BYTES, 1);
    if (!CHECK(header && file && bytes) || !CHECK_OK(model_open(test_context(), directory, &m)))
        return;
    const size_t size = fread(bytes, 1, MOST_BYTES, header);
    int64_t data = 0;
    CHECK(size > 0 && size < MOST_BYTES);
    if (CHECK_OK(ptq_store_open_memory(test_context(), bytes, MOST_BYTES, &gguf))) {
        for (int64_t i = 0; i < ptq_store_count(m->checkpoint->store); i++)
            fill_tensor(m, i, gguf);
        for (int64_t i = 0; i < ptq_store_count(gguf); i++) {
            const uint8_t *end =
                (const uint8_t *)ptq_store_data(gguf, i) + ptq_store_bytes(gguf, i);
            data = end - bytes > data ? end - bytes : data;
        }
        ptq_store_free(gguf);
    }
    CHECK(fwrite(bytes, 1, (size_t)data, file) == (size_t)data);
    model_free(m);
    free(bytes);
    fclose(header);
    fclose(file);
}

/* Replaces a setting in config.json, every time it occurs. */
static void change_config(const char *directory, const char *from, const char *to)
{
    char path[700], text[8192], *at = text;
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *file = fopen(path, "r");
    text[file ? fread(text, 1, sizeof text - 1, file) : 0] = 0;
    if (!CHECK(file && strstr(text, from)) || fclose(file))
        return;
    file = fopen(path, "w");
    for (char *found; file && (found = strstr(at, from)); at = found + strlen(from))
        fprintf(file, "%.*s%s", (int)(found - at), at, to);
    CHECK(file && fputs(at, file) >= 0 && !fclose(file));
}

/* Settings that GGUF does not store: they are set to what its readers assume. */
static const struct {
    const char *model, *from, *to;
} lost[] = {{"mixtral", "\"sliding_window\": 9", "\"sliding_window\": null"},
            {"mistral", "\"sliding_window\": 9", "\"sliding_window\": null"},
            {"gemma2", "\"query_pre_attn_scalar\": 24", "\"query_pre_attn_scalar\": 16"},
            {"gemma3", "\"query_pre_attn_scalar\": 24", "\"query_pre_attn_scalar\": 16"},
            {"gemma3", "\"full_attention\",", "\"sliding_attention\","}};
enum { LOST = sizeof lost / sizeof *lost };

/* Whether a written tensor is the one of llama.cpp's converter: in every byte, or, of the factors
 * of rotary positions, which the converter computes in f32, nearly. */
static int same_tensor(const ptq_store *a, int64_t i, const ptq_store *b, int64_t j)
{
    int same = ptq_store_rank(a, i) == ptq_store_rank(b, j) &&
               !strcmp(ptq_store_dtype(a, i), ptq_store_dtype(b, j));
    for (int32_t axis = 0; same && axis < ptq_store_rank(a, i); axis++)
        same = ptq_store_size(a, i, axis) == ptq_store_size(b, j, axis);
    if (!same || strncmp(ptq_store_name(a, i), "rope_", 5))
        return same &&
               !memcmp(ptq_store_data(a, i), ptq_store_data(b, j), (size_t)ptq_store_bytes(a, i));
    const float *x = ptq_store_data(a, i), *y = ptq_store_data(b, j);
    for (int64_t n = 0; n < ptq_store_size(a, i, 0); n++)
        same &= x[n] - y[n] < 1e-5f * y[n] && y[n] - x[n] < 1e-5f * y[n];
    return same;
}

/* Compares a written file with that of llama.cpp's converter. */
static void compare_written(const ptq_store *made, const ptq_store *wanted)
{
    const char *key;
    CHECK_EQ(ptq_store_count(made), ptq_store_count(wanted));
    for (int64_t i = 0; i < ptq_store_count(wanted); i++) {
        const int64_t at = ptq_store_find(made, ptq_store_name(wanted, i));
        if (!CHECK(at >= 0 && same_tensor(made, at, wanted, i)))
            printf("    %s\n", ptq_store_name(wanted, i));
    }
    int64_t keys = 0;
    for (; (key = ptq_store_metadata_key(wanted, keys)); keys++) {
        const char *value = ptq_store_metadata(made, key);
        if (!strcmp(key, "general.name")) /* of the directory */
            continue;
        if (!CHECK(
                value && !strcmp(value, ptq_store_metadata(wanted, key)) &&
                !strcmp(ptq_store_metadata_type(made, key), ptq_store_metadata_type(wanted, key))))
            printf("    %s: %s, not %s\n", key, value ? value : "nothing",
                   ptq_store_metadata(wanted, key));
    }
    CHECK(ptq_store_metadata_key(made, keys) == NULL);
}

/* Writes a model as GGUF, without a tokenizer. */
static ptq_status write_model(const struct model *m, const char *path)
{
    ptq_store *s;
    struct gguf_pairs p = {test_context(), NULL, gguf_architecture(&m->config), PTQ_OK};
    PTQI_TRY(ptq_store_create(test_context(), path, &s));
    p.store = s;
    ptq_status status = gguf_add_outside(m, (struct gguf_token_types){NULL, NULL}, 1, s);
    for (int64_t b = 0; b < m->config.layers && !status; b++)
        status = gguf_add_block(m, m->checkpoint->store, b, s);
    if (!status)
        status = gguf_put_general(m, &p);
    if (!status)
        status = gguf_put_parameters(m, &p);
    gguf_put_file_type(NULL, &p);
    if (!status)
        status = p.status;
    if (!status)
        status = ptq_store_commit(s);
    ptq_store_free(s);
    return status;
}

/* Writes the model of a directory, and compares it with the file of llama.cpp's converter. */
static void check_written(const char *directory, const char *converted)
{
    char path[600];
    struct model *m;
    ptq_store *made, *wanted;
    snprintf(path, sizeof path, "%s", test_scratch("architectures-written.gguf"));
    if (!CHECK_OK(model_open(test_context(), directory, &m)))
        return;
    CHECK_OK(write_model(m, path));
    model_free(m);
    if (!CHECK_OK(ptq_store_open(test_context(), path, &made)))
        return;
    if (CHECK_OK(ptq_store_open(test_context(), converted, &wanted)))
        compare_written(made, wanted);
    ptq_store_free(made);
    ptq_store_free(wanted);
}

/* Models that llama.cpp cannot compute are refused, naming what it lacks. */
static void check_unknown(void)
{
    static const char *const models[][2] = {
        {"opt", "architecture opt"},        {"llama-dynamic", "dynamic scaling"},
        {"llama-yarn-mscale", "YaRN"},      {"qwen2-window", "sliding_window"},
        {"qwen3-window", "sliding_window"}, {"qwen3-moe-sparse", "sliding_window"},
        {"gemma2", "query_pre_attn_scalar"}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char directory[600], text[500];
        struct model *m;
        architectures_make(models[i][0], directory, sizeof directory);
        if (!CHECK_OK(model_open(test_context(), directory, &m)))
            continue;
        CHECK_STATUS(gguf_check_model(m), PTQ_ERROR_UNSUPPORTED);
        ptq_last_message(text, (int64_t)sizeof text);
        if (!CHECK(strstr(text, models[i][1]) != NULL))
            printf("    %s: %s\n", models[i][0], text);
        model_free(m);
    }
}

static void check_architecture(const char *name)
{
    char directory[600], part[100], path[600], reference[700];
    int changes = 0;
    architectures_make(name, directory, sizeof directory);
    architectures_reference(name, reference, sizeof reference);
    snprintf(part, sizeof part, "architectures-%s.gguf", name);
    snprintf(path, sizeof path, "%s", test_scratch(part));
    make_gguf(name, directory, path);
    check_written(directory, path);
    for (int i = 0; i < LOST; i++)
        if (!strcmp(lost[i].model, name)) {
            change_config(directory, lost[i].from, lost[i].to);
            changes++;
        }
    if (changes)
        architectures_compare_models(path, directory, reference);
    else
        architectures_compare(path, reference);
    architectures_make(name, directory, sizeof directory); /* as other tests expect it */
}

static void check_shared(void)
{
    static const char *const files[] = {
        "gguf-llama-tiny/llama-tiny-Q4_0", "gguf-llama-tiny/llama-tiny-Q4_1",
        "gguf-llama-tiny/llama-tiny-Q8_0", "gguf-llama-5m/llama-5m-Q4_K_M"};
    char path[200], reference[700], model[700];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "checkpoints/%s.gguf", files[i]);
        const char *found = shared_data(path);
        if (!found) {
            test_skip("no ../shared/checkpoints with GGUF files");
            return;
        }
        snprintf(model, sizeof model, "%s", found);
        snprintf(path, sizeof path, "checkpoints/%s.reference.safetensors", files[i]);
        snprintf(reference, sizeof reference, "%s", shared_data(path));
        architectures_compare(model, reference);
    }
}

/* The ids of a text should be those of a list. */
static void check_ids(const struct tokenizer *t, const struct ptqi_json *text,
                      const struct ptqi_json *list)
{
    const struct ptqi_json *wanted = list->first;
    int32_t *ids;
    int64_t count, i = 0;
    if (!CHECK_OK(tokenizer_encode(t, text->text, text->length, &ids, &count)))
        return;
    for (; i < count && wanted && wanted->number == ids[i]; i++)
        wanted = wanted->next;
    if (!CHECK(i == count && !wanted))
        printf("    \"%.60s\", token %d\n", text->text, (int)i);
    ptqi_free(test_context(), ids);
}

/* The value of a key, parsed. */
static const struct ptqi_json *parse(const ptq_store *s, const char *key,
                                     struct ptqi_json_document **document)
{
    const char *text = ptq_store_metadata(s, key);
    const struct ptqi_json *root = NULL;
    if (CHECK(text != NULL))
        CHECK_OK(
            ptqi_json_parse(test_context(), text, (int64_t)strlen(text), key, document, &root));
    return root;
}

/* Merges are derived from scores. */
static void check_sentencepiece(void)
{
    const char *path = test_data("sentencepiece.gguf");
    struct ptqi_json_document *documents[3] = {NULL, NULL, NULL};
    const struct ptqi_json *list;
    struct tokenizer *t;
    ptq_store *s;
    int32_t *ids;
    int64_t count = 0;
    if (!CHECK_OK(tokenizer_load_model(test_context(), path, &t)) ||
        !CHECK_OK(ptq_store_open(test_context(), path, &s)))
        return;
    const struct ptqi_json *texts = parse(s, "test.texts", &documents[0]);
    const struct ptqi_json *wanted = parse(s, "test.ids", &documents[1]);
    const struct ptqi_json *text = texts ? texts->first : NULL;
    for (wanted = wanted ? wanted->first : NULL; text && wanted; text = text->next) {
        if (CHECK_OK(ptqi_json_parse(test_context(), wanted->text, wanted->length, path,
                                     &documents[2], &list)))
            check_ids(t, text, list);
        ptqi_json_free(documents[2]);
        wanted = wanted->next;
    }
    CHECK(!text && !wanted);
    if (CHECK_OK(tokenizer_encode_templated(t, "</s>", 4, &ids, &count)) && CHECK_EQ(count, 2)) {
        CHECK_EQ(ids[0], 1);
        CHECK_EQ(ids[1], 2);
    }
    ptqi_free(test_context(), ids);
    ptqi_json_free(documents[0]);
    ptqi_json_free(documents[1]);
    ptq_store_free(s);
    tokenizer_free(t);
}

static void check_tokenizers(void)
{
    static const char *const files[][2] = {
        {"llama-5m", "checkpoints/gguf-llama-5m/llama-5m-Q4_K_M.gguf"},
        {"llama-tiny", "checkpoints/gguf-llama-tiny/llama-tiny-Q4_0.gguf"}};
    const char *path = shared_data("checkpoints/llamacpp-token-ids.json");
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    struct ptqi_map map;
    if (!path || !shared_data(files[0][1])) {
        test_skip("no ../shared/checkpoints with token ids of llama.cpp");
        return;
    }
    if (!CHECK_OK(ptqi_map_file(test_context(), path, &map)) ||
        !CHECK_OK(ptqi_json_parse(test_context(), (const char *)map.data, map.size, path, &document,
                                  &root)))
        return;
    for (int i = 0; i < 2; i++) {
        struct tokenizer *t;
        if (!CHECK_OK(tokenizer_load_model(test_context(), shared_data(files[i][1]), &t)))
            continue;
        for (const struct ptqi_json *item = ptqi_json_get(root, files[i][0])->first; item;
             item = item->next)
            check_ids(t, ptqi_json_get(item, "text"), ptqi_json_get(item, "llamacpp"));
        tokenizer_free(t);
    }
    ptqi_json_free(document);
    ptqi_unmap_file(&map);
}

/* A file with a corrupted header opens or fails, and nothing else. */
static void check_corrupted(const char *name)
{
    char part[100], path[600];
    struct model *m;
    uint8_t *bytes = malloc(MOST_BYTES);
    snprintf(part, sizeof part, "architectures-%s.gguf", name);
    FILE *file = fopen(test_scratch(part), "rb");
    const size_t size = file && bytes ? fread(bytes, 1, MOST_BYTES, file) : 0;
    snprintf(path, sizeof path, "%s", test_scratch("corrupted.gguf"));
    int64_t failed = 0;
    if (!CHECK(size > 2000))
        return;
    fclose(file);
    for (size_t i = 0; i < 2000; i += test_long() ? 1 : 7) {
        const uint8_t before = bytes[i];
        bytes[i] ^= (uint8_t)(1 << i % 8);
        file = fopen(path, "wb");
        CHECK(file && fwrite(bytes, 1, size, file) == size && !fclose(file));
        failed += model_open(test_context(), path, &m) != PTQ_OK;
        model_free(m);
        bytes[i] = before;
    }
    CHECK(failed > 0);
    free(bytes);
}

/* Every allocation fails once, of opening a model, loading a block and loading a tokenizer. */
static ptq_status open_all(ptq_context *context, const char *path)
{
    struct model *m = NULL;
    struct block *b = NULL;
    struct tokenizer *t = NULL;
    int quantized;
    ptq_status status = model_open(context, path, &m);
    if (!status)
        status = model_load_block(m, NULL, 1, -1, &b, &quantized);
    block_free(b);
    model_free(m);
    if (!status)
        status = tokenizer_load_model(context, test_data("sentencepiece.gguf"), &t);
    tokenizer_free(t);
    return status;
}

static void check_allocations(const char *name)
{
    char part[100], path[600];
    ptq_status status = PTQ_ERROR_MEMORY;
    snprintf(part, sizeof part, "architectures-%s.gguf", name);
    snprintf(path, sizeof path, "%s", test_scratch(part));
    for (int64_t n = 1; status && CHECK(n < 5000); n++) {
        ptq_context *context = test_failing_context(n);
        status = context ? open_all(context, path) : PTQ_ERROR_MEMORY;
        test_free_failing(context);
        if (!CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY))
            break;
    }
}

/* Writes the tensors of a model to another file, one of them in f16. */
static void write_mixed(const ptq_store *from, const char *half, const char *path)
{
    ptq_store *s;
    ptq_tensor *t;
    const int64_t at = ptq_store_find(from, half);
    const int64_t shape[2] = {ptq_store_size(from, at, 0), ptq_store_size(from, at, 1)};
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F16, 2, shape, &t));
    ptqi_from_f32(ptq_tensor_data(t), PTQ_DTYPE_F16, ptq_store_data(from, at), shape[0] * shape[1]);
    CHECK_OK(ptq_store_create(test_context(), path, &s));
    for (int64_t i = 0; i < ptq_store_count(from); i++)
        if (i != at)
            CHECK_OK(ptq_store_copy(s, from, ptq_store_name(from, i)));
    CHECK_OK(ptq_store_add(s, half, t));
    CHECK_OK(ptq_store_commit(s));
    ptq_store_free(s);
    ptq_tensor_free(t);
}

/* Experts of several dtypes are stacked in one that holds them all, whichever is first. */
static void check_mixed_experts(void)
{
    static const char prefix[] = "model.layers.0.block_sparse_moe.experts";
    char directory[600], first[100], second[100];
    struct model *m;
    ptq_store *from, *to;
    snprintf(first, sizeof first, "%s.0.w1.weight", prefix);
    snprintf(second, sizeof second, "%s.1.w1.weight", prefix);
    architectures_make("mixtral", directory, sizeof directory);
    if (!CHECK_OK(model_open(test_context(), directory, &m)))
        return;
    const char *path = test_scratch("mixed-experts.safetensors");
    write_mixed(m->checkpoint->store, first, path);
    CHECK_OK(ptq_store_open(test_context(), path, &from));
    CHECK_OK(ptq_store_create(test_context(), "never-committed.gguf", &to));
    CHECK_OK(gguf_add_block(m, from, 0, to));
    const int64_t at = ptq_store_find(to, "blk.0.ffn_gate_exps.weight");
    const int64_t bytes = ptq_store_bytes(from, ptq_store_find(from, second));
    if (CHECK(at >= 0 && !strcmp(ptq_store_dtype(to, at), "F32")))
        CHECK(!memcmp((const char *)ptq_store_data(to, at) + bytes,
                      ptq_store_data(from, ptq_store_find(from, second)), (size_t)bytes));
    ptq_store_free(to);
    ptq_store_free(from);
    model_free(m);
}

void test_gguf_models(void)
{
    for (int i = 0; i < NAMES; i++)
        check_architecture(names[i]);
    check_unknown();
    check_mixed_experts();
    check_corrupted("llama-llama3");
    check_corrupted("qwen3-moe");
    check_corrupted("gemma3");
    check_allocations("mixtral");
    check_allocations("gemma3");
    check_shared();
    check_tokenizers();
    check_sentencepiece();
}
