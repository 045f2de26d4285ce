/* The files of a tokenizer, the parts of an input, as metadata of a GGUF file. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "fuzz.h"
#include "gguf/tokenizer_keys.h"
#include "model/architecture.h"

static void write_metadata(const struct model *m)
{
    ptq_store *store;
    fuzz_require(!ptq_store_create(fuzz_context(), fuzz_path("tokenizer.gguf"), &store),
                 "a file can be begun");
    struct gguf_pairs p = {fuzz_context(), store, "llama", PTQ_OK};
    if (fuzz_succeeded(gguf_put_tokenizer(m, &p)))
        fuzz_require(fuzz_succeeded(ptq_store_commit(store)), "metadata can be written");
    ptq_store_free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char config[] = "{\"bos_token_id\": 1}";
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json",
                                        "tokenizer.model"};
    struct fuzz_part parts[3];
    struct ptqi_json_document *document;
    struct checkpoint c;
    struct model m;
    memset(&c, 0, sizeof c);
    memset(&m, 0, sizeof m);
    m.context = c.context = fuzz_context();
    m.checkpoint = &c;
    m.config.architecture = &llama;
    m.config.vocabulary = 100;
    fuzz_divide(bytes, size, parts, 3);
    for (int i = 0; i < 3; i++) {
        fuzz_write(names[i], parts[i]);
        if (!parts[i].size)
            remove(fuzz_path(names[i])); /* as if there were none */
    }
    char *path = (char *)(uintptr_t)fuzz_path("");
    c.path = path;
    fuzz_require(
        !ptqi_json_parse(fuzz_context(), config, sizeof config - 1, "config", &document, &c.config),
        "the config is valid");
    write_metadata(&m);
    ptqi_json_free(document);
    return 0;
}
