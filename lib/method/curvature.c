/*
 * The Hessian of the equalized input, the order of the columns, and the matrices of GPTQ and GPTAQ.
 *
 * GPTQ (arXiv 2210.17323) needs the factor U of H^-1 = U^T U, U upper triangular, with H damped:
 * damping times the mean of its diagonal is added to the diagonal. Dead columns, H_jj = 0, get 1 on
 * the diagonal first. If H is still not positive definite, the damping is raised step by step.
 *
 * GPTAQ (arXiv 2504.02692) needs P = alpha (M U^T, strictly upper) U, with the mismatch
 * M = sum (f_t - x_t) x_t^T of the inputs f_t in full precision and x_t of quantized layers.
 */
#include "curvature.h"
#include <math.h>
#include <string.h>
#include "basis.h"
#include "linalg/cholesky.h"
#include "linalg/matmul.h"
#include "stats.h"

double ptqi_normalize_square(float *a, int64_t k)
{
    float max = 0;
    int exponent;
    for (int64_t i = 0; i < k; i++)
        max = a[i * k + i] > max ? a[i * k + i] : max;
    if (max == 0 || (max >= 0x1p-40f && max <= 0x1p40f))
        return 1;
    frexpf(max, &exponent);
    for (int64_t i = 0; i < k * k; i++)
        a[i] = (float)ldexp((double)a[i], -exponent);
    return ldexp(1.0, -exponent);
}

ptq_status ptqi_load_hessian(const struct ptq_equalization *e, const struct ptq_stats *stats,
                             float *hessian, double *unit)
{
    PTQI_TRY(ptq_stats_hessian(stats, hessian));
    PTQI_TRY(ptqi_equalize_square(e, hessian, 1));
    *unit = ptqi_normalize_square(hessian, stats->k);
    return PTQ_OK;
}

ptq_status ptqi_load_curvature(const struct ptq_equalization *e, const struct ptq_stats *stats,
                               struct ptqi_curvature *c)
{
    const int64_t k = stats->k;
    memset(c, 0, sizeof *c);
    c->k = k;
    c->hessian = ptqi_alloc(e->context, k * k, (int64_t)sizeof *c->hessian);
    c->dead = ptqi_alloc(e->context, k, 1);
    if (!c->hessian || !c->dead)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptqi_load_hessian(e, stats, c->hessian, &c->unit));
    for (int64_t i = 0; i < k; i++) {
        c->dead[i] = c->hessian[i * k + i] == 0.0f;
        c->live += !c->dead[i];
    }
    return PTQ_OK;
}

void ptqi_free_curvature(ptq_context *context, struct ptqi_curvature *c)
{
    ptqi_free(context, c->hessian);
    ptqi_free(context, c->dead);
    ptqi_free(context, c->factor);
    ptqi_free(context, c->damped);
    ptqi_free(context, c->mismatch);
    ptqi_free(context, c->correction);
    memset(c, 0, sizeof *c);
}

/* Merges the sorted columns begin .. middle and middle .. end. */
static void merge(const struct ptqi_curvature *c, const int32_t *from, int32_t *to, int64_t begin,
                  int64_t middle, int64_t end)
{
    int64_t a = begin, b = middle;
    for (int64_t i = begin; i < end; i++) {
        int first = a < middle && (b == end || c->hessian[from[a] * c->k + from[a]] >=
                                                   c->hessian[from[b] * c->k + from[b]]);
        to[i] = first ? from[a++] : from[b++];
    }
}

/* Merge sort: stable and without recursion. */
ptq_status ptqi_hessian_order(ptq_context *context, const struct ptqi_curvature *c, int32_t *order)
{
    const int64_t k = c->k;
    int32_t *other = ptqi_alloc(context, k, (int64_t)sizeof *other), *from = order, *to = other;
    if (!other)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < k; i++)
        order[i] = (int32_t)i;
    for (int64_t width = 1; width < k; width *= 2) {
        for (int64_t begin = 0; begin < k; begin += 2 * width)
            merge(c, from, to, begin, ptqi_min(begin + width, k), ptqi_min(begin + 2 * width, k));
        int32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != order)
        memcpy(order, from, (size_t)k * sizeof *order);
    ptqi_free(context, other);
    return PTQ_OK;
}

