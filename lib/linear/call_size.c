/*
 * The memory that a call needs.
 */
#include "base/team.h"
#include "linear/call.h"

/* A single row may have the values of two panels. */
int64_t ptqi_call_gate_bytes(const struct ptq_call *call, int64_t rows)
{
    const struct ptq_linear *l = ptqi_call_linear(call);
    if (call->epilogue == PTQ_EPILOGUE_NONE)
        return 0;
    rows = ptqi_max(ptqi_min(rows, ptqi_task_max_rows(l)), 2);
    return ptqi_align(rows * ptqi_panel_columns(l) * 4);
}

int64_t ptqi_call_part_scratch(const struct ptq_call *call, int64_t rows)
{
    int64_t product = 0;
    for (int64_t i = 0; i < call->count; i++)
        product = ptqi_max(product, ptqi_task_scratch(call->linears[i], rows));
    return ptqi_max(product + ptqi_call_gate_bytes(call, rows),
                    ptqi_prepare_scratch(ptqi_call_linear(call)));
}

/* The layout for up to this many rows. */
static ptq_status plan_size(const char *function, const ptq_call *call, int64_t rows,
                            struct ptqi_prepared *layout)
{
    PTQI_REQUIRE_FOR(NULL, function, call);
    PTQI_TRY(ptqi_check_between(call->context, function, "rows", rows, 0, PTRDIFF_MAX / 2));
    const struct ptq_linear *l = ptqi_call_linear(call);
    /* Each list may end with an incomplete pair. */
    const int64_t fill =
        ptqi_call_has_lists(call) ? ptqi_call_results(call) * (l->kernels->x_rows - 1) : 0;
    return ptqi_lay_out(function, l, ptqi_places(l, rows + fill), rows, layout);
}

int64_t ptq_call_prepared_bytes(const ptq_call *call, int64_t rows)
{
    struct ptqi_prepared layout;
    return plan_size(__func__, call, rows, &layout) ? 0 : layout.bytes;
}

int64_t ptq_call_part_scratch_bytes(const ptq_call *call, int64_t rows)
{
    struct ptqi_prepared layout;
    return plan_size(__func__, call, rows, &layout) ? 0
                                                    : ptqi_call_part_scratch(call, layout.places);
}

int64_t ptq_call_scratch_bytes(const ptq_call *call, int64_t rows, int32_t threads)
{
    struct ptqi_prepared layout;
    if (plan_size(__func__, call, rows, &layout) ||
        ptqi_check_between(call->context, __func__, "threads", threads, 0, PTQI_MAX_THREADS))
        return 0;
    const int64_t parts = threads ? threads : ptqi_threads(call->context);
    return (call->prepared ? 0 : ptqi_align(layout.bytes)) +
           parts * ptqi_call_part_scratch(call, layout.places);
}
