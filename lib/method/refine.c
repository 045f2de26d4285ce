/*
 * A second look at codes that GPTQ has chosen, by the same measure, |X (W - Q)^T|^2 = trace(D H
 * D^T):
 *
 * Coordinate descent (QuantEase: Behdin et al., arXiv 2309.01885). With G = D H kept up to date,
 * column after column takes the code that is best while all others stay:
 *
 *     q_j := round((Q_j + G_j / H_jj) / s) on its grid,   G -= change * H_j.
 *
 * The loss never rises. Refit: with the codes c of a group (less its zero) held, the best change of
 * its scale is
 *
 *     ds = <c, G_g> / <c H_gg, c>,   G -= ds c H_g.
 *
 * Everything is in quantization order, in which groups are neighbours. H is the damped one, as in
 * the pass itself. With GPTAQ the target moves: G starts at D H + alpha W M.
 */
#include <stdatomic.h>
#include <string.h>
#include "base/team.h"
#include "grid.h"
#include "kernel/code.h"
#include "kernel/kernel.h"
#include "linalg/matmul.h"
#include "method.h"

#define SWEEPS 4 /* at most, of one descent; it ends when no code changes */

struct job {
    const struct ptq_config *config;
    const float *w;        /* [n][k], original order */
    const float *hessian;  /* [k][k], damped */
    const float *mismatch; /* [k][k], alpha M; or NULL */
    const int32_t *order;
    struct ptq_qtensor *q;
    int64_t parts;
    atomic_int failed;
};

/* Rows of one thread. */
struct rows {
    int64_t first, count;
    float *codes;  /* [count][k], less the zero */
    float *value;  /* [count][k], Q */
    float *g;      /* [count][k], G */
    float *change; /* [count][group], of a refit */
};

static int64_t column(const struct job *j, int64_t position)
{
    return j->order ? j->order[position] : position;
}

static int64_t group_of(const struct job *j, int64_t position)
{
    return (j->config->static_groups ? column(j, position) : position) / j->q->group_size;
}

/* Q from codes and scales, and G = (W - Q) H + W M. */
static ptq_status load(const struct job *j, struct rows *r)
{
    const struct ptq_qtensor *q = j->q;
    const int64_t k = q->k;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < k; i++) {
            const int64_t n = r->first + row, at = row * k + i, g = group_of(j, i);
            r->codes[at] = (float)(q->codes[n * k + column(j, i)] - ptqi_qtensor_zero(q, n, g));
            r->value[at] = q->scales[n * q->groups + g] * r->codes[at];
        }
    float *d = ptqi_alloc(q->context, r->count * k, (int64_t)sizeof *d);
    if (!d)
        return PTQ_ERROR_MEMORY;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < k; i++)
            d[row * k + i] = j->w[(r->first + row) * k + column(j, i)];
    struct ptqi_matrix a = {d, k, 1}, m = {j->mismatch, k, 1}, h = {j->hessian, k, 1};
    ptq_status status = PTQ_OK;
    if (j->mismatch)
        status = ptqi_matmul(q->context, r->count, k, k, a, m, r->g, k, PTQI_SERIAL);
    for (int64_t i = 0; i < r->count * k; i++)
        d[i] -= r->value[i];
    if (!status)
        status = ptqi_matmul(q->context, r->count, k, k, a, h, r->g, k,
                             PTQI_SERIAL | (j->mismatch ? PTQI_ACCUMULATE : 0));
    ptqi_free(q->context, d);
    return status;
}

/* One sweep over a row; the number of codes that changed. */
static int64_t sweep(const struct job *j, const struct rows *r, int64_t row)
{
    const struct ptqi_kernels *kernels = j->config->context->kernels;
    const struct ptq_qtensor *q = j->q;
    const int64_t k = q->k, n = r->first + row;
    const float top = (float)((1 << q->bits) - 1);
    float *codes = r->codes + row * k, *value = r->value + row * k, *g = r->g + row * k;
    int64_t changed = 0;
    for (int64_t i = 0; i < k; i++) {
        const int64_t at = group_of(j, i);
        const float scale = q->scales[n * q->groups + at],
                    zero = (float)ptqi_qtensor_zero(q, n, at);
        float target = value[i] + g[i] / j->hessian[i * k + i];
        float code = ptqi_code(target, scale, zero, top) - zero;
        if (code == codes[i])
            continue;
        float now = scale * code, change = now - value[i];
        codes[i] = code;
        value[i] = now;
        kernels->subtract_scaled(g, j->hessian + i * k, change, k);
        changed++;
    }
    return changed;
}

static ptq_status descend(const struct job *j, const struct rows *r)
{
    for (int64_t row = 0; row < r->count; row++) {
        for (int i = 0; i < SWEEPS && sweep(j, r, row); i++)
            ;
        if (row % 16 == 0)
            PTQI_TRY(ptqi_check_cancelled(j->config->context));
    }
    return PTQ_OK;
}

