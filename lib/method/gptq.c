/*
 * GPTQ: Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for
 * Generative Pre-trained Transformers", arXiv 2210.17323; the reference code is IST-DASLab/gptq
 * gptq.py.
 *
 * The columns of W are rounded one after the other, and after each one the columns still to come
 * take up its error so that the output X W^T changes least. With H = X^T X (damped) and H^-1 = U^T
 * U, U upper triangular, for column i:
 *
 *     q_i = round(w_i) on the grid of its group,   e = (w_i - q_i) / U_ii,
 *     w_j -= e U_ij   for all j > i.
 *
 * Columns go in blocks: within a block at once, for all later columns when the block is done, as
 * one matrix product. The grid of a group is taken, when its first column comes, from W as it
 * stands since the last block border, as the reference does. Rows do not depend on each other.
 *
 * GPTAQ (Li et al., arXiv 2504.02692) also makes up for what the quantized layers before have done
 * to the input: with f_t the row in full precision, M = sum (f_t - x_t) x_t^T and P = alpha (M U^T,
 * strictly upper) U, a column adds w_i P_ij to the later ones.
 *
 * Dead columns (H_jj = 0, never any input in calibration) do not widen their group's grid and are
 * rounded to nearest on it; the reference stores them as zero.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include "base/team.h"
#include "grid.h"
#include "kernel/code.h"
#include "kernel/kernel.h"
#include "linalg/cholesky.h"
#include "linalg/matmul.h"
#include "method.h"

struct job {
    const struct ptq_config *config;
    const struct ptqi_kernels *kernels;
    const float *w;      /* [n][k], original order */
    const float *u;      /* [k][k], quantization order */
    const float *p;      /* [k][k], GPTAQ's correction; or NULL */
    const float *metric; /* [k], 1 / U_ii^2, quantization order, by which gptq+ searches; or NULL */
    const uint8_t *dead;
    const int32_t *order;
    struct ptq_qtensor *q;
    int64_t parts;
    int64_t block;
    atomic_int failed;
    atomic_llong *adjusted;
};

/* Rows of one thread. All but codes in quantization order. */
struct rows {
    int64_t first, count;
    float *w;       /* [count][k], what is left to round, dead columns 0 */
    float *errors;  /* [count][block], e of the current block */
    float *rounded; /* [count][block], the rounded weights of the current block, for GPTAQ */
    float *copy;    /* [block], a row of the current block with its errors compensated */
    float *weights; /* [k], scratch for one group's weights */
};

static int64_t column(const struct job *j, int64_t position)
{
    return j->order ? j->order[position] : position;
}

/* The grid of weights of row n; by the metric, where there is one. */
static struct ptqi_grid level(const struct job *j, int64_t n, const float *w, const float *metric,
                              int64_t count)
{
    if (j->q->row_scales)
        return ptqi_level_grid(j->config, ptqi_find_grid(j->config, w, count), j->q->row_scales[n],
                               w, metric, count);
    return metric ? ptqi_search_grid(j->config, w, metric, count)
                  : ptqi_find_grid(j->config, w, count);
}

/* A group whose columns are all dead takes its grid from the weights themselves. */
static struct ptqi_grid grid_of(const struct job *j, const struct rows *r, int64_t row,
                                int64_t first, int64_t count, const float *live)
{
    for (int64_t i = 0; i < count; i++)
        if (!j->dead[column(j, first + i)])
            return level(j, r->first + row, live, j->metric ? j->metric + first : NULL, count);
    for (int64_t i = 0; i < count; i++)
        r->weights[i] = j->w[(r->first + row) * j->q->k + column(j, first + i)];
    return level(j, r->first + row, r->weights, NULL, count);
}

/* Two-level: the scale of each row from the grids of its untouched weights, in quantization order.
 */
