/*
 * ptq_linear: creating it, and the ways to run it. The columns of y are cut into panels, and panels
 * are shared out among threads; run.c runs them.
 */
#include "linear/linear.h"
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

static ptq_status describe(const char *function, ptq_context *context, const ptq_qtensor *q,
                           struct ptqi_packed *header)
{
    PTQI_REQUIRE_FOR(NULL, function, context);
    PTQI_REQUIRE_FOR(context, function, q);
    PTQI_TRY(ptqi_qtensor_check(q));
    return ptqi_linear_describe(context, q, header);
}

ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q, ptq_linear **linear)
{
    struct ptqi_packed header;
    PTQI_REQUIRE(context, linear);
    *linear = NULL;
    PTQI_TRY(describe(__func__, context, q, &header));
    return pack(context, q, &header, NULL, linear);
}

int64_t ptq_linear_packed_bytes(ptq_context *context, const ptq_qtensor *q)
{
    struct ptqi_packed header;
    return describe(__func__, context, q, &header) ? 0 : header.bytes;
}

ptq_status ptq_linear_create_in(ptq_context *context, const ptq_qtensor *q, void *memory,
                                int64_t bytes, ptq_linear **linear)
{
    struct ptqi_packed header;
    PTQI_REQUIRE(context, linear);
    *linear = NULL;
    PTQI_TRY(describe(__func__, context, q, &header));
    PTQI_REQUIRE_ALIGNED(context, __func__, memory);
    PTQI_TRY(ptqi_check_between(context, __func__, "bytes", bytes, header.bytes, INT64_MAX));
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
    return linear ? linear->n : 0;
}

int64_t ptq_linear_k(const ptq_linear *linear)
{
    return linear ? linear->k : 0;
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
    return set_bias(linear, bias);
}

static int64_t part_scratch(const ptq_linear *l, int64_t rows)
{
    return ptqi_align(ptqi_run_scratch(l, rows) + 1); /* never none */
}

int64_t ptq_linear_part_scratch_bytes(const ptq_linear *linear, int64_t rows)
{
    struct ptqi_prepared layout;
    return ptqi_prepared_layout(__func__, linear, rows, &layout) ? 0 : part_scratch(linear, rows);
}

static int64_t scratch_bytes(const ptq_linear *l, const struct ptqi_prepared *layout)
{
    return ptqi_align(layout->bytes) + ptqi_threads(l->context) * part_scratch(l, layout->rows);
}

