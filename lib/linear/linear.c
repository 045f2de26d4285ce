/*
 * ptq_linear: creating and freeing it, and its bias.
 */
#include "linear/layout.h"
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "qtensor.h"

ptq_status ptqi_linear_begin(ptq_context *context, const struct ptqi_shape *shape,
                             const ptq_qtensor *q, struct ptqi_packed *header, void *memory,
                             ptq_linear **linear)
{
    struct ptq_linear *l = ptqi_new_handle(context, (int64_t)sizeof *l);
    if (!l)
        return PTQ_ERROR_MEMORY;
    l->context = context;
    atomic_init(&l->references, 1);
    atomic_init(&l->rows, 0);
    l->shape = *shape;
    l->kernels = header->activations != PTQ_ACTIVATIONS_F32 ? ptqi_product_kernels(context)
                                                            : context->kernels;
    if (!memory)
        memory = l->own_memory = ptqi_alloc(context, header->bytes, 1);
    ptq_status status = memory ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status) {
        memset(memory, 0, (size_t)header->bytes);
        ptqi_packed_bind(l, header, memory);
        status = ptqi_linear_pack_shared(l, q);
    }
    if (status) {
        ptq_linear_free(l);
        return status;
    }
    ptqi_packed_write(header, memory);
    memset(memory, 0, sizeof header->magic); /* so that ptq_linear_open rejects it */
    l->recipe = ptqi_linear_recipe(l);
    l->columns = ptqi_qtensor_columns_hash(q);
    *linear = l;
    return PTQ_OK;
}

void ptqi_linear_finish(struct ptq_linear *l)
{
    struct ptqi_packed header;
    memcpy(&header, l->memory, sizeof header);
    ptqi_packed_write(&header, l->memory);
    l->is_ready = 1;
}

/* All of q by a header into memory, or, if that is NULL, into memory from the context. */
static ptq_status pack(ptq_context *context, const struct ptqi_shape *shape, const ptq_qtensor *q,
                       struct ptqi_packed *header, void *memory, ptq_linear **linear)
{
    PTQI_TRY(ptqi_linear_begin(context, shape, q, header, memory, linear));
    const int64_t parts = ptqi_min(ptqi_threads(context), (*linear)->panels);
    const ptq_status status = ptqi_linear_pack_rows(*linear, q, 0, 0, q->n, parts);
    if (status) {
        ptq_linear_free(*linear);
        *linear = NULL;
        return status;
    }
    ptqi_linear_finish(*linear);
    return PTQ_OK;
}

ptq_status ptqi_check_memory(ptq_context *context, const char *function, const char *name,
                             const void *memory, int64_t bytes, int64_t needed)
{
    if (!memory)
        return ptqi_fail_null(context, function, name);
    if ((uintptr_t)memory % PTQ_ALIGNMENT)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is not aligned to %d bytes", function,
                         name, PTQ_ALIGNMENT);
    if (bytes < needed)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s has %lld bytes and needs %lld",
                         function, name, (long long)bytes, (long long)needed);
    return PTQ_OK;
}

ptq_status ptqi_linear_create(const char *function, ptq_context *context,
                              const struct ptqi_shape *shape, const struct ptq_qtensor *q,
                              struct ptqi_packed *header, void *memory, int64_t bytes,
                              ptq_linear **linear)
{
    if (memory)
        PTQI_TRY(ptqi_check_memory(context, function, "memory", memory, bytes, header->bytes));
    return pack(context, shape, q, header, memory, linear);
}

static ptq_status describe(const char *function, ptq_context *context, const ptq_qtensor *q,
                           struct ptqi_shape *shape, struct ptqi_packed *header)
{
    PTQI_REQUIRE_FOR(NULL, function, context);
    PTQI_REQUIRE_FOR(context, function, q);
    PTQI_TRY(ptqi_qtensor_check(q));
    *shape = ptqi_shape_of(q);
    PTQI_TRY(ptqi_shape_describe(context, shape, header));
    return ptqi_shape_complete(context, q, header);
}

ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q, ptq_linear **linear)
{
    struct ptqi_shape shape;
    struct ptqi_packed header;
    PTQI_REQUIRE(context, linear);
    *linear = NULL;
    PTQI_TRY(describe(__func__, context, q, &shape, &header));
    return pack(context, &shape, q, &header, NULL, linear);
}