static ptq_status take_row_scales(const struct job *j, const struct rows *r)
{
    struct ptq_qtensor *q = j->q;
    struct ptqi_grid *grids = ptqi_alloc(j->config->context, q->groups, (int64_t)sizeof *grids);
    if (!grids)
        return PTQ_ERROR_MEMORY;
    for (int64_t row = 0; row < r->count; row++) {
        const float *w = r->w + row * q->k;
        for (int64_t g = 0; g < q->groups; g++) {
            const int64_t first = g * q->group_size, count = ptqi_group_columns(q, g);
            grids[g] = j->metric ? ptqi_search_grid(j->config, w + first, j->metric + first, count)
                                 : ptqi_find_grid(j->config, w + first, count);
        }
        q->row_scales[r->first + row] =
            j->metric ? ptqi_search_row_scale(j->config, w, j->metric, q->k, q->group_size, grids)
                      : ptqi_row_scale(j->config, grids, q->groups);
    }
    ptqi_free(j->config->context, grids);
    return PTQ_OK;
}

/* Static groups: grids of the untouched weights on the original groups, before anything is rounded.
 */
static void take_static_grids(const struct job *j, const struct rows *r)
{
    struct ptq_qtensor *q = j->q;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t g = 0; g < q->groups; g++) {
            const float *w = j->w + (r->first + row) * q->k + g * q->group_size;
            int64_t count = ptqi_group_columns(q, g), live = 0;
            for (int64_t i = 0; i < count; i++) {
                int dead = j->dead[g * q->group_size + i];
                r->weights[i] = dead ? 0.0f : w[i];
                live += !dead;
            }
            struct ptqi_grid grid = level(j, r->first + row, live ? r->weights : w, NULL, count);
            ptqi_set_grid(q, r->first + row, g, grid, j->adjusted);
        }
}

/* Rounds columns b0 .. b1 of one row and leaves their errors. */
static void round_block(const struct job *j, const struct rows *r, int64_t row, int64_t b0,
                        int64_t b1)
{
    struct ptq_qtensor *q = j->q;
    const int64_t k = q->k, n = r->first + row;
    const float top = (float)((1 << q->bits) - 1);
    float *w = r->copy, *errors = r->errors + row * j->block;
    memcpy(w, r->w + row * k + b0, (size_t)(b1 - b0) * sizeof *w);
    for (int64_t i = b0; i < b1; i++) {
        int64_t original = column(j, i), g = i / q->group_size;
        if (j->config->static_groups) {
            g = original / q->group_size;
        } else if (i % q->group_size == 0) {
            struct ptqi_grid grid =
                grid_of(j, r, row, i, ptqi_group_columns(q, g), r->w + row * k + i);
            ptqi_set_grid(q, n, g, grid, j->adjusted);
        }
        float scale = q->scales[n * q->groups + g], zero = (float)ptqi_qtensor_zero(q, n, g);
        int dead = j->dead[original];
        float code = ptqi_code(dead ? j->w[n * k + original] : w[i - b0], scale, zero, top);
        float value = scale * (code - zero);
        float error = dead ? 0.0f : (w[i - b0] - value) / j->u[i * k + i];
        q->codes[n * k + original] = (uint8_t)code;
        errors[i - b0] = error;
        float *rest = w + (i - b0) + 1;
        j->kernels->subtract_scaled(rest, j->u + i * k + i + 1, error, b1 - i - 1);
        if (!j->p)
            continue;
        j->kernels->subtract_scaled(rest, j->p + i * k + i + 1, -w[i - b0], b1 - i - 1);
        r->rounded[row * j->block + i - b0] = dead ? 0.0f : value;
    }
}

