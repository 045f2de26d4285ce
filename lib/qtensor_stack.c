/*
 * Combines the rows of several quantized matrices into one, for example heads that were each
 * rounded with their own statistics.
 */
#include <math.h>
#include <string.h>
#include "qtensor.h"

static int same_floats(const float *a, const float *b, int64_t count)
{
    return (!a && !b) || (a && b && !memcmp(a, b, (size_t)count * sizeof *a));
}

static int same_integers(const int32_t *a, const int32_t *b, int64_t count)
{
    return (!a && !b) || (a && b && !memcmp(a, b, (size_t)count * sizeof *a));
}

/* Both have minima, or neither; and the same levels, if any. */
static int same_form(const ptq_qtensor *p, const ptq_qtensor *q)
{
    const int levels = (!p->levels && !q->levels) ||
                       (p->levels && q->levels && !memcmp(p->levels, q->levels, 1u << p->bits));
    return levels && !p->minima == !q->minima;
}

/* All parts must agree in everything that concerns the input and the columns. */
static ptq_status check_parts(ptq_context *context, const char *function,
                              const ptq_qtensor *const *parts, int64_t count)
{
    const ptq_qtensor *first = parts[0];
    for (int64_t i = 0; i < count; i++) {
        const ptq_qtensor *p = parts[i];
        if (!p)
            return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: parts[%lld] is NULL", function,
                             (long long)i);
        PTQI_TRY(ptqi_qtensor_check(p));
        if (p->k != first->k || p->bits != first->bits || p->group != first->group ||
            !same_form(p, first) || !same_integers(p->order, first->order, p->k) ||
            !same_integers(p->group_of, first->group_of, p->k) ||
            !same_floats(p->input_scale, first->input_scale, p->k) ||
            p->rotation != first->rotation || p->activations != first->activations ||
            p->activation_scale != first->activation_scale)
            return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                             "part %lld differs from the first in columns, bits, groups, order, "
                             "form, input scale, rotation or activations",
                             (long long)i);
    }
    return PTQ_OK;
}

/* Errors of parts are averaged, weighted by the energies that they are relative to. */
static double mean_error(double sum, double energy)
{
    return energy > 0 ? sum / energy : energy == 0 ? 0 : NAN;
}

static void add_errors(ptq_qtensor *q, const ptq_qtensor *const *parts, int64_t count)
{
    double weight = 0, output = 0, plain = 0, chosen = 0;
    q->weight_energy = q->output_energy = 0;
    for (int64_t i = 0; i < count; i++) {
        const ptq_qtensor *p = parts[i];
        q->adjusted_groups += p->adjusted_groups;
        q->clamped_groups += p->clamped_groups;
        weight += p->weight_error * p->weight_energy;
        output += p->output_error * p->output_energy;
        plain += p->plain_error * p->output_energy;
        chosen += p->chosen_error * p->output_energy;
        q->weight_energy += p->weight_energy;
        q->output_energy += p->output_energy;
        q->damping = p->damping > q->damping ? p->damping : q->damping;
    }
    q->weight_error = mean_error(weight, q->weight_energy);
    q->output_error = mean_error(output, q->output_energy);
    q->plain_error = mean_error(plain, q->output_energy);
    q->chosen_error = mean_error(chosen, q->output_energy);
}

static ptq_status allocate(ptq_context *context, const ptq_qtensor *const *parts, int64_t count,
                           ptq_qtensor **out)
{
    const ptq_qtensor *first = parts[0];
    int64_t n = 0;
    int zeros = 0, two_level = 1;
    for (int64_t i = 0; i < count; i++) {
        n += parts[i]->n;
        zeros |= parts[i]->zeros != NULL;
        two_level &= parts[i]->row_scales != NULL;
    }
    PTQI_TRY(ptq_qtensor_create(context, n, first->k, first->bits, first->group, out));
    ptq_qtensor *q = *out;
    q->codes = ptqi_alloc(context, n * q->k, 1);
    q->scales = ptqi_alloc(context, n * q->groups, (int64_t)sizeof *q->scales);
    if (zeros)
        q->zeros = ptqi_alloc(context, n * q->groups, 1);
    if (two_level)
        q->row_scales = ptqi_alloc(context, n, (int64_t)sizeof *q->row_scales);
    if (first->minima)
        q->minima = ptqi_alloc(context, n * q->groups, (int64_t)sizeof *q->minima);
    if (!q->codes || !q->scales || (zeros && !q->zeros) || (two_level && !q->row_scales) ||
        (first->minima && !q->minima))
        return PTQ_ERROR_MEMORY;
    if (first->levels)
        PTQI_TRY(ptq_qtensor_set_levels(q, first->levels));
    if (first->group_of)
        PTQI_TRY(ptq_qtensor_set_group_index(q, first->group_of));
    else if (first->order)
        PTQI_TRY(ptq_qtensor_set_order(q, first->order));
    if (first->input_scale)
        PTQI_TRY(ptq_qtensor_set_input_scale(q, first->input_scale));
    q->rotation = first->rotation;
    q->equalize = first->equalize;
    q->activations = first->activations;
    q->activation_scale = first->activation_scale;
    return PTQ_OK;
}

static void copy_row(ptq_qtensor *q, int64_t to, const ptq_qtensor *p, int64_t from)
{
    if (q->row_scales)
        q->row_scales[to] = p->row_scales[from];
    memcpy(q->codes + to * q->k, p->codes + from * q->k, (size_t)q->k);
    for (int64_t g = 0; g < q->groups; g++) {
        q->scales[to * q->groups + g] = p->scales[from * q->groups + g];
        if (q->minima)
            q->minima[to * q->groups + g] = p->minima[from * q->groups + g];
        if (q->zeros)
            q->zeros[to * q->groups + g] = (uint8_t)ptqi_qtensor_zero(p, from, g);
    }
}

static ptq_status copy_rows(ptq_qtensor *q, const ptq_qtensor *const *parts, int64_t count,
                            const int64_t *rows)
{
    uint8_t *seen = ptqi_alloc_zero(q->context, q->n, 1);
    ptq_status status = seen ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t i = 0, at = 0; i < count && !status; i++)
        for (int64_t row = 0; row < parts[i]->n && !status; row++, at++) {
            int64_t to = rows ? rows[at] : at;
            if (to < 0 || to >= q->n || seen[to]) {
                status = ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                                   "rows is not a permutation at index %lld", (long long)at);
                continue;
            }
            seen[to] = 1;
            copy_row(q, to, parts[i], row);
        }
    ptqi_free(q->context, seen);
    return status;
}

ptq_status ptq_qtensor_stack(ptq_context *context, const ptq_qtensor *const *parts, int64_t count,
                             const int64_t *rows, ptq_qtensor **q)
{
    PTQI_REQUIRE(context, q);
    *q = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_REQUIRE(context, parts);
    PTQI_TRY(ptqi_check_count(context, __func__, count));
    PTQI_TRY(check_parts(context, __func__, parts, count));
    ptq_status status = allocate(context, parts, count, q);
    if (!status)
        status = copy_rows(*q, parts, count, rows);
    if (status) {
        ptq_qtensor_free(*q);
        *q = NULL;
        return status;
    }
    add_errors(*q, parts, count);
    return PTQ_OK;
}
