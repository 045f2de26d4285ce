/* An index and two shards, the parts of an input. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_part parts[3];
    ptq_store *store;
    fuzz_divide(bytes, size, parts, 3);
    fuzz_write("model.safetensors.index.json", parts[0]);
    fuzz_write("a.safetensors", parts[1]);
    fuzz_write("b.safetensors", parts[2]);
    if (!fuzz_succeeded(ptq_store_open(fuzz_context(), fuzz_path(""), &store)))
        return 0;
    fuzz_read_store(store);
    ptq_store_free(store);
    return 0;
}
