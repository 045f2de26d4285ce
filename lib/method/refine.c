/*
 * GPTQ+: GPTQ with searched scales, then a second look at the codes, by the same measure,
 * |X (W - Q)^T|^2 = trace(D H D^T) with D = W - Q.
 *
 * Searched scales. GPTQ's pass gives each group the scale with the smallest sum of
 * (w' - w)^2 / U_ii^2: 1 / U_ii^2 is the cost of an error in column i after the later columns have
 * made up for it.
 *
 * Coordinate descent (QuantEase: Behdin et al., arXiv 2309.01885). With G = D H kept up to date,
 * one column after the other takes the code that is best while all others stay:
 *
 *     q_j := round((Q_j + G_j / H_jj) / s) on its grid,   G -= change * H_j.
 *
 * The loss never rises.
 *
 * Refit. The grid of a group is improved for its codes (refit.c).
 *
 * Everything is in quantization order, in which the columns of a group are neighbours. H is damped,
 * as in GPTQ's pass. With GPTAQ the target moves: G starts at D H + alpha W M.
 */
#include "kernel/code.h"
#include "kernel/kernel.h"
#include "linalg/matmul.h"
#include "method.h"
#include "refit.h"
#include "shares.h"

#define SWEEPS 4 /* max of one descent, which ends as soon as no code changes */

/* The rows of one thread, in quantization order. */
struct rows {
    struct ptqi_pass *pass;
    int64_t first, count;
    float *codes;  /* [count][k], less the zero */
    float *value;  /* [count][k], Q */
    float *g;      /* [count][k], G */
    float *change; /* [count][group], of a refit */
};

/* codes and value, from q. */
static void load_codes(const struct rows *r)
{
    const struct ptq_qtensor *q = r->pass->q;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < q->k; i++) {
            const int64_t n = r->first + row, g = ptqi_group_at(r->pass, i);
            const uint8_t code = q->codes[n * q->k + ptqi_column(r->pass->curvature, i)];
            const struct ptqi_grid grid = ptqi_get_grid(q, n, g);
            r->codes[row * q->k + i] = (float)code - grid.zero;
            r->value[row * q->k + i] = ptqi_grid_value(grid, (float)code);
        }
}

/* g = (W - Q) H + alpha W M; d [count][k] is scratch. */
static ptq_status compute_gradient(const struct rows *r, float *d)
{
    const struct ptqi_curvature *c = r->pass->curvature;
    ptq_context *context = r->pass->config->context;
    const int64_t k = c->k;
    const struct ptqi_matrix a = {d, k, 1}, m = {c->mismatch, k, 1}, h = {c->damped, k, 1};
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < k; i++)
            d[row * k + i] = r->pass->w[(r->first + row) * k + ptqi_column(c, i)];
    if (c->mismatch)
        PTQI_TRY(ptqi_matmul(context, r->count, k, k, a, m, r->g, k, PTQI_SERIAL));
    for (int64_t i = 0; i < r->count * k; i++)
        d[i] -= r->value[i];
    return ptqi_matmul(context, r->count, k, k, a, h, r->g, k,
                       PTQI_SERIAL | (c->mismatch ? PTQI_ACCUMULATE : 0));
}

static ptq_status load(const struct rows *r)
{
    ptq_context *context = r->pass->config->context;
    float *d = ptqi_alloc(context, r->count * r->pass->q->k, (int64_t)sizeof *d);
    if (!d)
        return PTQ_ERROR_MEMORY;
    load_codes(r);
    ptq_status status = compute_gradient(r, d);
    ptqi_free(context, d);
    return status;
}

/* One sweep over a row. Returns the number of codes that changed. */
static int64_t sweep(const struct rows *r, int64_t row)
{
    const struct ptqi_kernels *kernels = r->pass->config->context->kernels;
    const struct ptq_qtensor *q = r->pass->q;
    const float *hessian = r->pass->curvature->damped;
    const int64_t k = q->k, n = r->first + row;
    const float top = (float)((1 << q->bits) - 1);
    float *codes = r->codes + row * k, *value = r->value + row * k, *g = r->g + row * k;
    int64_t changed = 0;
    for (int64_t i = 0; i < k; i++) {
        const struct ptqi_grid grid = ptqi_get_grid(q, n, ptqi_group_at(r->pass, i));
        const float target = value[i] + g[i] / hessian[i * k + i];
        const float code = ptqi_grid_code(grid, target, top);
        if (code - grid.zero == codes[i])
            continue;
        const float now = ptqi_grid_value(grid, code), change = now - value[i];
        codes[i] = code - grid.zero;
        value[i] = now;
        kernels->subtract_scaled(g, hessian + i * k, change, k);
        changed++;
    }
    return changed;
}

