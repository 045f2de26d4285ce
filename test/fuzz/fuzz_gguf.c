/* A gguf file: everything in it, and a copy of it. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    ptq_store *store;
    if (!fuzz_succeeded(ptq_store_open_memory(fuzz_context(), bytes, (int64_t)size, &store)))
        return 0;
    fuzz_read_store(store);
    fuzz_copy_store(store, "copy.gguf");
    ptq_store_free(store);
    return 0;
}
