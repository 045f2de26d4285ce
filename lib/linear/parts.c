/*
 * Packing a linear by ranges of rows, from any number of threads.
 */
#include "linear/layout.h"
#include "qtensor.h"

static ptq_status check_part(const ptq_linear *linear, const ptq_qtensor *q, int64_t from,
                             int64_t first, int64_t count)
{
    const char *function = "ptq_linear_pack_rows";
    ptq_context *context = linear->context;
    PTQI_TRY(ptqi_qtensor_check(q));
    PTQI_TRY(ptqi_check_between(context, function, "count", count, 1, linear->n));
    PTQI_TRY(ptqi_check_between(context, function, "first", first, 0, linear->n - count));
    PTQI_TRY(ptqi_check_between(context, function, "from", from, 0, q->n - count));
    if (linear->is_ready)
        return ptqi_fail(context, PTQ_ERROR_CONFLICT, "%s: the matrix is complete already",
                         function);
    PTQI_TRY(ptqi_shape_check_fits(context, &linear->shape, q));
    if (ptqi_qtensor_columns_hash(q) != linear->columns)
        return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                         "%s: order, groups, input scale, rotation, levels or activations differ "
                         "from those that ptq_linear_begin was given",
                         function);
    return ptqi_shape_check_values(context, &linear->shape, q, from, count);
}

ptq_status ptq_linear_pack_rows(ptq_linear *linear, const ptq_qtensor *q, int64_t from,
                                int64_t first, int64_t count)
{
    PTQI_REQUIRE(NULL, linear);
    PTQI_REQUIRE(linear->context, q);
    PTQI_TRY(check_part(linear, q, from, first, count));
    PTQI_TRY(ptqi_linear_pack_rows(linear, q, from, first, count, 1));
    atomic_fetch_add_explicit(&linear->rows, count, memory_order_relaxed);
    return PTQ_OK;
}

ptq_status ptq_linear_finish(ptq_linear *linear)
{
    PTQI_REQUIRE(NULL, linear);
    const int64_t rows = atomic_load_explicit(&linear->rows, memory_order_relaxed);
    if (linear->is_ready)
        return PTQ_OK;
    if (rows != linear->n)
        return ptqi_fail(linear->context, PTQ_ERROR_MISSING,
                         "ptq_linear_finish: %lld rows were packed, not %lld", (long long)rows,
                         (long long)linear->n);
    ptqi_linear_finish(linear);
    return PTQ_OK;
}
