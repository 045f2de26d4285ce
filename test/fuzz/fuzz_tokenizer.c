/* A tokenizer.json and a text, the parts of an input. */
#include "fuzz.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_part parts[2];
    struct tokenizer *tokenizer;
    fuzz_divide(bytes, size, parts, 2);
    const char *path = fuzz_write("tokenizer.json", parts[0]);
    if (!fuzz_succeeded(tokenizer_load(fuzz_context(), path, &tokenizer)))
        return 0;
    fuzz_use_tokenizer(tokenizer, parts[1]);
    tokenizer_free(tokenizer);
    return 0;
}
