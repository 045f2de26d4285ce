/*
 * Error measures of quantized matrices: the weight error |W - Q|^2 / |W|^2, the output error
 * |X (W - Q)^T|^2 / |X W^T|^2, and the error of int8 activations.
 *
 * The output error needs no rows: |X D^T|^2 = trace(D H D^T). An equalization does not change it:
 * trace(D' H' D'^T) = trace(D H D^T).
 */
#include "measure.h"
#include <string.h>
#include "base/exact.h"
#include "basis.h"
#include "linalg/matmul.h"
#include "linalg/vector.h"
#include "qtensor.h"
#include "stats.h"

#define ERROR_ROWS 256 /* of the sample, for the error of int8 activations */

/* H is symmetric: for each block of columns, the columns before it count twice and those after it
 * are skipped. */
ptq_status ptqi_energy(struct ptqi_crew crew, const float *hessian, int64_t k, int64_t n,
                       const float *d, float *product, double *sum)
{
    *sum = 0;
    for (int64_t first = 0; first < k; first += PTQI_ENERGY_BLOCK) {
        const int64_t columns = ptqi_min(PTQI_ENERGY_BLOCK, k - first);
        for (int own = first == 0; own < 2; own++) {
            const int64_t from = own ? first : 0, inner = own ? columns : first;
            const struct ptqi_matrix a = {d + from, k, 1};
            const struct ptqi_matrix h = {hessian + from * k + first, k, 1};
            double part = 0;
            PTQI_TRY(ptqi_matmul_as(crew, n, columns, inner, a, h, product, columns, 0));
            for (int64_t row = 0; row < n; row++)
                for (int64_t c = 0; c < columns; c++)
                    part += (double)d[row * k + first + c] * (double)product[row * columns + c];
            *sum += own ? part : 2 * part;
        }
    }
    return PTQ_OK;
}

/* |a|^2 of count numbers. */
static double squares(const float *a, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)a[i] * (double)a[i];
    return sum;
}

/* out [n][k] = the codes of q, dequantized in the equalized basis. */
static void dequantize(const struct ptq_qtensor *q, float *out)
{
    for (int64_t n = 0; n < q->n; n++)
        ptqi_qtensor_dequantize_row(q, n, out + n * q->k);
}

static ptq_status measure_output(struct ptqi_crew crew, const float *w, const float *difference,
                                 const struct ptqi_curvature *c, struct ptq_qtensor *q)
{
    double lost, whole;
    float *product = ptqi_alloc(q->context, q->n * PTQI_ENERGY_BLOCK, (int64_t)sizeof *product);
    ptq_status status = PTQ_ERROR_MEMORY;
    if (product)
        status = ptqi_energy(crew, c->hessian, q->k, q->n, difference, product, &lost);
    if (!status)
        status = ptqi_energy(crew, c->hessian, q->k, q->n, w, product, &whole);
    if (!status) {
        lost = lost > 0 ? lost : 0; /* rounding can leave a tiny negative sum */
        q->output_error = whole > 0 ? lost / whole : 0;
        q->output_energy = whole / c->unit;
    }
    ptqi_free(q->context, product);
    return status;
}

ptq_status ptqi_measure_weights(struct ptqi_crew crew, const struct ptq_equalization *e, float *w,
                                const struct ptqi_curvature *c, struct ptq_qtensor *q)
{
    const int64_t count = q->n * q->k;
    float *difference = ptqi_alloc(q->context, count, (int64_t)sizeof *difference);
    ptq_status status = difference ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        dequantize(q, difference);
    for (int64_t i = 0; i < count && !status; i++)
        difference[i] = w[i] - difference[i];
    if (!status && c->hessian)
        status = measure_output(crew, w, difference, c, q);
    if (!status) {
        ptqi_restore_weights(e, difference, q->n);
        ptqi_restore_weights(e, w, q->n);
        q->weight_energy = squares(w, count);
        q->weight_error = q->weight_energy > 0 ? squares(difference, count) / q->weight_energy : 0;
    }
    ptqi_free(q->context, difference);
    return status;
}

/* Quantizes rows [count][k] of the equalized input to int8 and back. */
static void quantize_rows(const struct ptq_equalization *e, float *rows, int64_t count)
{
    const float shared = e->activations == PTQ_ACTIVATIONS_INT8_STATIC
                             ? e->activation_scale
                             : ptqi_absmax(e->context, rows, count * e->k) / 127.0f;
    for (int64_t t = 0; t < count; t++) {
        float *row = rows + t * e->k, scale = shared;
        if (e->activations == PTQ_ACTIVATIONS_INT8_TOKEN)
            scale = ptqi_absmax(e->context, row, e->k) / 127.0f;
        for (int64_t c = 0; scale > 0 && c < e->k; c++) {
            float v = row[c] / scale;
            v = v < -127.0f ? -127.0f : v > 127.0f ? 127.0f : v;
            row[c] = ptqi_round_even(v) * scale;
        }
    }
}

/* x [rows][k] = every step-th row of the sample, equalized, and d its difference to int8. */
static void sample_rows(const struct ptq_equalization *e, const struct ptq_stats *stats,
                        int64_t rows, int64_t step, float *x, float *d)
{
    const int64_t k = e->k;
    for (int64_t i = 0; i < rows; i++)
        memcpy(x + i * k, stats->sample + i * step * k, (size_t)k * sizeof *x);
    ptqi_equalize_rows(e, x, rows);
    memcpy(d, x, (size_t)(rows * k) * sizeof *d);
    quantize_rows(e, d, rows);
    for (int64_t i = 0; i < rows * k; i++)
        d[i] = x[i] - d[i];
}

/* |d Q'^T|^2 / |x Q'^T|^2; x and d are [rows][k]. */
static ptq_status activation_error(struct ptqi_crew crew, const struct ptq_qtensor *q,
                                   const float *x, const float *d, int64_t rows, double *error)
{
    float *w = ptqi_alloc(q->context, q->n * q->k, (int64_t)sizeof *w);
    float *y = ptqi_alloc(q->context, rows * q->n, (int64_t)sizeof *y);
    double sums[2] = {0, 0};
    ptq_status status = w && y ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        dequantize(q, w);
    for (int side = 0; side < 2 && !status; side++) {
        status = ptqi_matmul_linear_as(crew, rows, q->n, q->k, side ? d : x, w, y);
        if (!status)
            sums[side] = squares(y, rows * q->n);
    }
    *error = sums[0] > 0 ? sums[1] / sums[0] : 0;
    ptqi_free(q->context, w);
    ptqi_free(q->context, y);
    return status;
}

ptq_status ptqi_add_activation_errors(struct ptqi_crew crew, const struct ptq_equalization *e,
                                      const struct ptq_stats *stats, int64_t count,
                                      ptq_qtensor *const *q, double *errors)
{
    const int64_t step = (stats->sampled + ERROR_ROWS - 1) / ERROR_ROWS;
    const int64_t rows = (stats->sampled + step - 1) / step;
    float *x = ptqi_alloc(e->context, rows * e->k, (int64_t)sizeof *x);
    float *d = ptqi_alloc(e->context, rows * e->k, (int64_t)sizeof *d);
    ptq_status status = x && d ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        sample_rows(e, stats, rows, step, x, d);
    for (int64_t i = 0; i < count && !status; i++) {
        double error;
        status = activation_error(crew, q[i], x, d, rows, &error);
        errors[i] += error;
    }
    ptqi_free(e->context, x);
    ptqi_free(e->context, d);
    return status;
}
