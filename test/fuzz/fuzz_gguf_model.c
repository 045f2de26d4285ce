/* A GGUF file as a model, and its tokenizer. */
#include <string.h>
#include "fuzz.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char text[] = "Hello, w\xc3\xb6rld! 123\n  <s>\xff";
    const struct fuzz_part file = {bytes, (int64_t)size};
    const struct fuzz_part words = {(const uint8_t *)text, (int64_t)strlen(text)};
    const char *path = fuzz_write("model.gguf", file);
    struct tokenizer *tokenizer;
    if (fuzz_succeeded(tokenizer_load_model(fuzz_context(), path, &tokenizer))) {
        fuzz_use_tokenizer(tokenizer, words);
        tokenizer_free(tokenizer);
    }
    fuzz_run_model(path);
    return 0;
}
