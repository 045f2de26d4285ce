/*
 * Opens a packed linear in memory. Nothing in it is trusted.
 */
#include <math.h>
#include <string.h>
#include "linear/linear.h"
#include "qtensor.h"

/* Copies the header out of bytes bytes of memory and checks it. */
static ptq_status read_header(ptq_context *context, const void *memory, int64_t bytes,
                              struct ptqi_packed *h)
{
    if (bytes < (int64_t)sizeof *h)
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "this is not a packed linear");
    memcpy(h, memory, sizeof *h);
    if (memcmp(h->magic, PTQI_PACKED_MAGIC, sizeof h->magic))
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "this is not a packed linear");
    if (h->version != PTQI_PACKED_VERSION)
        return ptqi_fail(context, PTQ_ERROR_LAYOUT,
                         "a packed linear of version %u, not %u: pack the matrix again",
                         (unsigned)h->version, PTQI_PACKED_VERSION);
    if (h->checksum != ptqi_packed_checksum(h))
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "the header of a packed linear is damaged");
    const struct ptqi_packed_layout want =
        ptqi_packed_layout(context->kernels, h->form, h->code_bits);
    if (memcmp(&h->layout, &want, sizeof want))
        return ptqi_fail(context, PTQ_ERROR_LAYOUT,
                         "packed in panels of %d rows (%d x %d, offset %d), not of %d (%d x %d, "
                         "offset %d) as the kernels for %s need it: pack the matrix again",
                         h->layout.rows, h->layout.strip, h->layout.run, h->layout.w8_offset,
                         want.rows, want.strip, want.run, want.w8_offset,
                         ptq_isa_name(ptq_context_isa(context)));
    if (h->bytes < 1 || h->bytes != ptqi_packed_size(h))
        return ptqi_fail(context, PTQ_ERROR_FORMAT, "the header of a packed linear is damaged");
    if (bytes < h->bytes)
        return ptqi_fail(context, PTQ_ERROR_FORMAT,
                         "a packed linear of %lld bytes, of which only %lld are there",
                         (long long)h->bytes, (long long)bytes);
    return ptqi_packed_check_sums(context, h);
}

/* Groups of the general form are consecutive ranges of columns, whose sums fit in 32 bits. */
static ptq_status check_groups(const struct ptq_linear *l)
{
    int32_t begin = 0;
    for (int64_t g = 0; l->group_end && g < l->groups; g++) {
        if (l->group_end[g] < begin || l->group_end[g] > l->k)
            return ptqi_fail(l->context, PTQ_ERROR_FORMAT,
                             "the groups of a packed linear are damaged");
        PTQI_TRY(ptqi_check_sums(l->context, l->activations, 1 << 8, l->group_end[g] - begin));
        begin = l->group_end[g];
    }
    if (l->group_end && begin != l->k)
        return ptqi_fail(l->context, PTQ_ERROR_FORMAT, "the groups of a packed linear are damaged");
    return PTQ_OK;
}

/* Checks what kernels use as an index, and that input scales are as qtensors guarantee. */
static ptq_status check_contents(const struct ptq_linear *l)
{
    for (int64_t i = 0; i < l->k; i++) {
        if (l->order && (l->order[i] < 0 || l->order[i] >= l->k))
            return ptqi_fail(l->context, PTQ_ERROR_FORMAT,
                             "the order of the columns of a packed linear is damaged");
        if (l->group_of && (l->group_of[i] < 0 || l->group_of[i] >= l->groups))
            return ptqi_fail(l->context, PTQ_ERROR_FORMAT,
                             "the groups of the columns of a packed linear are damaged");
        if (l->input_scale && !(l->input_scale[i] > 0 && isfinite(l->input_scale[i])))
            return ptqi_fail(l->context, PTQ_ERROR_FORMAT,
                             "the input scale of a packed linear is damaged");
    }
    return PTQ_OK;
}

ptq_status ptq_linear_open(ptq_context *context, const void *memory, int64_t bytes,
                           ptq_linear **linear)
{
    struct ptqi_packed header;
    PTQI_REQUIRE(context, linear);
    *linear = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_REQUIRE_ALIGNED(context, __func__, memory);
    PTQI_TRY(read_header(context, memory, bytes, &header));
    struct ptq_linear *l = ptqi_new_handle(context, (int64_t)sizeof *l);
    if (!l)
        return PTQ_ERROR_MEMORY;
    l->context = context;
    atomic_init(&l->references, 1);
    l->kernels = ptqi_packed_is_integer(&header) ? ptqi_product_kernels(context) : context->kernels;
    ptqi_packed_bind(l, &header, (void *)(uintptr_t)memory); /* only read */
    l->bias_room = NULL;
    ptq_status status = check_contents(l);
    if (!status)
        status = check_groups(l);
    if (status) {
        ptq_linear_free(l);
        return status;
    }
    l->recipe = ptqi_linear_recipe(l);
    l->is_ready = 1;
    *linear = l;
    return PTQ_OK;
}
