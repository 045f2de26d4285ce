/*
 * GPTQ: Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for
 * Generative Pre-trained Transformers", arXiv 2210.17323; the reference code is IST-DASLab/gptq
 * gptq.py.
 *
 * The columns of W are rounded one after the other. After each one, the columns still to come are
 * changed to make up for its error, so that the output X W^T changes least. With H = X^T X (damped)
 * and H^-1 = U^T U, U upper triangular, for column i:
 *
 *     q_i = round(w_i) on the grid of its group,   e = (w_i - q_i) / U_ii,
 *     w_j -= e U_ij   for all j > i.
 *
 * Columns are handled in blocks: within a block the update is applied at once, and to all later
 * columns at the end of the block, as one matrix product. The grid of a group is taken when its
 * first column is reached, from W as it was at the last block border, as the reference does. Rows
 * do not depend on each other. curvature.c makes H and U.
 *
 * GPTAQ (Li et al., arXiv 2504.02692) also corrects the error that earlier quantized layers
 * leave in the input: with f_t the input row in full precision, M = sum (f_t - x_t) x_t^T and P =
 * alpha (M U^T, strictly upper) U, a column adds w_i P_ij to the later ones.
 *
 * Dead columns (H_jj = 0: no input in calibration) do not widen the grid of their group, and are
 * rounded to nearest on it. The reference stores them as zero. If all are dead, GPTQ is RTN.
 */
#include <string.h>
#include "kernel/code.h"
#include "kernel/kernel.h"
#include "linalg/matmul.h"
#include "method.h"
#include "shares.h"

/* The rows of one thread, in quantization order. */
struct rows {
    struct ptqi_pass *pass;
    int64_t first, count, block;
    float *w;       /* [count][k], weights still to round, dead columns 0 */
    float *errors;  /* [count][block], e of the current block */
    float *rounded; /* [count][block], rounded weights of the current block; GPTAQ only */
    float *copy;    /* [block], a row of the current block, updated as it is rounded */
    float *weights; /* [k], scratch for the weights of one group */
};

/* The grid of weights of row n from column first on, searched if there is a metric. */
static struct ptqi_grid level(const struct ptqi_pass *pass, int64_t n, int64_t first,
                              const float *w, const float *metric, int64_t count)
{
    const struct ptq_config *config = pass->config;
    if (pass->q->super_scales)
        return ptqi_super_grid(config, ptqi_get_super(pass->q, n, first), w, metric, count);
    if (pass->q->row_scales)
        return ptqi_level_grid(config, ptqi_find_grid(config, w, count), pass->q->row_scales[n], w,
                               metric, count);
    return metric ? ptqi_search_grid(config, w, metric, count) : ptqi_find_grid(config, w, count);
}

/* The grid of the group that starts at a position. A group whose columns are all dead takes its
 * grid from the original weights. */
static struct ptqi_grid grid_of(const struct rows *r, int64_t row, int64_t first, int64_t count)
{
    const struct ptqi_pass *pass = r->pass;
    const int64_t k = pass->q->k, n = r->first + row;
    for (int64_t i = 0; i < count; i++)
        if (!pass->curvature->dead[ptqi_column(pass->curvature, first + i)])
            return level(pass, n, first, r->w + row * k + first,
                         pass->metric ? pass->metric + first : NULL, count);
    for (int64_t i = 0; i < count; i++)
        r->weights[i] = pass->w[n * k + ptqi_column(pass->curvature, first + i)];
    return level(pass, n, first, r->weights, NULL, count);
}

/* The scale of a row from the grids of its untouched weights w [k]; grids [groups] is scratch. */
static float row_scale(const struct ptqi_pass *pass, const float *w, struct ptqi_grid *grids)
{
    const struct ptq_config *config = pass->config;
    const struct ptq_qtensor *q = pass->q;
    for (int64_t g = 0; g < q->groups; g++) {
        const int64_t first = g * q->group_size, count = ptqi_group_columns(q, g);
        grids[g] = pass->metric ? ptqi_search_grid(config, w + first, pass->metric + first, count)
                                : ptqi_find_grid(config, w + first, count);
    }
    return pass->metric ? ptqi_search_row_scale(config, w, pass->metric, q->k, q->group_size, grids)
                        : ptqi_row_scale(config, grids, q->groups);
}