/* <c, G_g> / <c H_gg, c> for the columns first .. end of a row. */
static double best_change(const struct job *j, const float *codes, const float *g, int64_t first,
                          int64_t end)
{
    const int64_t k = j->q->k;
    double slope = 0, curvature = 0;
    for (int64_t i = first; i < end; i++) {
        const float *h = j->hessian + i * k;
        float sum = 0;
        if (codes[i] == 0.0f)
            continue;
        slope += (double)codes[i] * (double)g[i];
        for (int64_t l = first; l < end; l++)
            sum += codes[l] * h[l];
        curvature += (double)codes[i] * (double)sum;
    }
    return curvature > 0 ? slope / curvature : 0;
}

/* The nearest scale that the group of a row may have. */
static float storable(const struct job *j, int64_t n, int64_t g, float scale)
{
    const struct ptq_qtensor *q = j->q;
    if (!q->row_scales)
        return ptqi_storable_scale(scale, j->config->scale_dtype);
    float zero = (float)ptqi_qtensor_zero(q, n, g);
    return q->row_scales[n] * ptqi_round_level(scale, zero, q->bits, q->row_scales[n]);
}

/* The scale of every group of every row, one group after the other. */
static ptq_status refit(const struct job *j, const struct rows *r)
{
    struct ptq_qtensor *q = j->q;
    const int64_t k = q->k;
    for (int64_t g = 0; g < q->groups; g++) {
        const int64_t first = g * q->group_size, width = ptqi_group_columns(q, g),
                      end = first + width;
        for (int64_t row = 0; row < r->count; row++) {
            float *scale = &q->scales[(r->first + row) * q->groups + g];
            const float *codes = r->codes + row * k;
            double change = best_change(j, codes, r->g + row * k, first, end);
            float now = storable(j, r->first + row, g, (float)((double)*scale + change));
            now = (double)*scale + change > 0 ? now : *scale;
            for (int64_t i = first; i < end; i++) {
                float value = now * codes[i];
                r->change[row * width + i - first] = value - r->value[row * k + i];
                r->value[row * k + i] = value;
            }
            *scale = now;
        }
        struct ptqi_matrix c = {r->change, width, 1}, h = {j->hessian + first * k, k, 1};
        PTQI_TRY(ptqi_matmul(q->context, r->count, k, width, c, h, r->g, k,
                             PTQI_ACCUMULATE | PTQI_SUBTRACT | PTQI_SERIAL));
    }
    return PTQ_OK;
}

static void store(const struct job *j, const struct rows *r)
{
    struct ptq_qtensor *q = j->q;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < q->k; i++) {
            int64_t n = r->first + row;
            float code = r->codes[row * q->k + i] + (float)ptqi_qtensor_zero(q, n, group_of(j, i));
            q->codes[n * q->k + column(j, i)] = (uint8_t)code;
        }
}

static ptq_status refine_rows(const struct job *j, struct rows *r)
{
    PTQI_TRY(load(j, r));
    PTQI_TRY(descend(j, r));
    if (!j->config->static_groups ||
        !j->order) { /* else the columns of a group are not neighbours */
        PTQI_TRY(refit(j, r));
        PTQI_TRY(descend(j, r));
    }
    store(j, r);
    return PTQ_OK;
}

static void refine_part(void *argument, int64_t part)
{
    struct job *j = argument;
    ptq_context *context = j->config->context;
    const int64_t k = j->q->k;
    struct rows r;
    int64_t end;
    ptqi_split(j->q->n, 1, part, j->parts, &r.first, &end);
    r.count = end - r.first;
    r.codes = ptqi_alloc(context, r.count * k, (int64_t)sizeof *r.codes);
    r.value = ptqi_alloc(context, r.count * k, (int64_t)sizeof *r.value);
    r.g = ptqi_alloc(context, r.count * k, (int64_t)sizeof *r.g);
    r.change = ptqi_alloc(context, r.count * j->q->group_size, (int64_t)sizeof *r.change);
    ptq_status status = PTQ_ERROR_MEMORY;
    if (r.codes && r.value && r.g && r.change)
        status = refine_rows(j, &r);
    if (status)
        atomic_store(&j->failed, status);
    ptqi_free(context, r.codes);
    ptqi_free(context, r.value);
    ptqi_free(context, r.g);
    ptqi_free(context, r.change);
}

ptq_status ptqi_refine(const struct ptq_config *config, const float *w,
                       const struct ptqi_curvature *curvature, const int32_t *order,
                       struct ptq_qtensor *q)
{
    struct job j = {.config = config,
                    .w = w,
                    .hessian = curvature->damped,
                    .mismatch = curvature->mismatch,
                    .order = order,
                    .q = q,
                    .parts = ptqi_threads(config->context)};
    j.parts = j.parts < q->n ? j.parts : q->n;
    atomic_init(&j.failed, 0);
    ptqi_parallel(config->context, j.parts, refine_part, &j);
    ptq_status status = atomic_load(&j.failed);
    return status ? ptqi_fail(config->context, status, "GPTQ: %s", ptq_status_sentence(status))
                  : PTQ_OK;
}
