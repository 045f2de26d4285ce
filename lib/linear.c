/*
 * ptq_linear: creating it, and the ways to run it. The columns of y are cut into panels, and panels
 * are shared out among threads; linear_run.c runs them.
 */
#include "linear.h"
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "qtensor.h"

/* Packs q into memory, or, where that is NULL, into memory of its own. */
static ptq_status pack(ptq_context *context, const ptq_qtensor *q, struct ptqi_packed *header,
                       void *memory, ptq_linear **linear)
{
    struct ptq_linear *l = ptqi_alloc_zero(context, 1, (int64_t)sizeof *l);
    if (!l)
        return PTQ_ERROR_MEMORY;
    l->context = context;
    l->kernels = header->activations != PTQ_ACTIVATIONS_F32 ? ptqi_product_kernels(context)
                                                            : context->kernels;
    if (!memory)
        memory = l->own_memory = ptqi_alloc(context, header->bytes, 1);
    ptq_status status = memory ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status) {
        memset(memory, 0, (size_t)header->bytes);
        ptqi_packed_bind(l, header, memory);
        status = ptqi_linear_pack(l, q);
    }
    if (status) {
        ptq_linear_free(l);
        return status;
    }
    ptqi_packed_write(header, memory);
    l->recipe = ptqi_linear_recipe(l);
    *linear = l;
    return PTQ_OK;
}

/* call: the function that is to be named in a message. */
static ptq_status describe(ptq_context *context, const ptq_qtensor *q, const char *call,
                           struct ptqi_packed *header)
{
    if (!context || !q)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: no context or qtensor", call);
    PTQI_TRY(ptqi_qtensor_check(q));
    return ptqi_linear_describe(context, q, header);
}

ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q, ptq_linear **linear)
{
    struct ptqi_packed header;
    if (!linear)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "ptq_linear_create: no place for the result");
    *linear = NULL;
    PTQI_TRY(describe(context, q, "ptq_linear_create", &header));
    return pack(context, q, &header, NULL, linear);
}

int64_t ptq_linear_packed_bytes(ptq_context *context, const ptq_qtensor *q)
{
    struct ptqi_packed header;
    return describe(context, q, "ptq_linear_packed_bytes", &header) ? 0 : header.bytes;
}

ptq_status ptq_linear_create_in(ptq_context *context, const ptq_qtensor *q, void *memory,
                                int64_t bytes, ptq_linear **linear)
{
    struct ptqi_packed header;
    if (!linear)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT,
                         "ptq_linear_create_in: no place for the result");
    *linear = NULL;
    PTQI_TRY(describe(context, q, "ptq_linear_create_in", &header));
    if (!memory || (uintptr_t)memory % PTQ_ALIGNMENT || bytes < header.bytes)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT,
                         "ptq_linear_create_in: needs %lld bytes at a multiple of %d",
                         (long long)header.bytes, PTQ_ALIGNMENT);
    return pack(context, q, &header, memory, linear);
}

void ptq_linear_free(ptq_linear *l)
{
    if (!l)
        return;
    ptqi_free(l->context, l->own_memory);
    ptqi_free(l->context, l->own_bias);
    ptqi_free(l->context, l);
}

int64_t ptq_linear_n(const ptq_linear *linear)
{
    return linear->n;
}

int64_t ptq_linear_k(const ptq_linear *linear)
{
    return linear->k;
}

int64_t ptq_linear_bytes(const ptq_linear *linear)
{
    return linear->bytes;
}

/* In its place in the packed form, whose header is renewed, or beside a form that is only read. */
ptq_status ptq_linear_set_bias(ptq_linear *l, const float *bias)
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

int64_t ptq_linear_part_scratch_bytes(const ptq_linear *l, int64_t rows)
{
    return ptqi_align(ptqi_run_scratch(l, rows) + 1); /* never none */
}

int64_t ptq_linear_scratch_bytes(const ptq_linear *l, int64_t rows)
{
    int64_t prepared = ptq_linear_prepared_bytes(l, rows);
    int64_t parts = ptqi_threads(l->context) * ptq_linear_part_scratch_bytes(l, rows);
    return prepared ? ptqi_align(prepared) + parts : 0;
}

static void run_share(const struct ptqi_run *r, char *scratch, int64_t part, int64_t parts)
{
    int64_t begin, end;
    ptqi_split(ptqi_run_panels(r->l), 1, part, parts, &begin, &end);
    ptqi_run_range(r, scratch, begin, end);
}

/* Panels go to whoever is ready for the next ones: a thread that something else keeps from its CPU
 * does not hold up the others. Many at first, since neighbours are read as one stream from memory,
 * one by one in the end. Which thread computes a panel changes nothing in it. */
static void run_part(void *argument, int64_t part)
{
    struct ptqi_run *r = argument;
    const int64_t panels = ptqi_run_panels(r->l);
    long long begin = atomic_load_explicit(&r->next, memory_order_relaxed);
    while (begin < panels) {
        const long long end = begin + (panels - begin + 2 * r->parts - 1) / (2 * r->parts);
        if (!atomic_compare_exchange_weak_explicit(&r->next, &begin, end, memory_order_relaxed,
                                                   memory_order_relaxed))
            continue; /* begin is what another thread made of it */
        ptqi_run_range(r, r->scratch + part * r->part_scratch, begin, end);
        begin = atomic_load_explicit(&r->next, memory_order_relaxed);
    }
}