/* Two-level scales: takes the scale of each row before anything is rounded. */
static ptq_status take_row_scales(const struct rows *r)
{
    struct ptq_qtensor *q = r->pass->q;
    struct ptqi_grid *grids = ptqi_alloc(q->context, q->groups, (int64_t)sizeof *grids);
    if (!grids)
        return PTQ_ERROR_MEMORY;
    for (int64_t row = 0; row < r->count; row++)
        q->row_scales[r->first + row] = row_scale(r->pass, r->w + row * q->k, grids);
    ptqi_free(q->context, grids);
    return PTQ_OK;
}

/* Super scales: takes those of 256 weights of row n. */
static void take_super(const struct ptqi_pass *pass, int64_t n, int64_t first, const float *w,
                       const float *metric)
{
    ptqi_set_super(pass->q, n, first, ptqi_find_super(pass->config, w, metric));
}

/* Static groups: takes the grids of the untouched weights, in the original order. */
static void take_static_grids(const struct rows *r)
{
    const struct ptq_qtensor *q = r->pass->q;
    for (int64_t n = r->first; n < r->first + r->count; n++)
        for (int64_t g = 0; g < q->groups; g++) {
            const uint8_t *dead = r->pass->curvature->dead + g * q->group_size;
            const float *w = r->pass->w + n * q->k + g * q->group_size;
            const int64_t count = ptqi_group_columns(q, g);
            int64_t live = 0;
            for (int64_t i = 0; i < count; i++) {
                r->weights[i] = dead[i] ? 0.0f : w[i];
                live += !dead[i];
            }
            if (q->super_scales && g * q->group_size % PTQI_SUPER_COLUMNS == 0)
                take_super(r->pass, n, g * q->group_size, w, NULL);
            struct ptqi_grid grid =
                level(r->pass, n, g * q->group_size, live ? r->weights : w, NULL, count);
            ptqi_set_grid(r->pass, n, g, grid);
        }
}

/* Rounds the column at position i of a row, number at of its block: its weight is w[0], and those
 * of the block that follow are updated. Leaves its error. */
static void round_column(const struct rows *r, int64_t row, int64_t i, int64_t at, int64_t later,
                         float *w)
{
    const struct ptqi_curvature *c = r->pass->curvature;
    const struct ptqi_kernels *kernels = r->pass->config->context->kernels;
    struct ptq_qtensor *q = r->pass->q;
    const int64_t k = q->k, n = r->first + row, original = ptqi_column(c, i);
    const int64_t g = ptqi_group_at(r->pass, i), diagonal = i * k + i;
    const float top = (float)((1 << q->bits) - 1);
    const struct ptqi_grid grid = ptqi_get_grid(q, n, g);
    const int dead = c->dead[original];
    const float code = ptqi_grid_code(grid, dead ? r->pass->w[n * k + original] : *w, top);
    const float value = ptqi_grid_value(grid, code);
    const float error = dead ? 0.0f : (*w - value) / c->factor[diagonal];
    q->codes[n * k + original] = (uint8_t)code;
    r->errors[row * r->block + at] = error;
    kernels->subtract_scaled(w + 1, c->factor + diagonal + 1, error, later);
    if (c->correction) {
        kernels->subtract_scaled(w + 1, c->correction + diagonal + 1, -*w, later);
        r->rounded[row * r->block + at] = dead ? 0.0f : value;
    }
}

/* Takes the grid of the group that starts at a position. */
static void take_grid(const struct rows *r, int64_t row, int64_t first)
{
    const struct ptqi_pass *pass = r->pass;
    const struct ptq_qtensor *q = pass->q;
    const int64_t g = first / q->group_size;
    if (q->super_scales && first % PTQI_SUPER_COLUMNS == 0)
        take_super(pass, r->first + row, first, r->w + row * q->k + first,
                   pass->metric ? pass->metric + first : NULL);
    ptqi_set_grid(r->pass, r->first + row, g, grid_of(r, row, first, ptqi_group_columns(q, g)));
}

/* Rounds the columns b0 .. b1 of a row. */
static void round_block(const struct rows *r, int64_t row, int64_t b0, int64_t b1)
{
    const struct ptq_qtensor *q = r->pass->q;
    memcpy(r->copy, r->w + row * q->k + b0, (size_t)(b1 - b0) * sizeof *r->copy);
    for (int64_t i = b0; i < b1; i++) {
        if (!r->pass->config->static_groups && i % q->group_size == 0)
            take_grid(r, row, i);
        round_column(r, row, i, i - b0, b1 - i - 1, r->copy + (i - b0));
    }
}