static ptq_status round_rows(struct job *j, struct rows *r)
{
    ptq_context *context = j->config->context;
    const int64_t k = j->q->k;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < k; i++) {
            int64_t original = column(j, i);
            float w = j->w[(r->first + row) * k + original];
            r->w[row * k + i] = j->dead[original] ? 0.0f : w;
        }
    if (j->q->row_scales)
        PTQI_TRY(take_row_scales(j, r));
    if (j->config->static_groups)
        take_static_grids(j, r);
    for (int64_t b0 = 0; b0 < k; b0 += j->block) {
        int64_t b1 = b0 + j->block < k ? b0 + j->block : k;
        PTQI_TRY(ptqi_check_cancelled(context));
        for (int64_t row = 0; row < r->count; row++)
            round_block(j, r, row, b0, b1);
        struct ptqi_matrix e = {r->errors, j->block, 1}, u = {j->u + b0 * k + b1, k, 1};
        PTQI_TRY(ptqi_matmul(context, r->count, k - b1, b1 - b0, e, u, r->w + b1, k,
                             PTQI_ACCUMULATE | PTQI_SUBTRACT | PTQI_SERIAL));
        if (!j->p)
            continue;
        /* with the rounded weights here and those before rounding within the block, as the authors'
         * code */
        struct ptqi_matrix v = {r->rounded, j->block, 1}, p = {j->p + b0 * k + b1, k, 1};
        PTQI_TRY(ptqi_matmul(context, r->count, k - b1, b1 - b0, v, p, r->w + b1, k,
                             PTQI_ACCUMULATE | PTQI_SERIAL));
    }
    return PTQ_OK;
}

static void round_part(void *argument, int64_t part)
{
    struct job *j = argument;
    ptq_context *context = j->config->context;
    const int64_t k = j->q->k;
    struct rows r;
    int64_t end;
    ptqi_split(j->q->n, 1, part, j->parts, &r.first, &end);
    r.count = end - r.first;
    r.w = ptqi_alloc(context, r.count * k, (int64_t)sizeof *r.w);
    r.errors = ptqi_alloc(context, r.count * j->block, (int64_t)sizeof *r.errors);
    r.copy = ptqi_alloc(context, j->block, (int64_t)sizeof *r.copy);
    r.weights = ptqi_alloc(context, k, (int64_t)sizeof *r.weights);
    r.rounded = ptqi_alloc(context, j->p ? r.count * j->block : 0, (int64_t)sizeof *r.rounded);
    ptq_status status = PTQ_ERROR_MEMORY;
    if (r.rounded && r.w && r.errors && r.copy && r.weights)
        status = round_rows(j, &r);
    if (status)
        atomic_store(&j->failed, status);
    ptqi_free(context, r.w);
    ptqi_free(context, r.errors);
    ptqi_free(context, r.copy);
    ptqi_free(context, r.weights);
    ptqi_free(context, r.rounded);
}

ptq_status ptqi_round_gptq(const struct ptq_config *config, const float *w,
                           const struct ptqi_curvature *curvature, const int32_t *order,
                           struct ptq_qtensor *q)
{
    atomic_llong adjusted;
    struct job j = {.config = config,
                    .kernels = config->context->kernels,
                    .w = w,
                    .u = curvature->factor,
                    .p = curvature->correction,
                    .dead = curvature->dead,
                    .order = order,
                    .q = q,
                    .parts = ptqi_threads(config->context),
                    .adjusted = &adjusted};
    float *metric = NULL;
    if (config->rounding == PTQ_ROUNDING_GPTQ_PLUS) {
        if (!(metric = ptqi_alloc(config->context, q->k, (int64_t)sizeof *metric)))
            return PTQ_ERROR_MEMORY;
        for (int64_t i = 0; i < q->k; i++) {
            float u = j.u[i * q->k + i];
            metric[i] = j.dead[order ? order[i] : i] ? 0.0f : 1.0f / (u * u);
        }
        j.metric = metric;
    }
    j.block = config->block < q->k ? config->block : q->k;
    j.parts = j.parts < q->n ? j.parts : q->n;
    atomic_init(&j.failed, 0);
    atomic_init(&adjusted, 0);
    ptqi_parallel(config->context, j.parts, round_part, &j);
    ptqi_free(config->context, metric);
    q->damping = curvature->damping;
    q->adjusted_groups = atomic_load(&adjusted);
    ptq_status status = atomic_load(&j.failed);
    if (status)
        return ptqi_fail(config->context, status, "GPTQ: %s", ptq_status_sentence(status));
    return PTQ_OK;
}

