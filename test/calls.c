#include "calls.h"
#include "linear/call.h"

static ptq_call *make_call(const ptq_linear *linear)
{
    ptq_call *call;
    return ptq_call_create(linear->context, &linear, 1, &call) ? NULL : call;
}

int64_t prepared_size(const ptq_linear *linear, int64_t rows)
{
    ptq_call *call = make_call(linear);
    const int64_t bytes = ptq_call_prepared_bytes(call, rows);
    ptq_call_free(call);
    return bytes;
}

int64_t scratch_size(const ptq_linear *linear, int64_t rows)
{
    ptq_call *call = make_call(linear);
    const int64_t bytes = ptq_call_scratch_bytes(call, rows, 0);
    ptq_call_free(call);
    return bytes;
}

int64_t part_scratch_size(const ptq_linear *linear, int64_t rows)
{
    ptq_call *call = make_call(linear);
    const int64_t bytes = ptq_call_part_scratch_bytes(call, rows);
    ptq_call_free(call);
    return bytes;
}

/* The rows of what is prepared; 0 where nothing is. */
static int64_t rows_of(const void *prepared)
{
    const struct ptqi_prepared *header = prepared;
    return header && header->magic == PTQI_PREPARED_MAGIC ? header->rows : 0;
}

static ptq_status run(ptq_call *call, int64_t rows, void *scratch)
{
    return ptq_call_run(call, scratch, scratch ? ptq_call_scratch_bytes(call, rows, 0) : 0);
}

static ptq_status multiply(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                           int64_t ldx, void *y, int32_t y_dtype, int64_t ldy, void *scratch,
                           int add)
{
    ptq_call *call = make_call(linear);
    if (!call)
        return PTQ_ERROR_MEMORY;
    ptq_status status = ptq_call_set_x(call, x, x_dtype, rows, ldx);
    if (!status)
        status = ptq_call_set_y(call, 0, y, y_dtype, rows, ldy);
    if (!status)
        status = ptq_call_set_add(call, 0, add);
    if (!status)
        status = run(call, rows, scratch);
    ptq_call_free(call);
    return status;
}

ptq_status forward(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                   int64_t ldx, void *y, int32_t y_dtype, int64_t ldy, void *scratch)
{
    return multiply(linear, x, x_dtype, rows, ldx, y, y_dtype, ldy, scratch, 0);
}

ptq_status accumulate(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                      int64_t ldx, void *y, int32_t y_dtype, int64_t ldy, void *scratch)
{
    return multiply(linear, x, x_dtype, rows, ldx, y, y_dtype, ldy, scratch, 1);
}

ptq_status prepare(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                   int64_t ldx, void *prepared)
{
    ptq_call *call = make_call(linear);
    if (!call)
        return PTQ_ERROR_MEMORY;
    ptq_status status = ptq_call_set_x(call, x, x_dtype, rows, ldx);
    if (!status)
        status = ptq_call_set_prepared(call, prepared, ptq_call_prepared_bytes(call, rows));
    for (int64_t part = 2; part >= 0 && !status; part--)
        status = ptq_call_prepare_part(call, part, 3, NULL, 0);
    ptq_call_free(call);
    return status;
}

/* parts 0: as a whole. */
static ptq_status run_prepared(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                               int64_t ldy, void *scratch, int add, int64_t part, int64_t parts)
{
    ptq_call *call = make_call(linear);
    const int64_t rows = rows_of(prepared);
    if (!call)
        return PTQ_ERROR_MEMORY;
    ptq_status status = ptq_call_set_y(call, 0, y, y_dtype, rows, ldy);
    if (!status)
        status = ptq_call_set_prepared(call, prepared, INT64_MAX);
    if (!status)
        status = ptq_call_set_add(call, 0, add);
    if (!status && parts != -1)
        status = ptq_call_run_part(call, part, parts, scratch,
                                   scratch ? ptq_call_part_scratch_bytes(call, rows) : 0);
    else if (!status)
        status = run(call, rows, scratch);
    ptq_call_free(call);
    return status;
}

ptq_status forward_prepared(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                            int64_t ldy, void *scratch)
{
    return run_prepared(linear, prepared, y, y_dtype, ldy, scratch, 0, 0, -1);
}

ptq_status accumulate_prepared(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                               int64_t ldy, void *scratch)
{
    return run_prepared(linear, prepared, y, y_dtype, ldy, scratch, 1, 0, -1);
}

ptq_status forward_part(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                        int64_t ldy, void *scratch, int64_t part, int64_t parts)
{
    return run_prepared(linear, prepared, y, y_dtype, ldy, scratch, 0, part, parts);
}

ptq_status accumulate_part(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                           int64_t ldy, void *scratch, int64_t part, int64_t parts)
{
    return run_prepared(linear, prepared, y, y_dtype, ldy, scratch, 1, part, parts);
}
