/*
 * What a quantized matrix may have instead of zero points: minima, or levels that codes index.
 */
#include <string.h>
#include "qtensor.h"
#include "tensor.h"

static ptq_status conflict(const ptq_qtensor *q, const char *what)
{
    return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                     "%s cannot be combined with zero points, two-level scales or each other",
                     what);
}

ptq_status ptq_qtensor_set_minima(ptq_qtensor *q, const float *minima)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, minima);
    if (q->zeros || q->row_scales || q->levels)
        return conflict(q, "minima");
    PTQI_TRY(
        ptqi_check_finite(q->context, "minima", minima, PTQ_DTYPE_F32, q->n, q->groups, q->groups));
    ptqi_qtensor_forget_super(q);
    return ptqi_replace(q->context, (void **)&q->minima, minima, q->n * q->groups, 4);
}

int32_t ptq_qtensor_has_minima(const ptq_qtensor *q)
{
    return q && q->minima;
}

ptq_status ptq_qtensor_minima(const ptq_qtensor *q, float *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    if (!q->minima)
        return ptqi_fail(q->context, PTQ_ERROR_MISSING, "the matrix has no minima");
    memcpy(out, q->minima, (size_t)(q->n * q->groups) * sizeof *out);
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_levels(ptq_qtensor *q, const int8_t *levels)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, levels);
    if (q->zeros || q->row_scales || q->minima)
        return conflict(q, "levels");
    if (q->bits > 4)
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "levels are for codes of up to 4 bits, not of %d", q->bits);
    for (int i = 0; i < 1 << q->bits; i++)
        if (levels[i] < -127)
            return ptqi_fail(q->context, PTQ_ERROR_BOUNDS, "levels[%d] is %d, below -127", i,
                             levels[i]);
    return ptqi_replace(q->context, (void **)&q->levels, levels, 1 << q->bits, 1);
}

int32_t ptq_qtensor_has_levels(const ptq_qtensor *q)
{
    return q && q->levels;
}

ptq_status ptq_qtensor_levels(const ptq_qtensor *q, int8_t *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    if (!q->levels)
        return ptqi_fail(q->context, PTQ_ERROR_MISSING, "the matrix has no levels");
    memcpy(out, q->levels, (size_t)1 << q->bits);
    return PTQ_OK;
}
