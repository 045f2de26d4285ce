/*
 * Multiplies the matrices of a block by the rows that they share.
 */
#include "base/context.h"
#include "console/clock.h"
#include "linalg/matmul.h"
#include "model/architecture.h"

static ptq_status run_call(struct ptq_call *call, const struct matrix *const *m, int count,
                           const float *x, int64_t rows, float *const *y)
{
    PTQI_TRY(ptq_call_set_x(call, x, PTQ_DTYPE_F32, rows, m[0]->k));
    for (int i = 0; i < count; i++)
        PTQI_TRY(ptq_call_set_y(call, i, y[i], PTQ_DTYPE_F32, rows, m[i]->n));
    return ptq_call_run(call, NULL, 0);
}

/* Runs quantized matrices that prepare x in the same way. */
static ptq_status apply_quantized(ptq_context *context, const struct matrix *const *m, int count,
                                  const float *x, int64_t rows, float *const *y)
{
    const ptq_linear *linears[SITE_MATRICES];
    ptq_call *call;
    for (int i = 0; i < count; i++)
        linears[i] = m[i]->linear;
    PTQI_TRY(ptq_call_create(context, linears, count, &call));
    ptq_status status = run_call(call, m, count, x, rows, y);
    ptq_call_free(call);
    return status;
}

static ptq_status apply_plain(ptq_context *context, const struct matrix *m, const float *x,
                              int64_t rows, float *y)
{
    PTQI_TRY(ptqi_matmul_linear(context, rows, m->n, m->k, x, m->weight, y));
    for (int64_t t = 0; m->bias.values && t < rows; t++)
        for (int64_t n = 0; n < m->n; n++)
            y[t * m->n + n] += m->bias.values[n];
    return PTQ_OK;
}

/* The number of matrices, starting with the first, that are run together. */
static int together(const struct matrix *const *m, int count)
{
    int i = 1;
    while (m[0]->linear && i < count && m[i]->linear &&
           ptq_linear_shares_input(m[0]->linear, m[i]->linear))
        i++;
    return i;
}

ptq_status matrices_apply(struct workspace *w, const struct matrix *const *m, int count,
                          const float *x, int64_t rows, float *const *y)
{
    const double start = clock_seconds();
    for (int i = 0, next; i < count; i = next) {
        next = i + together(m + i, count - i);
        PTQI_TRY(m[i]->linear ? apply_quantized(w->context, m + i, next - i, x, rows, y + i)
                              : apply_plain(w->context, m[i], x, rows, y[i]));
    }
    w->linear_seconds += clock_seconds() - start;
    return PTQ_OK;
}

ptq_status matrix_run(ptq_context *context, const struct matrix *m, const float *x, int64_t rows,
                      float *y)
{
    return m->linear ? apply_quantized(context, &m, 1, x, rows, &y)
                     : apply_plain(context, m, x, rows, y);
}

ptq_status matrix_apply(struct workspace *w, const struct matrix *m, const float *x, int64_t rows,
                        float *y)
{
    return matrices_apply(w, &m, 1, x, rows, &y);
}