/* factor = H in quantization order, dead columns 1 on the diagonal, damped. */
static void permute_and_damp(struct ptqi_curvature *c, double damping)
{
    double mean = 0;
    for (int64_t i = 0; i < c->k; i++) {
        const int64_t row = ptqi_column(c, i);
        for (int64_t j = 0; j < c->k; j++)
            c->factor[i * c->k + j] = c->hessian[row * c->k + ptqi_column(c, j)];
        if (c->dead[row])
            c->factor[i * c->k + i] = 1.0f;
        mean += (double)c->factor[i * c->k + i] / (double)c->k;
    }
    for (int64_t i = 0; i < c->k; i++)
        c->factor[i * c->k + i] += (float)(damping * mean);
}

/* c->factor = U. Raises the damping until H is positive definite. */
static ptq_status factor_damped(struct ptqi_crew crew, double damping, struct ptqi_curvature *c)
{
    for (;;) {
        permute_and_damp(c, damping);
        if (c->damped)
            memcpy(c->damped, c->factor, (size_t)(c->k * c->k) * sizeof *c->damped);
        ptq_status status = ptqi_inverse_factor(crew, c->k, c->factor);
        c->damping = damping;
        if (status != PTQ_ERROR_NUMERIC)
            return status;
        if (damping >= 1.0)
            return ptqi_fail(crew.context, PTQ_ERROR_NUMERIC,
                             "the Hessian is not positive definite, even with damping %g", damping);
        damping = damping < 0.005 ? damping + 0.005 : damping * 2.0;
        ptqi_log_line(crew.context, PTQ_LOG_WARNING,
                      "the Hessian is not positive definite; damping raised to %g", damping);
    }
}

/* m = alpha M of the equalized input, in quantization order; mismatch is scratch. */
static ptq_status load_mismatch(double alpha, const struct ptq_equalization *e,
                                const struct ptq_stats *stats, const struct ptqi_curvature *c,
                                float *mismatch, float *m)
{
    const int64_t k = c->k;
    const float factor = (float)(alpha * c->unit);
    PTQI_TRY(ptq_stats_mismatch(stats, mismatch));
    PTQI_TRY(ptqi_equalize_square(e, mismatch, 0));
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            m[i * k + j] = factor * mismatch[ptqi_column(c, i) * k + ptqi_column(c, j)];
    return PTQ_OK;
}

/* c->correction = P = (m U^T, strictly upper) U; upper is scratch. */
static ptq_status correct(struct ptqi_crew crew, const float *m, float *upper,
                          struct ptqi_curvature *c)
{
    const int64_t k = c->k;
    const struct ptqi_matrix u = {c->factor, k, 1}, transposed = {c->factor, 1, k};
    const struct ptqi_matrix mismatch = {m, k, 1}, strict = {upper, k, 1};
    PTQI_TRY(ptqi_matmul_as(crew, k, k, k, mismatch, transposed, upper, k, PTQI_UPPER));
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j <= i; j++)
            upper[i * k + j] = 0.0f;
    return ptqi_matmul_as(crew, k, k, k, strict, u, c->correction, k, PTQI_UPPER);
}

static ptq_status load_correction(const struct ptq_config *config, const struct ptq_equalization *e,
                                  const struct ptq_stats *stats, int keep_mismatch,
                                  struct ptqi_curvature *c)
{
    ptq_context *context = config->context;
    float *m = ptqi_alloc(context, c->k * c->k, (int64_t)sizeof *m);
    float *scratch = ptqi_alloc(context, c->k * c->k, (int64_t)sizeof *scratch);
    c->correction = ptqi_alloc(context, c->k * c->k, (int64_t)sizeof *c->correction);
    ptq_status status = m && scratch && c->correction ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = load_mismatch(config->gptaq, e, stats, c, scratch, m);
    if (!status)
        status = correct(ptqi_config_crew(config), m, scratch, c);
    ptqi_free(context, scratch);
    if (keep_mismatch)
        c->mismatch = m;
    else
        ptqi_free(context, m);
    return status;
}

ptq_status ptqi_factor_curvature(const struct ptq_config *config, const struct ptq_equalization *e,
                                 const struct ptq_stats *stats, int keep_damped,
                                 struct ptqi_curvature *c)
{
    ptq_context *context = config->context;
    c->factor = ptqi_alloc(context, c->k * c->k, (int64_t)sizeof *c->factor);
    if (keep_damped)
        c->damped = ptqi_alloc(context, c->k * c->k, (int64_t)sizeof *c->damped);
    if (!c->factor || (keep_damped && !c->damped))
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(factor_damped(ptqi_config_crew(config), config->damping, c));
    return config->gptaq > 0 ? load_correction(config, e, stats, keep_damped, c) : PTQ_OK;
}
