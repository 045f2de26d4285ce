/*
 * ptq_linear: creating it, and the ways to run it. The columns of y are cut into panels, and panels
 * are shared out among threads; linear_run.c runs them.
 */
#include "linear.h"
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "qtensor.h"

ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q, ptq_linear **linear)
{
    if (!linear)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "ptq_linear_create: no place for the result");
    *linear = NULL;
    if (!context || !q)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "ptq_linear_create: no context or qtensor");
    PTQI_TRY(ptqi_qtensor_check(q));
    struct ptq_linear *l = ptqi_alloc_zero(context, 1, (int64_t)sizeof *l);
    if (!l)
        return PTQ_ERROR_MEMORY;
    l->context = context;
    l->kernels = context->kernels;
    ptq_status status = ptqi_linear_pack(l, q);
    if (status) {
        ptq_linear_free(l);
        return status;
    }
    *linear = l;
    return PTQ_OK;
}

void ptq_linear_free(ptq_linear *l)
{
    if (!l)
        return;
    ptqi_free(l->context, l->data);
    ptqi_free(l->context, l->words);
    ptqi_free(l->context, l->scales);
    ptqi_free(l->context, l->zeros);
    ptqi_free(l->context, l->group_of);
    ptqi_free(l->context, l->bias);
    ptqi_free(l->context, l->input_scale);
    ptqi_free(l->context, l->order);
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

ptq_status ptq_linear_set_bias(ptq_linear *l, const float *bias)
{
    float *copy = NULL;
    if (bias) {
        copy = ptqi_alloc(l->context, l->n, (int64_t)sizeof *copy);
        if (!copy)
            return PTQ_ERROR_MEMORY;
        memcpy(copy, bias, (size_t)l->n * sizeof *copy);
    }
    ptqi_free(l->context, l->bias);
    l->bias = copy;
    return PTQ_OK;
}

int64_t ptq_linear_part_scratch_bytes(const ptq_linear *l, int64_t rows)
{
    int64_t bytes = ptqi_run_scratch(l, rows);
    return (bytes + PTQ_ALIGNMENT) / PTQ_ALIGNMENT * PTQ_ALIGNMENT;
}

int64_t ptq_linear_scratch_bytes(const ptq_linear *l, int64_t rows)
{
    int64_t prepared = ptq_linear_prepared_bytes(l, rows);
    int64_t parts = ptqi_threads(l->context) * ptq_linear_part_scratch_bytes(l, rows);
    return prepared ? (prepared + PTQ_ALIGNMENT - 1) / PTQ_ALIGNMENT * PTQ_ALIGNMENT + parts : 0;
}

static void run_share(const struct ptqi_run *r, char *scratch, int64_t part, int64_t parts)
{
    int64_t begin, end;
    ptqi_split(ptqi_run_panels(r->l), 1, part, parts, &begin, &end);
    ptqi_run_range(r, scratch, begin, end);
}

/* Panels go to whoever is ready for the next one: a thread that something else keeps from its CPU
 * does not hold up the others. Which thread computes a panel changes nothing in it. */
static void run_part(void *argument, int64_t part)
{
    struct ptqi_run *r = argument;
    const int64_t panels = ptqi_run_panels(r->l);
    for (;;) {
        int64_t panel = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
        if (panel >= panels)
            return;
        ptqi_run_range(r, r->scratch + part * r->part_scratch, panel, panel + 1);
    }
}

static ptq_status begin_run(const ptq_linear *l, const void *prepared, void *y, int32_t y_dtype,
                            int64_t ldy, struct ptqi_run *r)
{
    if (!l || !prepared || (uintptr_t)prepared % PTQ_ALIGNMENT || !y || ldy < l->n)
        return ptqi_fail(l ? l->context : NULL, PTQ_ERROR_ARGUMENT,
                         "ptq_linear_forward: an argument is NULL, not aligned, or ldy below N");
    if (!ptqi_is_float(y_dtype))
        return ptqi_fail(l->context, PTQ_ERROR_DTYPE, "y must be f32, f16 or bf16");
    memset(r, 0, sizeof *r);
    memcpy(&r->layout, prepared, sizeof r->layout);
    if (r->layout.magic != PTQI_PREPARED_MAGIC || r->layout.recipe != l->recipe)
        return ptqi_fail(l->context, PTQ_ERROR_CONFLICT,
                         "these activations were prepared by a linear with another recipe");
    r->l = l;
    r->prepared = prepared;
    r->y = y;
    r->dtype = y_dtype;
    r->ldy = ldy;
    return PTQ_OK;
}

ptq_status ptq_linear_forward_part(const ptq_linear *l, const void *prepared, void *y,
                                   int32_t y_dtype, int64_t ldy, void *scratch, int64_t part,
                                   int64_t parts)
{
    struct ptqi_run r;
    PTQI_TRY(begin_run(l, prepared, y, y_dtype, ldy, &r));
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

ptq_status ptq_linear_forward_prepared(const ptq_linear *l, const void *prepared, void *y,
                                       int32_t y_dtype, int64_t ldy, void *scratch)
{
    struct ptqi_run r;
    PTQI_TRY(begin_run(l, prepared, y, y_dtype, ldy, &r));
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

ptq_status ptq_linear_forward(const ptq_linear *l, const void *x, int32_t x_dtype, int64_t rows,
                              int64_t ldx, void *y, int32_t y_dtype, int64_t ldy, void *scratch)
{
    if (!l || rows < 0)
        return ptqi_fail(l ? l->context : NULL, PTQ_ERROR_ARGUMENT,
                         "ptq_linear_forward: no linear, or a negative number of rows");
    if (rows == 0)
        return PTQ_OK;
    int64_t bytes = ptq_linear_scratch_bytes(l, rows);
    char *own = NULL, *memory = scratch;
    if (!bytes)
        return ptqi_fail(l->context, PTQ_ERROR_SHAPE, "%lld rows are too many", (long long)rows);
    if (!memory && !(memory = own = ptqi_alloc(l->context, bytes, 1)))
        return PTQ_ERROR_MEMORY;
    int64_t prepared = bytes - ptqi_threads(l->context) * ptq_linear_part_scratch_bytes(l, rows);
    ptq_status status = ptq_linear_prepare(l, x, x_dtype, rows, ldx, memory);
    if (!status)
        status = ptq_linear_forward_prepared(l, memory, y, y_dtype, ldy, memory + prepared);
    ptqi_free(l->context, own);
    return status;
}