ptq_status ptqi_gptq_order(ptq_context *context, const struct ptqi_curvature *curvature,
                           int32_t *order)
{
    const int64_t k = curvature->k;
    int32_t *other = ptqi_alloc(context, k, (int64_t)sizeof *other), *from = order, *to = other;
    if (!other)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < k; i++)
        order[i] = (int32_t)i;
    for (int64_t width = 1; width < k; width *= 2) { /* merge sort: stable, no recursion */
        for (int64_t begin = 0; begin < k; begin += 2 * width) {
            int64_t middle = begin + width < k ? begin + width : k;
            int64_t end = begin + 2 * width < k ? begin + 2 * width : k, a = begin, b = middle;
            for (int64_t i = begin; i < end; i++) {
                int left =
                    a < middle && (b == end || curvature->hessian[from[a] * k + from[a]] >=
                                                   curvature->hessian[from[b] * k + from[b]]);
                to[i] = left ? from[a++] : from[b++];
            }
        }
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
static void permute_and_damp(struct ptqi_curvature *c, const int32_t *order, double damping)
{
    double mean = 0;
    for (int64_t i = 0; i < c->k; i++) {
        int64_t row = order ? order[i] : i;
        for (int64_t j = 0; j < c->k; j++)
            c->factor[i * c->k + j] = c->hessian[row * c->k + (order ? order[j] : j)];
        if (c->dead[row])
            c->factor[i * c->k + i] = 1.0f;
        mean += (double)c->factor[i * c->k + i] / (double)c->k;
    }
    for (int64_t i = 0; i < c->k; i++)
        c->factor[i * c->k + i] += (float)(damping * mean);
}

ptq_status ptqi_gptq_factor(const struct ptq_config *config, struct ptqi_curvature *c,
                            const int32_t *order)
{
    ptq_context *context = config->context;
    double damping = config->damping;
    if (config->rounding == PTQ_ROUNDING_GPTQ_PLUS &&
        !(c->damped = ptqi_alloc(context, c->k * c->k, (int64_t)sizeof *c->damped)))
        return PTQ_ERROR_MEMORY;
    for (;;) {
        permute_and_damp(c, order, damping);
        if (c->damped)
            memcpy(c->damped, c->factor, (size_t)(c->k * c->k) * sizeof *c->damped);
        ptq_status status = ptqi_inverse_factor(context, c->k, c->factor);
        c->damping = damping;
        if (status != PTQ_ERROR_NUMERIC)
            return status;
        if (damping >= 1.0)
            return ptqi_fail(context, PTQ_ERROR_NUMERIC,
                             "the Hessian is not positive definite, even with damping %g", damping);
        damping = damping < 0.005 ? damping + 0.005 : damping * 2.0;
        ptqi_log_line(context, "the Hessian is not positive definite; damping raised to %g",
                      damping);
    }
}

ptq_status ptqi_gptaq_correction(const struct ptq_config *config, struct ptqi_curvature *c,
                                 const float *mismatch, const int32_t *order)
{
    ptq_context *context = config->context;
    const int64_t k = c->k;
    float *m = ptqi_alloc(context, k * k, (int64_t)sizeof *m);
    float *upper = ptqi_alloc(context, k * k, (int64_t)sizeof *upper);
    c->correction = ptqi_alloc(context, k * k, (int64_t)sizeof *c->correction);
    ptq_status status = m && upper && c->correction ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < k && !status; i++)
        for (int64_t j = 0; j < k; j++)
            m[i * k + j] = (float)config->gptaq *
                           mismatch[(order ? order[i] : i) * k + (order ? order[j] : j)];
    struct ptqi_matrix u = {c->factor, k, 1}, transposed = {c->factor, 1, k};
    if (!status)
        status = ptqi_matmul(context, k, k, k, (struct ptqi_matrix){m, k, 1}, transposed, upper, k,
                             PTQI_UPPER);
    for (int64_t i = 0; i < k && !status; i++)
        for (int64_t j = 0; j <= i; j++)
            upper[i * k + j] = 0.0f;
    if (!status)
        status = ptqi_matmul(context, k, k, k, (struct ptqi_matrix){upper, k, 1}, u, c->correction,
                             k, PTQI_UPPER);
    if (config->rounding == PTQ_ROUNDING_GPTQ_PLUS) {
        c->mismatch = m;
        m = NULL;
    }
    ptqi_free(context, m);
    ptqi_free(context, upper);
    return status;
}
