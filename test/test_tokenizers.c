/*
 * Small tokenizers of all kinds, and real ones if they are there: ids and decoded texts recorded
 * from the tokenizers library.
 */
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"

void test_tokenizers(void);

static void add_members(struct ptqi_json_writer *w, const struct ptqi_json *object)
{
    for (const struct ptqi_json *item = object->first; item; item = item->next)
        ptqi_json_add_value(w, item->name, item);
}

/* The tokenizer.json of a case: its parts, and the model that it names with its options. */
static ptq_status write_case(const struct ptqi_json *models, const struct ptqi_json *c,
                             const char *path)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, test_context());
    ptqi_json_open(&w, NULL, '{');
    add_members(&w, ptqi_json_get(c, "tokenizer"));
    ptqi_json_open(&w, "model", '{');
    add_members(&w, ptqi_json_get(c, "options"));
    add_members(&w, ptqi_json_get(models, ptqi_json_get(c, "model")->text));
    ptqi_json_close(&w, '}');
    ptqi_json_close(&w, '}');
    ptq_status status = ptqi_json_finish(&w);
    FILE *file = status ? NULL : fopen(path, "wb");
    CHECK(file != NULL);
    if (file) {
        CHECK_EQ((int64_t)fwrite(w.text, 1, (size_t)w.length, file), w.length);
        CHECK(fclose(file) == 0);
    }
    ptqi_json_end(&w);
    return status;
}

static int are_ids(const int32_t *ids, int64_t count, const struct ptqi_json *expected)
{
    int64_t id, same = 0;
    for (const struct ptqi_json *e = expected->first; e && same < count; e = e->next)
        same += ptqi_json_integer(e, &id) && id == ids[same];
    return same == count && count == expected->count;
}

static int decodes_to(const struct tokenizer *t, const int32_t *ids, int64_t count,
                      const struct ptqi_json *expected)
{
    char *text;
    int64_t length;
    if (tokenizer_decode(t, ids, count, &text, &length))
        return 0;
    int equal = length == expected->length && !memcmp(text, expected->text, (size_t)length);
    ptqi_free(test_context(), text);
    return equal;
}

static void check_text(const struct tokenizer *t, const char *name,
                       const struct ptqi_json *recorded)
{
    const struct ptqi_json *text = ptqi_json_get(recorded, "text");
    const struct ptqi_json *with_template = ptqi_json_get(recorded, "ids_template");
    int32_t *ids = NULL, *templated = NULL;
    int64_t count = 0, templated_count = 0;
    CHECK_OK(tokenizer_encode(t, text->text, text->length, &ids, &count));
    CHECK_OK(tokenizer_encode_templated(t, text->text, text->length, &templated, &templated_count));
    const int right = are_ids(ids, count, ptqi_json_get(recorded, "ids")) &&
                      (!with_template || are_ids(templated, templated_count, with_template)) &&
                      decodes_to(t, ids, count, ptqi_json_get(recorded, "decoded"));
    if (!CHECK(right))
        printf("    %s: %s\n", name, text->text);
    ptqi_free(test_context(), ids);
    ptqi_free(test_context(), templated);
}

static void check_case(const struct ptqi_json *models, const struct ptqi_json *c)
{
    const char *path = test_scratch("tokenizer.json"), *name = ptqi_json_get(c, "name")->text;
    const struct ptqi_json *texts = ptqi_json_get(c, "texts");
    struct tokenizer *t = NULL;
    CHECK_OK(write_case(models, c, path));
    CHECK_OK(tokenizer_load(test_context(), path, &t));
    for (const struct ptqi_json *text = texts->first; t && text; text = text->next)
        check_text(t, name, text);
    tokenizer_free(t);
    remove(path);
}

/* Maps and parses a file; the document must be freed even if this failed. */
static const struct ptqi_json *read_json(const char *path, struct ptqi_json_document **document)
{
    const struct ptqi_json *root = NULL;
    struct ptqi_map map;
    *document = NULL;
    if (!CHECK_OK(ptqi_map_file(test_context(), path, &map)))
        return NULL;
    CHECK_OK(
        ptqi_json_parse(test_context(), (const char *)map.data, map.size, path, document, &root));
    ptqi_unmap_file(&map);
    return root;
}

static void test_small(void)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root = read_json(test_data("tokenizers.json"), &document);
    const struct ptqi_json *cases = ptqi_json_get(root, "cases");
    CHECK(cases && cases->count > 20);
    for (const struct ptqi_json *c = cases ? cases->first : NULL; c; c = c->next)
        check_case(ptqi_json_get(root, "models"), c);
    ptqi_json_free(document);
}

/* Finds NAME/tokenizer.json in the folder PTQ_TOKENIZERS, for those whose licences keep them out of
 * ../shared, or in ../shared/tokenizers. Returns NULL if neither has it. */
static const char *find_real(const char *name, char *path, size_t size)
{
    const char *folder = getenv("PTQ_TOKENIZERS");
    snprintf(path, size, "%s/%s/tokenizer.json", folder ? folder : "", name);
    if (folder && access(path, R_OK) == 0)
        return path;
    snprintf(path, size, "tokenizers/%s/tokenizer.json", name);
    return shared_data(path);
}

/* A real tokenizer. Returns 0 if it is not there. */
static int check_real(const char *name)
{
    char path[512], ids[64];
    struct ptqi_json_document *document;
    struct tokenizer *t = NULL;
    const char *file = find_real(name, path, sizeof path);
    snprintf(ids, sizeof ids, "tokenizers/%s/ids.json", name);
    if (!file || !shared_data(ids))
        return 0;
    CHECK_OK(tokenizer_load(test_context(), find_real(name, path, sizeof path), &t));
    const struct ptqi_json *root = read_json(shared_data(ids), &document);
    const struct ptqi_json *texts = ptqi_json_get(root, "texts");
    CHECK(texts && texts->count > 0);
    for (const struct ptqi_json *text = texts ? texts->first : NULL; t && text; text = text->next)
        check_text(t, name, text);
    ptqi_json_free(document);
    tokenizer_free(t);
    return 1;
}

void test_tokenizers(void)
{
    static const char *const real[] = {"gpt2",   "smollm2",     "mistral-v1", "mistral-v3",
                                       "llama2", "llama3",      "llama3_1",   "qwen3",
                                       "gemma3", "deepseek_v3", "gptoss"};
    char missing[256] = "no tokenizer.json of";
    int skipped = 0;
    test_small();
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        if (!check_real(real[i])) {
            const size_t end = strlen(missing);
            snprintf(missing + end, sizeof missing - end, "%s %s", skipped++ ? "," : "", real[i]);
        }
    if (skipped)
        test_skip(missing);
}
