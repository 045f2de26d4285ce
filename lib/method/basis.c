/*
 * Change of basis: inputs, weights and Hessians under a scale and a block rotation. Also the rules
 * for all scales: ties and dead channels.
 */
#include "basis.h"
#include <math.h>
#include "linalg/rotate.h"
#include "tensor.h"

void ptqi_equalize_rows(const struct ptq_equalization *e, float *rows, int64_t count)
{
    for (int64_t i = 0; e->scale && i < count; i++)
        for (int64_t c = 0; c < e->k; c++)
            rows[i * e->k + c] /= e->scale[c];
    if (e->rotation)
        ptqi_rotate(e->context, rows, count, e->k, e->rotation);
}

void ptqi_equalize_weights(const struct ptq_equalization *e, float *w, int64_t n)
{
    for (int64_t row = 0; e->scale && row < n; row++)
        for (int64_t c = 0; c < e->k; c++)
            w[row * e->k + c] *= e->scale[c];
    if (e->rotation)
        ptqi_rotate(e->context, w, n, e->k, e->rotation);
}

void ptqi_restore_weights(const struct ptq_equalization *e, float *w, int64_t n)
{
    if (e->rotation) /* its own inverse */
        ptqi_rotate(e->context, w, n, e->k, e->rotation);
    for (int64_t row = 0; e->scale && row < n; row++)
        for (int64_t c = 0; c < e->k; c++)
            w[row * e->k + c] /= e->scale[c];
}

static void transpose(float *a, int64_t k)
{
    const int64_t tile = 32; /* two tiles fit the first-level cache */
    for (int64_t i0 = 0; i0 < k; i0 += tile)
        for (int64_t j0 = i0; j0 < k; j0 += tile)
            for (int64_t i = i0; i < i0 + tile && i < k; i++)
                for (int64_t j = j0 > i ? j0 : i + 1; j < j0 + tile && j < k; j++) {
                    float t = a[i * k + j];
                    a[i * k + j] = a[j * k + i];
                    a[j * k + i] = t;
                }
}

static void mirror_upper(float *a, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < i; j++)
            a[i * k + j] = a[j * k + i];
}

ptq_status ptqi_equalize_square(const struct ptq_equalization *e, float *a, int symmetric)
{
    const int64_t k = e->k;
    for (int64_t i = 0; e->scale && i < k; i++)
        for (int64_t j = symmetric ? i : 0; j < k; j++)
            a[i * k + j] = a[i * k + j] / e->scale[i] / e->scale[j];
    if (symmetric)
        mirror_upper(a, k);
    for (int side = 0; e->rotation && side < 2; side++) {
        ptqi_rotate(e->context, a, k, k, e->rotation);
        transpose(a, k);
    }
    if (symmetric && e->rotation)
        mirror_upper(a, k);
    return ptqi_check_finite(e->context, "Hessian", a, PTQ_DTYPE_F32, k, k, k);
}

ptq_status ptqi_tie(ptq_context *context, const struct ptqi_ranges *ranges, int mean, float *values)
{
    const int64_t k = ranges->k;
    if (!ranges->ties)
        return PTQ_OK;
    double *shared = ptqi_alloc_zero(context, 2 * k, (int64_t)sizeof *shared);
    if (!shared)
        return PTQ_ERROR_MEMORY;
    double *count = shared + k;
    for (int64_t c = 0; c < k; c++) {
        double *s = &shared[ranges->ties[c]], v = (double)values[c];
        *s = mean ? *s + v : v > *s ? v : *s;
        count[ranges->ties[c]]++;
    }
    for (int64_t c = 0; c < k; c++)
        values[c] = (float)(shared[ranges->ties[c]] / (mean ? count[ranges->ties[c]] : 1.0));
    ptqi_free(context, shared);
    return PTQ_OK;
}

void ptqi_scale_dead(const float *size, int64_t k, float *scale)
{
    float min = INFINITY;
    for (int64_t c = 0; c < k; c++)
        min = size[c] > 0 && scale[c] < min ? scale[c] : min;
    for (int64_t c = 0; c < k; c++)
        if (!(size[c] > 0))
            scale[c] = min < INFINITY ? 0.5f * min : 1.0f;
}