/* Updates the columns from b1 on by the errors of block b0 .. b1. GPTAQ takes the rounded weights
 * here and those before rounding within the block, as its authors' code does. */
static ptq_status update_later(const struct rows *r, int64_t b0, int64_t b1)
{
    const struct ptqi_curvature *c = r->pass->curvature;
    ptq_context *context = r->pass->config->context;
    const int64_t k = c->k, at = b0 * k + b1;
    const struct ptqi_matrix errors = {r->errors, r->block, 1}, u = {c->factor + at, k, 1};
    PTQI_TRY(ptqi_matmul(context, r->count, k - b1, b1 - b0, errors, u, r->w + b1, k,
                         PTQI_ACCUMULATE | PTQI_SUBTRACT | PTQI_SERIAL));
    if (!c->correction)
        return PTQ_OK;
    const struct ptqi_matrix rounded = {r->rounded, r->block, 1}, p = {c->correction + at, k, 1};
    return ptqi_matmul(context, r->count, k - b1, b1 - b0, rounded, p, r->w + b1, k,
                       PTQI_ACCUMULATE | PTQI_SERIAL);
}

/* r->w = the weights in quantization order, dead columns 0, unless all columns are dead: then every
 * weight is rounded to nearest. */
static void load_rows(const struct rows *r)
{
    const struct ptqi_curvature *c = r->pass->curvature;
    for (int64_t row = 0; row < r->count; row++)
        for (int64_t i = 0; i < c->k; i++) {
            const int64_t original = ptqi_column(c, i);
            const float w = r->pass->w[(r->first + row) * c->k + original];
            r->w[row * c->k + i] = c->dead[original] && c->live ? 0.0f : w;
        }
}

static int64_t block_of(const struct ptqi_pass *pass)
{
    return ptqi_min(pass->config->block, pass->q->k);
}

static struct rows cut_buffer(struct ptqi_pass *pass, const struct ptqi_share *share)
{
    struct rows r = {.pass = pass, .first = share->first, .count = share->count};
    float *buffer = share->buffer;
    r.block = block_of(pass);
    r.w = ptqi_take(&buffer, r.count * pass->q->k);
    r.errors = ptqi_take(&buffer, r.count * r.block);
    r.rounded = pass->curvature->correction ? ptqi_take(&buffer, r.count * r.block) : NULL;
    r.copy = ptqi_take(&buffer, r.block);
    r.weights = ptqi_take(&buffer, pass->q->k);
    return r;
}

static ptq_status round_rows(struct ptqi_pass *pass, const struct ptqi_share *share)
{
    const struct rows r = cut_buffer(pass, share);
    const int64_t k = pass->q->k;
    load_rows(&r);
    if (pass->q->row_scales)
        PTQI_TRY(take_row_scales(&r));
    if (pass->config->static_groups)
        take_static_grids(&r);
    for (int64_t b0 = 0; b0 < k; b0 += r.block) {
        const int64_t b1 = ptqi_min(b0 + r.block, k);
        PTQI_TRY(ptqi_check_cancelled(pass->config->context));
        for (int64_t row = 0; row < r.count; row++)
            round_block(&r, row, b0, b1);
        PTQI_TRY(update_later(&r, b0, b1));
    }
    return PTQ_OK;
}

ptq_status ptqi_gptq_pass(const struct ptq_config *config, const float *w,
                          const struct ptqi_curvature *curvature, const float *metric,
                          struct ptq_qtensor *q)
{
    struct ptqi_pass pass = {.name = "GPTQ",
                             .config = config,
                             .curvature = curvature,
                             .w = w,
                             .metric = metric,
                             .q = q,
                             .round = round_rows};
    const int64_t block = block_of(&pass);
    pass.row_floats = q->k + (curvature->correction ? 2 * block : block);
    pass.share_floats = block + q->k;
    ptq_status status = ptqi_run_pass(&pass);
    q->damping = curvature->damping;
    q->adjusted_groups = atomic_load(&pass.adjusted);
    return status;
}

static ptq_status round_gptq(const struct ptq_config *config, const float *w,
                             const struct ptqi_curvature *curvature, struct ptq_qtensor *q)
{
    return ptqi_gptq_pass(config, w, curvature, NULL, q);
}

const struct ptqi_rounding ptqi_rounding_gptq = {.id = PTQ_ROUNDING_GPTQ,
                                                 .name = "GPTQ",
                                                 .needs = PTQI_NEEDS_HESSIAN | PTQI_NEEDS_FACTOR,
                                                 .round = round_gptq};
