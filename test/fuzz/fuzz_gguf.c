/* A gguf file: everything in it, and a copy of it. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_use_store(bytes, size, "copy.gguf");
    return 0;
}