int64_t ptq_linear_scratch_bytes(const ptq_linear *linear, int64_t rows)
{
    struct ptqi_prepared layout;
    return ptqi_prepared_layout(__func__, linear, rows, &layout) ? 0
                                                                 : scratch_bytes(linear, &layout);
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

static ptq_status check_y(const ptq_linear *l, const struct ptqi_target *to, int64_t rows)
{
    const struct ptqi_block y = {"y", "ldy", "N", to->y, to->dtype, rows, l->n, to->ld};
    return ptqi_check_block(l->context, to->function, &y);
}

static ptq_status check_scratch(const ptq_linear *l, const struct ptqi_target *to,
                                const void *scratch)
{
    if (scratch)
        PTQI_REQUIRE_ALIGNED(l->context, to->function, scratch);
    return PTQ_OK;
}

/* A run of activations that were prepared, by this linear or by another. */
static ptq_status begin_run(const ptq_linear *linear, const void *prepared, struct ptqi_target to,
                            const void *scratch, struct ptqi_run *r)
{
    PTQI_REQUIRE_FOR(NULL, to.function, linear);
    PTQI_REQUIRE_ALIGNED(linear->context, to.function, prepared);
    *r = (struct ptqi_run){.l = linear, .prepared = prepared, .to = to};
    memcpy(&r->layout, prepared, sizeof r->layout);
    if (r->layout.magic != PTQI_PREPARED_MAGIC || r->layout.recipe != linear->recipe)
        return ptqi_fail(linear->context, PTQ_ERROR_CONFLICT,
                         "these activations were prepared by a linear with another recipe");
    PTQI_TRY(check_y(linear, &to, r->layout.rows));
    return check_scratch(linear, &to, scratch);
}

static ptq_status forward_part(const ptq_linear *l, const void *prepared, struct ptqi_target to,
                               void *scratch, int64_t part, int64_t parts)
{
    struct ptqi_run r;
    PTQI_TRY(begin_run(l, prepared, to, scratch, &r));
    PTQI_TRY(ptqi_check_between(l->context, to.function, "parts", parts, 1, INT64_MAX));
    PTQI_TRY(ptqi_check_between(l->context, to.function, "part", part, 0, parts - 1));
    void *own = NULL;
    if (!scratch && !(own = ptqi_alloc(l->context, part_scratch(l, r.layout.rows), 1)))
        return PTQ_ERROR_MEMORY;
    run_share(&r, own ? own : scratch, part, parts);
    ptqi_free(l->context, own);
    return PTQ_OK;
}

static void plan_parts(struct ptqi_run *r)
{
    const ptq_linear *l = r->l;
    const int small = (double)r->layout.rows * (double)l->n * (double)l->k < 65536;
    r->parts = small ? 1 : ptqi_threads(l->context);
    r->part_scratch = part_scratch(l, r->layout.rows);
}

/* All panels, for activations that are ready; scratch is of all parts. */
static void run_parts(struct ptqi_run *r, char *scratch)
{
    r->scratch = scratch;
    atomic_init(&r->next, 0);
    ptqi_parallel(r->l->context, r->parts, run_part, r);
}

static ptq_status forward_prepared(const ptq_linear *l, const void *prepared, struct ptqi_target to,
                                   void *scratch)
{
    struct ptqi_run r;
    PTQI_TRY(begin_run(l, prepared, to, scratch, &r));
    void *own = NULL;
    plan_parts(&r);
    if (!scratch && !(own = ptqi_alloc(l->context, r.parts, r.part_scratch)))
        return PTQ_ERROR_MEMORY;
    run_parts(&r, own ? own : scratch);
    ptqi_free(l->context, own);
    return PTQ_OK;
}

static ptq_status forward(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                          int64_t ldx, struct ptqi_target to, void *scratch)
{
    PTQI_REQUIRE_FOR(NULL, to.function, linear);
    const struct ptqi_block block = ptqi_linear_x(linear, x, x_dtype, rows, ldx);
    struct ptqi_run r = {.l = linear, .to = to};
    PTQI_TRY(ptqi_check_block(linear->context, to.function, &block));
    PTQI_TRY(check_y(linear, &to, rows));
    PTQI_TRY(check_scratch(linear, &to, scratch));
    PTQI_TRY(ptqi_prepared_layout(to.function, linear, rows, &r.layout));
    if (rows == 0)
        return PTQ_OK;
    char *own = NULL, *memory = scratch;
    if (!memory &&
        !(memory = own = ptqi_alloc(linear->context, scratch_bytes(linear, &r.layout), 1)))
        return PTQ_ERROR_MEMORY;
    ptqi_prepare(linear, &r.layout, &block, ptqi_parallel, memory);
    r.prepared = memory;
    plan_parts(&r);
    run_parts(&r, memory + ptqi_align(r.layout.bytes));
    ptqi_free(linear->context, own);
    return PTQ_OK;
}

/* The six forms of it. */

ptq_status ptq_linear_forward(const ptq_linear *linear, const void *x, int32_t x_dtype,
                              int64_t rows, int64_t ldx, void *y, int32_t y_dtype, int64_t ldy,
                              void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 0, __func__};
    return forward(linear, x, x_dtype, rows, ldx, to, scratch);
}

ptq_status ptq_linear_forward_prepared(const ptq_linear *linear, const void *prepared, void *y,
                                       int32_t y_dtype, int64_t ldy, void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 0, __func__};
    return forward_prepared(linear, prepared, to, scratch);
}

ptq_status ptq_linear_forward_part(const ptq_linear *linear, const void *prepared, void *y,
                                   int32_t y_dtype, int64_t ldy, void *scratch, int64_t part,
                                   int64_t parts)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 0, __func__};
    return forward_part(linear, prepared, to, scratch, part, parts);
}

ptq_status ptq_linear_accumulate(const ptq_linear *linear, const void *x, int32_t x_dtype,
                                 int64_t rows, int64_t ldx, void *y, int32_t y_dtype, int64_t ldy,
                                 void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 1, __func__};
    return forward(linear, x, x_dtype, rows, ldx, to, scratch);
}

ptq_status ptq_linear_accumulate_prepared(const ptq_linear *linear, const void *prepared, void *y,
                                          int32_t y_dtype, int64_t ldy, void *scratch)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 1, __func__};
    return forward_prepared(linear, prepared, to, scratch);
}

ptq_status ptq_linear_accumulate_part(const ptq_linear *linear, const void *prepared, void *y,
                                      int32_t y_dtype, int64_t ldy, void *scratch, int64_t part,
                                      int64_t parts)
{
    const struct ptqi_target to = {y, y_dtype, ldy, 1, __func__};
    return forward_part(linear, prepared, to, scratch, part, parts);
}
