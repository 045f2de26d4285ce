/*
 * Combines the rows of several quantized matrices into one, for example heads that were each
 * rounded with their own statistics; and divides a matrix by rows or by columns.
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
            p->activation_scale != first->activation_scale ||
            p->activation_zero != first->activation_zero)
            return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                             "part %lld differs from the first in columns, bits, groups, order, "
                             "form, input scale, rotation or activations",
                             (long long)i);
    }
    return PTQ_OK;
}

/* The errors of parts are averaged, weighted by the energies that they are relative to. */
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

/* What a matrix has beside codes and scales. */
struct has {
    int zeros, two_level, super;
};

static struct has has_of(const ptq_qtensor *q)
{
    return (struct has){q->zeros != NULL, q->row_scales != NULL, q->super_scales != NULL};
}

static ptq_status allocate_super(ptq_qtensor *q, int minima)
{
    const int64_t count = q->k / PTQI_SUPER_COLUMNS;
    q->super_scales = ptqi_alloc(q->context, q->n * count, (int64_t)sizeof *q->super_scales);
    if (minima)
        q->super_minima = ptqi_alloc(q->context, q->n * count, (int64_t)sizeof *q->super_minima);
    return q->super_scales && (q->super_minima || !minima) ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* A matrix of n rows with all that concerns the columns copied from first, and memory for the
 * rest. */
static ptq_status allocate(ptq_context *context, const ptq_qtensor *first, int64_t n,
                           struct has has, ptq_qtensor **out)
{
    PTQI_TRY(ptq_qtensor_create(context, n, first->k, first->bits, first->group, out));
    ptq_qtensor *q = *out;
    q->codes = ptqi_alloc(context, n * q->k, 1);
    q->scales = ptqi_alloc(context, n * q->groups, (int64_t)sizeof *q->scales);
    if (has.zeros)
        q->zeros = ptqi_alloc(context, n * q->groups, 1);
    if (has.two_level)
        q->row_scales = ptqi_alloc(context, n, (int64_t)sizeof *q->row_scales);
    if (first->minima)
        q->minima = ptqi_alloc(context, n * q->groups, (int64_t)sizeof *q->minima);
    if (!q->codes || !q->scales || (has.zeros && !q->zeros) || (has.two_level && !q->row_scales) ||
        (first->minima && !q->minima))
        return PTQ_ERROR_MEMORY;
    if (has.super)
        PTQI_TRY(allocate_super(q, first->minima != NULL));
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
    q->scale_dtype = first->scale_dtype;
    q->activations = first->activations;
    q->activation_scale = first->activation_scale;
    q->activation_zero = first->activation_zero;
    return PTQ_OK;
}

/* super of row `from`, of a matrix of as many columns. */
static void copy_super(const ptq_qtensor *q, float *to, int64_t to_row, const float *from,
                       int64_t from_row)
{
    const int64_t count = q->k / PTQI_SUPER_COLUMNS;
    if (to)
        memcpy(to + to_row * count, from + from_row * count, (size_t)count * sizeof *to);
}

static void copy_row(ptq_qtensor *q, int64_t to, const ptq_qtensor *p, int64_t from)
{
    copy_super(q, q->super_scales, to, p->super_scales, from);
    copy_super(q, q->super_minima, to, p->super_minima, from);
    if (q->row_scales)
        q->row_scales[to] = p->row_scales[from];
    ptqi_qtensor_copy_codes(p, from, 0, q->k, q->codes + to * q->k);
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

static ptq_status allocate_stack(ptq_context *context, const ptq_qtensor *const *parts,
                                 int64_t count, ptq_qtensor **q)
{
    int64_t n = 0;
    struct has has = {0, 1, 1};
    for (int64_t i = 0; i < count; i++) {
        n += parts[i]->n;
        const struct has own = has_of(parts[i]);
        has.zeros |= own.zeros;
        has.two_level &= own.two_level;
        has.super &= own.super;
    }
    return allocate(context, parts[0], n, has, q);
}

static ptq_status free_failed(ptq_status status, ptq_qtensor **q)
{
    if (status) {
        ptq_qtensor_free(*q);
        *q = NULL;
    }
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
    ptq_status status = allocate_stack(context, parts, count, q);
    if (!status)
        status = copy_rows(*q, parts, count, rows);
    PTQI_TRY(free_failed(status, q));
    add_errors(*q, parts, count);
    return PTQ_OK;
}

/* first .. first + count within 0 .. total. */
static ptq_status check_range(const char *function, const ptq_qtensor *q, int64_t first,
                              int64_t count, int64_t total)
{
    PTQI_TRY(ptqi_qtensor_check(q));
    PTQI_TRY(ptqi_check_between(q->context, function, "first", first, 0, total - 1));
    return ptqi_check_between(q->context, function, "count", count, 1, total - first);
}

ptq_status ptq_qtensor_rows(const ptq_qtensor *q, int64_t first, int64_t count, ptq_qtensor **out)
{
    PTQI_REQUIRE(q ? q->context : NULL, out);
    *out = NULL;
    PTQI_REQUIRE(NULL, q);
    PTQI_TRY(check_range(__func__, q, first, count, q->n));
    ptq_status status = allocate(q->context, q, count, has_of(q), out);
    for (int64_t n = 0; n < count && !status; n++)
        copy_row(*out, n, q, first + n);
    return free_failed(status, out);
}

static ptq_status check_columns(const char *function, const ptq_qtensor *q, int64_t first,
                                int64_t count)
{
    PTQI_TRY(check_range(function, q, first, count, q->k));
    if (q->order || q->rotation)
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "a matrix with %s cannot be divided by columns",
                         q->order ? "a column order" : "a rotation");
    if (q->groups > 1 &&
        (first % q->group_size || (count % q->group_size && first + count != q->k)))
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "columns %lld .. %lld do not consist of whole groups of %lld",
                         (long long)first, (long long)(first + count - 1),
                         (long long)q->group_size);
    return PTQ_OK;
}

