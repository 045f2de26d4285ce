/*
 * ptq_call: creates it, sets it up, and checks that it can run.
 */
#include "linear/call.h"
#include <string.h>
#include "tensor.h"

#define MAX_MATRICES 65536

static const int32_t no_rows[1]; /* a list without rows */

static ptq_status check_linears(const char *function, ptq_context *context,
                                const ptq_linear *const *linears, int64_t count)
{
    PTQI_REQUIRE_FOR(context, function, linears);
    PTQI_TRY(ptqi_check_between(context, function, "count", count, 1, MAX_MATRICES));
    for (int64_t i = 0; i < count; i++) {
        if (!linears[i])
            return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: linears[%lld] is NULL", function,
                             (long long)i);
        if (linears[i]->context != context)
            return ptqi_fail(context, PTQ_ERROR_ARGUMENT,
                             "%s: linears[%lld] belongs to another context", function,
                             (long long)i);
        PTQI_TRY(ptqi_linear_check_ready(function, linears[i]));
        if (!ptq_linear_shares_input(linears[0], linears[i]))
            return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                             "%s: matrices 0 and %lld prepare their input in different ways",
                             function, (long long)i);
    }
    return PTQ_OK;
}

ptq_status ptq_call_create(ptq_context *context, const ptq_linear *const *linears, int64_t count,
                           ptq_call **call)
{
    PTQI_REQUIRE(context, call);
    *call = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_TRY(check_linears(__func__, context, linears, count));
    struct ptq_call *c = ptqi_new_handle(context, (int64_t)sizeof *c);
    if (!c)
        return PTQ_ERROR_MEMORY;
    c->context = context;
    c->linears = ptqi_alloc_zero(context, count, (int64_t)sizeof *c->linears);
    c->biases = ptqi_alloc_zero(context, count, (int64_t)sizeof *c->biases);
    c->results = ptqi_alloc_zero(context, count, (int64_t)sizeof *c->results);
    if (!c->linears || !c->biases || !c->results) {
        ptq_call_free(c);
        return PTQ_ERROR_MEMORY;
    }
    for (c->count = 0; c->count < count; c->count++)
        c->linears[c->count] = ptqi_linear_hold(linears[c->count]);
    *call = c;
    return PTQ_OK;
}

void ptq_call_free(ptq_call *call)
{
    if (!call)
        return;
    for (int64_t i = 0; i < call->count; i++)
        ptq_linear_free(call->linears[i]);
    ptqi_free(call->context, call->linears);
    ptqi_free(call->context, call->biases);
    ptqi_free(call->context, call->results);
    ptqi_free_handle(call->context, call);
}

ptq_status ptq_call_set_parallel_user(ptq_call *call, void *user)
{
    PTQI_REQUIRE(NULL, call);
    call->parallel_user = user;
    call->has_parallel_user = 1;
    return PTQ_OK;
}

ptq_status ptq_call_set_x(ptq_call *call, const void *x, int32_t dtype, int64_t rows, int64_t ldx)
{
    PTQI_REQUIRE(NULL, call);
    const struct ptqi_block block = {"x", "ldx", "K", x, dtype, rows, ptqi_call_linear(call)->k,
                                     ldx};
    PTQI_TRY(ptqi_check_block(call->context, __func__, &block));
    call->x_is_set = 1;
    call->x = rows ? x : NULL;
    call->dtype = dtype;
    call->rows = rows;
    call->ldx = ldx;
    return PTQ_OK;
}

/* Finds the result at index. */
static ptq_status find_result(const char *function, ptq_call *call, int64_t index,
                              struct ptqi_result **result)
{
    *result = NULL;
    PTQI_REQUIRE_FOR(NULL, function, call);
    PTQI_TRY(ptqi_check_between(call->context, function, "result", index, 0,
                                ptqi_call_results(call) - 1));
    *result = &call->results[index];
    return PTQ_OK;
}

ptq_status ptq_call_set_y(ptq_call *call, int64_t result, void *y, int32_t dtype, int64_t rows,
                          int64_t ldy)
{
    struct ptqi_result *r;
    PTQI_TRY(find_result(__func__, call, result, &r));
    const int64_t n = call->linears[result * ptqi_call_step(call)]->n;
    const struct ptqi_block block = {"y", "ldy", "N", y, dtype, rows, n, ldy};
    PTQI_TRY(ptqi_check_block(call->context, __func__, &block));
    r->y = y;
    r->dtype = dtype;
    r->rows = rows;
    r->ld = ldy;
    return PTQ_OK;
}

ptq_status ptq_call_set_add(ptq_call *call, int64_t result, int32_t add)
{
    struct ptqi_result *r;
    PTQI_TRY(find_result(__func__, call, result, &r));
    PTQI_TRY(ptqi_check_between(call->context, __func__, "add", add, 0, 1));
    r->add = add;
    return PTQ_OK;
}

ptq_status ptq_call_set_bias(ptq_call *call, int64_t index, const float *bias)
{
    PTQI_REQUIRE(NULL, call);
    PTQI_TRY(ptqi_check_between(call->context, __func__, "index", index, 0, call->count - 1));
    call->biases[index] = bias;
    return PTQ_OK;
}

ptq_status ptq_call_set_epilogue(ptq_call *call, int32_t epilogue)
{
    PTQI_REQUIRE(NULL, call);
    PTQI_TRY(ptqi_check_between(call->context, __func__, "epilogue", epilogue, PTQ_EPILOGUE_NONE,
                                PTQ_EPILOGUE_GEGLU));
    const int pairs = epilogue != PTQ_EPILOGUE_NONE;
    for (int64_t i = 0; pairs && i < call->count; i += 2)
        if (i + 1 == call->count || call->linears[i]->n != call->linears[i + 1]->n)
            return ptqi_fail(call->context, PTQ_ERROR_SHAPE,
                             "an epilogue takes pairs of matrices with the same N, which matrix "
                             "%lld has not",
                             (long long)i);
    call->epilogue = epilogue;
    memset(call->results, 0, (size_t)call->count * sizeof *call->results);
    return PTQ_OK;
}

ptq_status ptq_call_set_rows(ptq_call *call, int64_t result, const int32_t *rows, int64_t count)
{
    struct ptqi_result *r;
    PTQI_TRY(find_result(__func__, call, result, &r));
    PTQI_TRY(ptqi_check_between(call->context, __func__, "count", count, 0, PTRDIFF_MAX / 4));
    if (count)
        PTQI_REQUIRE(call->context, rows);
    r->list = count ? rows : no_rows;
    r->count = count;
    int64_t first = 0;
    for (int64_t i = 0; i < ptqi_call_results(call); i++) {
        call->results[i].first = first;
        first += ptqi_places(ptqi_call_linear(call), call->results[i].count);
    }
    return PTQ_OK;
}

ptq_status ptq_call_set_prepared(ptq_call *call, void *memory, int64_t bytes)
{
    PTQI_REQUIRE(NULL, call);
    if (memory)
        PTQI_TRY(ptqi_check_memory(call->context, __func__, "memory", memory, bytes,
                                   (int64_t)sizeof(struct ptqi_prepared)));
    call->prepared = memory;
    call->prepared_bytes = memory ? bytes : 0;
    return PTQ_OK;
}
