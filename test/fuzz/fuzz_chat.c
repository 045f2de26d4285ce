/*
 * The files that make prompts, the parts of an input: a tokenizer_config.json with a chat template,
 * a special_tokens_map.json, and conversations, one on each line.
 */
#include "base/context.h"
#include "corpus/corpus.h"
#include "fuzz.h"

/* The smallest tokenizer: what it makes of a text is of no interest here. */
static const char tokenizer[] =
    "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", -1.0]]}}";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct fuzz_part fixed = {(const uint8_t *)tokenizer, (int64_t)sizeof tokenizer - 1};
    struct fuzz_part parts[3];
    int32_t *ids;
    int64_t count;
    fuzz_divide(bytes, size, parts, 3);
    fuzz_write("tokenizer.json", fixed);
    fuzz_write("tokenizer_config.json", parts[0]);
    fuzz_write("special_tokens_map.json", parts[1]);
    const char *path = fuzz_write("conversations.jsonl", parts[2]);
    if (fuzz_succeeded(corpus_encode(fuzz_context(), fuzz_path(""), path, &ids, &count)))
        ptqi_free(fuzz_context(), ids);
    return 0;
}