/* Copies row n of columns first .. first + to->k. */
static void copy_columns(ptq_qtensor *to, const ptq_qtensor *q, int64_t n, int64_t first)
{
    const int64_t from = n * q->groups + (q->groups > 1 ? first / q->group_size : 0);
    const int64_t at = n * to->groups;
    ptqi_qtensor_copy_codes(q, n, first, to->k, to->codes + n * to->k);
    memcpy(to->scales + at, q->scales + from, (size_t)to->groups * sizeof *to->scales);
    if (to->zeros)
        memcpy(to->zeros + at, q->zeros + from, (size_t)to->groups);
    if (to->minima)
        memcpy(to->minima + at, q->minima + from, (size_t)to->groups * sizeof *to->minima);
    if (to->row_scales)
        to->row_scales[n] = q->row_scales[n];
}

ptq_status ptq_qtensor_columns(const ptq_qtensor *q, int64_t first, int64_t count,
                               ptq_qtensor **out)
{
    PTQI_REQUIRE(q ? q->context : NULL, out);
    *out = NULL;
    PTQI_REQUIRE(NULL, q);
    PTQI_TRY(check_columns(__func__, q, first, count));
    /* q with only these columns, for allocate to copy from. */
    struct ptq_qtensor narrow = *q;
    narrow.k = count;
    narrow.group = q->groups > 1 ? q->group : 0;
    narrow.input_scale = q->input_scale ? q->input_scale + first : NULL;
    struct has has = has_of(q);
    has.super = 0; /* other columns may share them */
    ptq_status status = allocate(q->context, &narrow, q->n, has, out);
    for (int64_t n = 0; n < q->n && !status; n++)
        copy_columns(*out, q, n, first);
    return free_failed(status, out);
}