int64_t ptq_linear_packed_bytes(ptq_context *context, const ptq_qtensor *q)
{
    struct ptqi_shape shape;
    struct ptqi_packed header;
    return describe(__func__, context, q, &shape, &header) ? 0 : header.bytes;
}

ptq_status ptq_linear_create_in(ptq_context *context, const ptq_qtensor *q, void *memory,
                                int64_t bytes, ptq_linear **linear)
{
    struct ptqi_shape shape;
    struct ptqi_packed header;
    PTQI_REQUIRE(context, linear);
    *linear = NULL;
    PTQI_TRY(describe(__func__, context, q, &shape, &header));
    PTQI_REQUIRE(context, memory);
    return ptqi_linear_create(__func__, context, &shape, q, &header, memory, bytes, linear);
}

ptq_status ptqi_linear_check_ready(const char *function, const ptq_linear *linear)
{
    if (linear->is_ready)
        return PTQ_OK;
    return ptqi_fail(linear->context, PTQ_ERROR_MISSING,
                     "%s: a matrix is still being packed: ptq_linear_finish comes first", function);
}

struct ptq_linear *ptqi_linear_hold(const ptq_linear *linear)
{
    struct ptq_linear *l = (struct ptq_linear *)(uintptr_t)linear;
    atomic_fetch_add_explicit(&l->references, 1, memory_order_relaxed);
    return l;
}

void ptq_linear_free(ptq_linear *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) > 1)
        return;
    ptqi_free(l->context, l->own_memory);
    ptqi_free(l->context, l->own_bias);
    ptqi_free_handle(l->context, l);
}

int64_t ptq_linear_n(const ptq_linear *linear)
{
    return linear ? linear->n : 0;
}

int64_t ptq_linear_k(const ptq_linear *linear)
{
    return linear ? linear->k : 0;
}

int32_t ptq_linear_bits(const ptq_linear *linear)
{
    return linear ? linear->code_bits : 0;
}

int64_t ptq_linear_group(const ptq_linear *linear)
{
    return linear ? ptqi_min(linear->group_size * linear->split, linear->k) : 0;
}

int32_t ptq_linear_activations(const ptq_linear *linear)
{
    return linear ? linear->activations : 0;
}

int32_t ptq_linear_isa(const ptq_linear *linear)
{
    return linear ? linear->kernels->isa : 0;
}

int32_t ptq_linear_two_level(const ptq_linear *linear)
{
    return linear ? linear->two_level : 0;
}

int32_t ptq_linear_has_bias(const ptq_linear *linear)
{
    return linear && linear->bias;
}

int32_t ptq_linear_shares_input(const ptq_linear *linear, const ptq_linear *other)
{
    return linear && other && linear->is_ready && other->is_ready &&
           linear->context == other->context && linear->recipe == other->recipe;
}

int64_t ptq_linear_bytes(const ptq_linear *linear)
{
    return linear ? linear->bytes : 0;
}

/* In its place in the packed form, whose header is renewed, or beside a form that is only read. */
static ptq_status set_bias(struct ptq_linear *l, const float *bias)
{
    const size_t bytes = (size_t)l->n * sizeof *bias;
    if (!l->bias_room && !l->own_bias && bias &&
        !(l->own_bias = ptqi_alloc(l->context, l->n, (int64_t)sizeof *bias)))
        return PTQ_ERROR_MEMORY;
    float *room = l->bias_room ? l->bias_room : l->own_bias;
    l->bias = bias ? room : NULL;
    if (bias)
        memmove(room, bias, bytes);
    if (l->bias_room) {
        struct ptqi_packed header;
        memcpy(&header, l->memory, sizeof header);
        header.has_bias = bias != NULL;
        if (!bias)
            memset(room, 0, bytes);
        ptqi_packed_write(&header, l->memory);
    }
    return PTQ_OK;
}

ptq_status ptq_linear_set_bias(ptq_linear *linear, const float *bias)
{
    PTQI_REQUIRE(NULL, linear);
    PTQI_TRY(ptqi_linear_check_ready(__func__, linear));
    return set_bias(linear, bias);
}

ptq_status ptq_linear_bias(const ptq_linear *linear, float *bias)
{
    PTQI_REQUIRE(NULL, linear);
    PTQI_REQUIRE(linear->context, bias);
    if (!linear->bias)
        return ptqi_fail(linear->context, PTQ_ERROR_MISSING, "the matrix has no bias");
    memcpy(bias, linear->bias, (size_t)linear->n * sizeof *bias);
    return PTQ_OK;
}
