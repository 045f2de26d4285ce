/*
 * The columns of a quantized matrix: their order and their groups.
 */
#include <string.h>
#include "base/hash.h"
#include "qtensor.h"

ptq_status ptq_qtensor_set_order(ptq_qtensor *q, const int32_t *order)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, order);
    uint8_t *seen = ptqi_alloc_zero(q->context, q->k, 1);
    ptq_status status = seen ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < q->k && !status; i++) {
        if (order[i] < 0 || order[i] >= q->k || seen[order[i]])
            status = ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                               "order is not a permutation at index %lld", (long long)i);
        else
            seen[order[i]] = 1;
    }
    ptqi_free(q->context, seen);
    PTQI_TRY(status);
    PTQI_TRY(ptqi_replace(q->context, (void **)&q->order, order, q->k, 4));
    ptqi_free(q->context, q->group_of); /* groups are even again */
    q->group_of = NULL;
    return PTQ_OK;
}

int32_t ptq_qtensor_has_order(const ptq_qtensor *q)
{
    return q && q->order;
}

ptq_status ptq_qtensor_order(const ptq_qtensor *q, int32_t *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    for (int64_t i = 0; i < q->k; i++)
        out[i] = q->order ? q->order[i] : (int32_t)i;
    return PTQ_OK;
}

/* Whether every group has its full number of columns; then order [k] lists them group by group. */
static int is_even(const ptq_qtensor *q, const int32_t *group_index, int64_t *next, int32_t *order)
{
    for (int64_t g = 0; g < q->groups; g++)
        next[g] = g * q->group_size;
    for (int64_t c = 0; c < q->k; c++) {
        const int64_t g = group_index[c];
        const int64_t end = g == q->groups - 1 ? q->k : (g + 1) * q->group_size;
        if (next[g] == end)
            return 0;
        order[next[g]++] = (int32_t)c;
    }
    return 1;
}

/* order [k]: the columns group by group, in their original order within each. */
static void sort_columns(const ptq_qtensor *q, const int32_t *group_index, int32_t *order)
{
    int64_t at = 0;
    for (int64_t g = 0; g < q->groups; g++)
        for (int64_t c = 0; c < q->k; c++)
            if (group_index[c] == g)
                order[at++] = (int32_t)c;
}

static ptq_status set_index(ptq_qtensor *q, const int32_t *group_index, int64_t *next,
                            int32_t *order)
{
    for (int64_t c = 0; c < q->k; c++)
        if (group_index[c] < 0 || group_index[c] >= q->groups)
            return ptqi_fail(q->context, PTQ_ERROR_BOUNDS, "group_index[%lld] is %d, not 0 .. %lld",
                             (long long)c, group_index[c], (long long)q->groups - 1);
    const int even = is_even(q, group_index, next, order);
    if (!even && q->row_scales)
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "uneven groups cannot be combined with two-level scales");
    if (!even)
        sort_columns(q, group_index, order);
    PTQI_TRY(ptq_qtensor_set_order(q, order));
    return even ? PTQ_OK : ptqi_replace(q->context, (void **)&q->group_of, group_index, q->k, 4);
}

ptq_status ptq_qtensor_set_group_index(ptq_qtensor *q, const int32_t *group_index)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, group_index);
    int64_t *next = ptqi_alloc(q->context, q->groups, (int64_t)sizeof *next);
    int32_t *order = ptqi_alloc(q->context, q->k, (int64_t)sizeof *order);
    ptq_status status = next && order ? set_index(q, group_index, next, order) : PTQ_ERROR_MEMORY;
    ptqi_free(q->context, next);
    ptqi_free(q->context, order);
    return status;
}

ptq_status ptq_qtensor_group_index(const ptq_qtensor *q, int32_t *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    if (q->group_of)
        memcpy(out, q->group_of, (size_t)q->k * sizeof *out);
    for (int64_t i = 0; i < q->k && !q->group_of; i++)
        out[q->order ? q->order[i] : i] = (int32_t)(i / q->group_size);
    return PTQ_OK;
}

int32_t ptq_qtensor_has_uneven_groups(const ptq_qtensor *q)
{
    return q && q->group_of;
}

uint64_t ptqi_qtensor_columns_hash(const struct ptq_qtensor *q)
{
    int64_t numbers[5] = {q->bits, q->rotation, q->activations, q->activation_zero, 0};
    memcpy(&numbers[4], &q->activation_scale, sizeof q->activation_scale);
    uint64_t h = ptqi_hash_fast(PTQI_HASH_START, numbers, (int64_t)sizeof numbers);
    if (q->order)
        h = ptqi_hash_fast(h ^ 1, q->order, q->k * (int64_t)sizeof *q->order);
    if (q->group_of)
        h = ptqi_hash_fast(h ^ 2, q->group_of, q->k * (int64_t)sizeof *q->group_of);
    if (q->input_scale)
        h = ptqi_hash_fast(h ^ 3, q->input_scale, q->k * (int64_t)sizeof *q->input_scale);
    if (q->levels)
        h = ptqi_hash_fast(h ^ 4, q->levels, (int64_t)1 << q->bits);
    return h;
}
