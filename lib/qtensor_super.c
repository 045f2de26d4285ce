/*
 * Super scales: what the scales of 256 columns are integer multiples of, as GGUF's K types store
 * them. Nothing computes with them; they allow such a matrix to be written as it was.
 */
#include <string.h>
#include "base/half.h"
#include "qtensor.h"
#include "tensor.h"

/* Whether every value of 256 columns is an integer -128 .. 127 times the super value. */
static int are_multiples(const ptq_qtensor *q, const float *values, const float *super)
{
    const int64_t each = PTQI_SUPER_COLUMNS / q->group_size;
    for (int64_t i = 0; i < q->n * q->groups; i++) {
        const float whole = super[i / each];
        const float factor = whole != 0 ? ptqi_round_even(values[i] / whole) : 0;
        if (!(factor >= -128 && factor <= 127) || factor * whole != values[i])
            return 0;
    }
    return 1;
}

static int are_halves(const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (ptqi_round_to(values[i], PTQ_DTYPE_F16) != values[i])
            return 0;
    return 1;
}

ptq_status ptq_qtensor_set_super_scales(ptq_qtensor *q, const float *scales, const float *minima)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, scales);
    PTQI_TRY(ptqi_qtensor_check(q));
    if (q->minima)
        PTQI_REQUIRE(q->context, minima);
    if (q->k % PTQI_SUPER_COLUMNS || PTQI_SUPER_COLUMNS % q->group_size || q->group_of ||
        q->row_scales || (minima && !q->minima))
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "super scales need rows of whole blocks of %d columns, these whole even "
                         "groups, plain scales, and super minima only if there are minima",
                         PTQI_SUPER_COLUMNS);
    const int64_t count = q->n * (q->k / PTQI_SUPER_COLUMNS);
    if (!are_halves(scales, count) || !are_multiples(q, q->scales, scales) ||
        (minima && (!are_halves(minima, count) || !are_multiples(q, q->minima, minima))))
        return ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                         "a scale or minimum is not its super scale, exact in f16, times an "
                         "integer -128 .. 127");
    PTQI_TRY(ptqi_replace(q->context, (void **)&q->super_scales, scales, count, 4));
    return minima ? ptqi_replace(q->context, (void **)&q->super_minima, minima, count, 4) : PTQ_OK;
}

int32_t ptq_qtensor_has_super_scales(const ptq_qtensor *q)
{
    return q && q->super_scales;
}

ptq_status ptq_qtensor_super_scales(const ptq_qtensor *q, float *scales, float *minima)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, scales);
    if (!q->super_scales)
        return ptqi_fail(q->context, PTQ_ERROR_MISSING, "the matrix has no super scales");
    if (q->super_minima)
        PTQI_REQUIRE(q->context, minima);
    const size_t bytes = (size_t)(q->n * (q->k / PTQI_SUPER_COLUMNS)) * sizeof *scales;
    memcpy(scales, q->super_scales, bytes);
    if (q->super_minima)
        memcpy(minima, q->super_minima, bytes);
    return PTQ_OK;
}