static ptq_status begin_run(const ptq_linear *l, const void *prepared, struct ptqi_target to,
                            struct ptqi_run *r)
{
    if (!l || !prepared || (uintptr_t)prepared % PTQ_ALIGNMENT || !to.y || to.ld < l->n)
        return ptqi_fail(l ? l->context : NULL, PTQ_ERROR_ARGUMENT,
                         "%s: an argument is NULL, not aligned, or ldy below N", to.call);
    if (!ptqi_is_float(to.dtype))
        return ptqi_fail(l->context, PTQ_ERROR_DTYPE, "y must be f32, f16 or bf16");
    memset(r, 0, sizeof *r);
    memcpy(&r->layout, prepared, sizeof r->layout);
    if (r->layout.magic != PTQI_PREPARED_MAGIC || r->layout.recipe != l->recipe)
        return ptqi_fail(l->context, PTQ_ERROR_CONFLICT,
                         "these activations were prepared by a linear with another recipe");
    r->l = l;
    r->prepared = prepared;
    r->to = to;
    return PTQ_OK;
}

static ptq_status forward_part(const ptq_linear *l, const void *prepared, struct ptqi_target to,
                               void *scratch, int64_t part, int64_t parts)
{
    struct ptqi_run r;
    PTQI_TRY(begin_run(l, prepared, to, &r));
    if (part < 0 || part >= parts)
        return ptqi_fail(l->context, PTQ_ERROR_ARGUMENT, "there is no part %lld of %lld",
                         (long long)part, (long long)parts);
    void *own = NULL;
    if (!scratch &&
        !(own = ptqi_alloc(l->context, ptq_linear_part_scratch_bytes(l, r.layout.rows), 1)))
        return PTQ_ERROR_MEMORY;
    run_share(&r, own ? own : scratch, part, parts);
    ptqi_free(l->context, own);
    return PTQ_OK;
}

static ptq_status forward_prepared(const ptq_linear *l, const void *prepared, struct ptqi_target to,
                                   void *scratch)
{
    struct ptqi_run r;
    PTQI_TRY(begin_run(l, prepared, to, &r));
    void *own = NULL;
    r.parts = ptqi_threads(l->context);
    if (r.layout.rows * l->n * l->k < 65536)
        r.parts = 1;
    r.part_scratch = ptq_linear_part_scratch_bytes(l, r.layout.rows);
    if (!scratch && !(own = ptqi_alloc(l->context, r.parts, r.part_scratch)))
        return PTQ_ERROR_MEMORY;
    r.scratch = own ? own : scratch;
    atomic_init(&r.next, 0);
    ptqi_parallel(l->context, r.parts, run_part, &r);
    ptqi_free(l->context, own);
    return PTQ_OK;
}

static ptq_status forward(const ptq_linear *l, const void *x, int32_t x_dtype, int64_t rows,
                          int64_t ldx, struct ptqi_target to, void *scratch)
{
    if (!l || rows < 0)
        return ptqi_fail(l ? l->context : NULL, PTQ_ERROR_ARGUMENT,
                         "%s: no linear, or a negative number of rows", to.call);
    if (rows == 0)
        return PTQ_OK;
    int64_t bytes = ptq_linear_scratch_bytes(l, rows);
    char *own = NULL, *memory = scratch;
    if (!bytes)
        return ptqi_fail(l->context, PTQ_ERROR_SHAPE, "%lld rows are too many", (long long)rows);
    if (!memory && !(memory = own = ptqi_alloc(l->context, bytes, 1)))
        return PTQ_ERROR_MEMORY;
    int64_t prepared = bytes - ptqi_threads(l->context) * ptq_linear_part_scratch_bytes(l, rows);
    ptq_status status = ptqi_linear_prepare(l, to.call, x, x_dtype, rows, ldx, memory);
    if (!status)
        status = forward_prepared(l, memory, to, memory + prepared);
    ptqi_free(l->context, own);
    return status;
}

/* The six forms of it. */

ptq_status ptq_linear_forward(const ptq_linear *linear, const void *x, int32_t x_dtype,
                              int64_t rows, int64_t ldx, void *y, int32_t y_dtype, int64_t ldy,
                              void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 0, "ptq_linear_forward"};
    return forward(linear, x, x_dtype, rows, ldx, to, scratch);
}

ptq_status ptq_linear_forward_prepared(const ptq_linear *linear, const void *prepared, void *y,
                                       int32_t y_dtype, int64_t ldy, void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 0, "ptq_linear_forward_prepared"};
    return forward_prepared(linear, prepared, to, scratch);
}

ptq_status ptq_linear_forward_part(const ptq_linear *linear, const void *prepared, void *y,
                                   int32_t y_dtype, int64_t ldy, void *scratch, int64_t part,
                                   int64_t parts)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 0, "ptq_linear_forward_part"};
    return forward_part(linear, prepared, to, scratch, part, parts);
}

ptq_status ptq_linear_accumulate(const ptq_linear *linear, const void *x, int32_t x_dtype,
                                 int64_t rows, int64_t ldx, void *y, int32_t y_dtype, int64_t ldy,
                                 void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 1, "ptq_linear_accumulate"};
    return forward(linear, x, x_dtype, rows, ldx, to, scratch);
}

ptq_status ptq_linear_accumulate_prepared(const ptq_linear *linear, const void *prepared, void *y,
                                          int32_t y_dtype, int64_t ldy, void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 1, "ptq_linear_accumulate_prepared"};
    return forward_prepared(linear, prepared, to, scratch);
}

ptq_status ptq_linear_accumulate_part(const ptq_linear *linear, const void *prepared, void *y,
                                      int32_t y_dtype, int64_t ldy, void *scratch, int64_t part,
                                      int64_t parts)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 1, "ptq_linear_accumulate_part"};
    return forward_part(linear, prepared, to, scratch, part, parts);
}
