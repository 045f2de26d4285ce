/* A config.json and a model.safetensors, the parts of an input, as a model. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_part parts[2];
    fuzz_divide(bytes, size, parts, 2);
    fuzz_write("config.json", parts[0]);
    fuzz_write("model.safetensors", parts[1]);
    fuzz_run_model(fuzz_path(""));
    return 0;
}
