#include "calibrate/slices.h"
#include <string.h>
#include "base/context.h"
#include "model/architecture.h"

/* The index of the value statistics that row n of a matrix is rounded with; -1: the shared ones. */
static int64_t values_of(const struct model *m, const struct matrix *matrix, int64_t n,
                         const struct observation *o)
{
    const int64_t channel = role_value_channel(&m->config, matrix->role, n);
    if (!o || !o->value_count || channel < 0)
        return -1;
    return o->value_count > 1 ? channel / m->config.head_dim : 0;
}

/* Copies the rows of a matrix that use these statistics into one block. */
static ptq_status gather(const struct model *model, struct slices *s, int64_t at,
                         const struct matrix *m, const struct observation *o, int64_t values,
                         int64_t n)
{
    s->gathered[at] = ptqi_alloc(s->context, n * m->k, (int64_t)sizeof(float));
    s->rows[at] = ptqi_alloc(s->context, n, (int64_t)sizeof(int64_t));
    if (!s->gathered[at] || !s->rows[at])
        return PTQ_ERROR_MEMORY;
    for (int64_t row = 0, to = 0; row < m->n; row++)
        if (values_of(model, m, row, o) == values) {
            memcpy(s->gathered[at] + to * m->k, m->weight + row * m->k,
                   (size_t)m->k * sizeof(float));
            s->rows[at][to++] = row;
        }
    return PTQ_OK;
}

/* Adds the slice of rows that use these statistics, if there are any. */
static ptq_status add(const struct model *model, struct slices *s, const struct matrix *m,
                      int number, const struct observation *o, int64_t values)
{
    int64_t shape[2] = {0, m->k};
    for (int64_t row = 0; row < m->n; row++)
        shape[0] += values_of(model, m, row, o) == values;
    if (!shape[0])
        return PTQ_OK;
    const int64_t at = s->count++; /* from here on slices_free frees its contents */
    s->matrix[at] = number;
    s->own[at] = values < 0 ? NULL : o->values[values];
    if (shape[0] < m->n)
        PTQI_TRY(gather(model, s, at, m, o, values, shape[0]));
    PTQI_TRY(ptq_tensor_borrow(s->context, PTQ_DTYPE_F32, 2, shape,
                               s->gathered[at] ? s->gathered[at] : m->weight, &s->weights[at]));
    return ptq_tensor_set_name(s->weights[at], m->name);
}

ptq_status slices_make(const struct model *m, const struct matrix *matrices, int count,
                       const struct observation *o, struct slices *s)
{
    const int64_t values = o ? o->value_count : 0, most = count * (values + 1);
    memset(s, 0, sizeof *s);
    s->context = m->context;
    s->weights = ptqi_alloc_zero(m->context, most, (int64_t)sizeof *s->weights);
    s->own = ptqi_alloc_zero(m->context, most, (int64_t)sizeof *s->own);
    s->q = ptqi_alloc_zero(m->context, most, (int64_t)sizeof *s->q);
    s->matrix = ptqi_alloc_zero(m->context, most, (int64_t)sizeof *s->matrix);
    s->gathered = ptqi_alloc_zero(m->context, most, (int64_t)sizeof *s->gathered);
    s->rows = ptqi_alloc_zero(m->context, most, (int64_t)sizeof *s->rows);
    if (!s->weights || !s->own || !s->q || !s->matrix || !s->gathered || !s->rows)
        return PTQ_ERROR_MEMORY;
    for (int i = 0; i < count; i++)
        for (int64_t v = -1; v < values; v++)
            PTQI_TRY(add(m, s, &matrices[i], i, o, v));
    return PTQ_OK;
}

ptq_status slices_join(const struct slices *s, int matrix, ptq_qtensor **q)
{
    int64_t first = 0, count = 0, n = 0;
    while (s->matrix[first] != matrix)
        first++;
    for (; first + count < s->count && s->matrix[first + count] == matrix; count++)
        n += ptq_qtensor_n(s->q[first + count]);
    const ptq_qtensor *const *parts = (const ptq_qtensor *const *)(s->q + first);
    if (!s->rows[first])
        return ptq_qtensor_stack(s->context, parts, 1, NULL, q);
    int64_t *rows = ptqi_alloc(s->context, n, (int64_t)sizeof *rows), at = 0;
    if (!rows)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        int64_t part = ptq_qtensor_n(parts[i]);
        memcpy(rows + at, s->rows[first + i], (size_t)part * sizeof *rows);
        at += part;
    }
    ptq_status status = ptq_qtensor_stack(s->context, parts, count, rows, q);
    ptqi_free(s->context, rows);
    return status;
}

void slices_free(struct slices *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        ptq_tensor_free(s->weights[i]);
        ptq_qtensor_free(s->q[i]);
        ptqi_free(s->context, s->gathered[i]);
        ptqi_free(s->context, s->rows[i]);
    }
    void *lists[] = {s->weights, s->own, s->q, s->matrix, s->gathered, s->rows};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        ptqi_free(s->context, lists[i]);
}

ptq_status matrix_as_tensor(ptq_context *context, const struct matrix *matrix, ptq_tensor **weights)
{
    const int64_t shape[2] = {matrix->n, matrix->k};
    PTQI_TRY(ptq_tensor_borrow(context, PTQ_DTYPE_F32, 2, shape, matrix->weight, weights));
    return ptq_tensor_set_name(*weights, matrix->name);
}
