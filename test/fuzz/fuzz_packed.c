/*
 * A packed linear. The input has no magic number, version, checksum and layout, which the header
 * gets here: they would keep nearly every input from being read.
 */
#include <string.h>
#include "base/context.h"
#include "fuzz.h"
#include "linear/linear.h"

/* Contents that are missing in the input are zero, up to this size. */
enum { MOST_BYTES = 1 << 16 };

static void complete(struct ptqi_packed *h)
{
    memcpy(h->magic, PTQI_PACKED_MAGIC, sizeof h->magic);
    h->version = PTQI_PACKED_VERSION;
    h->layout = ptqi_packed_layout(fuzz_context()->kernels, h->form, h->code_bits);
    h->bytes = ptqi_packed_size(h);
    h->checksum = ptqi_packed_checksum(h);
}

static void open_linear(const void *memory, int64_t bytes)
{
    ptq_linear *linear;
    if (!fuzz_succeeded(ptq_linear_open(fuzz_context(), memory, bytes, &linear)))
        return;
    fuzz_run_linear(linear);
    ptq_linear_free(linear);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct ptqi_packed h;
    if (size < sizeof h)
        return 0;
    memcpy(&h, bytes, sizeof h);
    complete(&h);
    const int64_t there = ptqi_max((int64_t)size, ptqi_min(h.bytes, MOST_BYTES));
    void *memory = ptqi_alloc_zero(fuzz_context(), there, 1);
    fuzz_require(memory != NULL, "there is memory for an input");
    memcpy(memory, bytes, size);
    memcpy(memory, &h, sizeof h);
    open_linear(memory, there);
    ptqi_free(fuzz_context(), memory);
    return 0;
}