static ptq_status descend(const struct rows *r)
{
    for (int64_t row = 0; row < r->count; row++) {
        for (int i = 0; i < SWEEPS && sweep(r, row); i++)
            ;
        if (row % 16 == 0)
            PTQI_TRY(ptqi_check_cancelled(r->pass->config->context));
    }
    return PTQ_OK;
}

/* Refits the grid of group g of a row, and leaves the change of its values. */
static void refit_group(const struct rows *r, int64_t row, int64_t g, int64_t first, int64_t width)
{
    const int64_t at = row * r->pass->q->k + first, n = r->first + row;
    const struct ptqi_grid grid = ptqi_refit(r->pass, n, g, r->codes + at, r->g + at, first, width);
    for (int64_t i = 0; i < width; i++) {
        const float value = ptqi_grid_value(grid, r->codes[at + i] + grid.zero);
        r->change[row * width + i] = value - r->value[at + i];
        r->value[at + i] = value;
    }
    ptqi_set_grid(r->pass, n, g, grid);
}

/* Refits the scales of all rows, one group after the other. */
static ptq_status refit(const struct rows *r)
{
    const struct ptq_qtensor *q = r->pass->q;
    for (int64_t g = 0; g < q->groups; g++) {
        const int64_t k = q->k, first = g * q->group_size, width = ptqi_group_columns(q, g);
        const struct ptqi_matrix change = {r->change, width, 1};
        const struct ptqi_matrix h = {r->pass->curvature->damped + first * k, k, 1};
        for (int64_t row = 0; row < r->count; row++)
            refit_group(r, row, g, first, width);
        PTQI_TRY(ptqi_matmul(q->context, r->count, k, width, change, h, r->g, k,
                             PTQI_ACCUMULATE | PTQI_SUBTRACT | PTQI_SERIAL));
    }
    return PTQ_OK;
}

static void store(const struct rows *r)
{
    struct ptq_qtensor *q = r->pass->q;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < q->k; i++) {
            const int64_t n = r->first + row, g = ptqi_group_at(r->pass, i);
            const float code = r->codes[row * q->k + i] + ptqi_get_grid(q, n, g).zero;
            q->codes[n * q->k + ptqi_column(r->pass->curvature, i)] = (uint8_t)code;
        }
}

static ptq_status refine_rows(struct ptqi_pass *pass, const struct ptqi_share *share)
{
    struct rows r = {.pass = pass, .first = share->first, .count = share->count};
    const int64_t elements = r.count * pass->q->k;
    float *buffer = share->buffer;
    r.codes = ptqi_take(&buffer, elements);
    r.value = ptqi_take(&buffer, elements);
    r.g = ptqi_take(&buffer, elements);
    r.change = ptqi_take(&buffer, r.count * pass->q->group_size);
    PTQI_TRY(load(&r));
    PTQI_TRY(descend(&r));
    /* With an order, the columns of a static group are not neighbours. */
    if (!pass->config->static_groups || !pass->curvature->order) {
        PTQI_TRY(refit(&r));
        PTQI_TRY(descend(&r));
    }
    store(&r);
    return PTQ_OK;
}

static ptq_status refine(const struct ptq_config *config, const float *w,
                         const struct ptqi_curvature *curvature, struct ptq_qtensor *q)
{
    struct ptqi_pass pass = {.name = "GPTQ+",
                             .config = config,
                             .curvature = curvature,
                             .w = w,
                             .q = q,
                             .round = refine_rows,
                             .row_floats = 3 * q->k + q->group_size};
    return ptqi_run_pass(&pass);
}

/* metric [k] = 1 / U_ii^2; dead columns 0. */
static void compute_metric(const struct ptqi_curvature *c, float *metric)
{
    for (int64_t i = 0; i < c->k; i++) {
        const float u = c->factor[i * c->k + i];
        metric[i] = c->dead[ptqi_column(c, i)] ? 0.0f : 1.0f / (u * u);
    }
}

static ptq_status round_gptq_plus(const struct ptq_config *config, const float *w,
                                  const struct ptqi_curvature *curvature, struct ptq_qtensor *q)
{
    float *metric = ptqi_alloc(config->context, q->k, (int64_t)sizeof *metric);
    if (!metric)
        return PTQ_ERROR_MEMORY;
    compute_metric(curvature, metric);
    ptq_status status = ptqi_gptq_pass(config, w, curvature, metric, q);
    ptqi_free(config->context, metric);
    return status ? status : refine(config, w, curvature, q);
}

const struct ptqi_rounding ptqi_rounding_gptq_plus = {
    .id = PTQ_ROUNDING_GPTQ_PLUS,
    .name = "GPTQ+",
    .needs = PTQI_NEEDS_HESSIAN | PTQI_NEEDS_FACTOR | PTQI_NEEDS_DAMPED,
    .round = round_gptq_plus};
