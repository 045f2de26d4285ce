/*
 * The scale and zero point of a group of weights.
 *
 * GPTQ's grid (Frantar et al., IST-DASLab/gptq quant.py): lo = min(min w, 0), hi = max(max w, 0);
 * symmetric: hi = max(|lo|, hi) and lo = -hi; scale = (hi - lo) / (2^b - 1), zero = round(-lo /
 * scale), or 2^(b-1) if symmetric. PTQ_GRID_GPTQ alone keeps a quirk of the original: a symmetric
 * group without negative weights keeps lo = 0, so its scale is half of what its zero point needs.
 *
 * AWQ's grid (Lin et al., mit-han-lab/llm-awq quantizer.py): the range need not contain 0; scale =
 * max(max - min, 1e-5) / (2^b - 1), zero = clamp(-round(min / scale)); symmetric: max |w| /
 * (2^(b-1) - 1).
 *
 * The range grid is AWQ's for every group that has weights of both signs, or 0, and a range above
 * 1e-5. AWQ's grid cannot represent other groups: the zero point of a group of one sign would lie
 * outside the codes, and weights far below 1e-5 become 0. Such a group gets a range that contains
 * 0, with no lower limit.
 *
 * The absmax grid (FPTQ's): symmetric like AWQ's, with no lower limit of the range.
 *
 * Signed scales: the weight of largest magnitude becomes code 0, which is further from the zero
 * point than the last code. So its sign decides the scale's, whatever the grid. A search tries both
 * signs.
 *
 * mse: the best of 80 ranges, each 1 percent smaller than the one before, by sum |w' - w|^2.4
 * (quant.py).
 */
#include "grid.h"
#include <math.h>
#include "base/half.h"
#include "candidates.h"
#include "kernel/code.h"
#include "kernel/kernel.h"
#include "qtensor.h"

#define AWQ_FLOOR 1e-5f /* AWQ's smallest range */

/* Candidates of each search, multiples of PTQI_SHRINK_UNIT. */
#define RANGE_CANDIDATES 80 /* 1, 0.99 .. 0.21 of the range */
#define SCALE_CANDIDATES 16 /* 1, 0.975 .. 0.625 of the scale */
#define SIGN_CANDIDATES 24  /* of each sign: from the last code at the largest weight down */
#define ROW_CANDIDATES 32   /* 1, 63/64 .. 33/64 of the row scale */
#define LEVEL_CANDIDATES 16 /* 1 .. 15, the last one twice */

struct range {
    float low, high;
};

static struct range range_of(const float *w, int64_t count)
{
    struct range r = {w[0], w[0]};
    for (int64_t i = 1; i < count; i++) {
        r.low = w[i] < r.low ? w[i] : r.low;
        r.high = w[i] > r.high ? w[i] : r.high;
    }
    return r;
}

static float magnitude(struct range r)
{
    return fabsf(r.low) > fabsf(r.high) ? fabsf(r.low) : fabsf(r.high);
}

static struct ptqi_grid symmetric_grid(const struct ptq_config *c, float max)
{
    const float middle = (float)(1 << (c->bits - 1));
    return (struct ptqi_grid){.scale = ptqi_storable_scale(max / (middle - 1.0f), c->scale_dtype),
                              .zero = middle};
}

/* AWQ's grid for a range, which is widened to min. */
static struct ptqi_grid fit_awq(const struct ptq_config *c, struct range r, float min)
{
    struct ptqi_grid grid = {.empty = 0};
    const float top = ptqi_top_code(c);
    if (c->symmetric)
        return symmetric_grid(c, magnitude(r) < min ? min : magnitude(r));
    float width = r.high - r.low;
    width = width < min ? min : width;
    grid.scale = ptqi_storable_scale(width / top, c->scale_dtype);
    grid.zero = ptqi_code(-r.low, grid.scale, 0.0f, top);
    return grid;
}

static struct range include_zero(struct range r)
{
    r.low = r.low < 0.0f ? r.low : 0.0f;
    r.high = r.high > 0.0f ? r.high : 0.0f;
    return r;
}

/* GPTQ's range of a group, before any shrinking. */
static struct range gptq_range(const struct ptq_config *c, struct range r)
{
    r = include_zero(r);
    if (c->symmetric) {
        r.high = -r.low > r.high ? -r.low : r.high;
        if (r.low < 0.0f || c->grid == PTQ_GRID_DEFAULT)
            r.low = -r.high;
    }
    if (r.low == 0.0f && r.high == 0.0f) {
        r.low = -1.0f;
        r.high = 1.0f;
    }
    return r;
}

static struct ptqi_grid fit_gptq(const struct ptq_config *c, struct range r, float shrink)
{
    struct ptqi_grid grid = {.empty = 0};
    const float top = ptqi_top_code(c);
    float low = shrink * r.low, high = shrink * r.high;
    grid.scale = ptqi_storable_scale((high - low) / top, c->scale_dtype);
    grid.zero = c->symmetric ? (float)(1 << (c->bits - 1)) : ptqi_code(-low, grid.scale, 0.0f, top);
    return grid;
}

/* mse: shrinks by 1 - i/100 and keeps the first with the smallest error. */
static struct ptqi_grid search_range(const struct ptq_config *c, struct range r, const float *w,
                                     int64_t count)
{
    float scales[RANGE_CANDIDATES], zeros[RANGE_CANDIDATES], errors[RANGE_CANDIDATES];
    double sums[RANGE_CANDIDATES];
    for (int i = 0; i < RANGE_CANDIDATES; i++) {
        struct ptqi_grid grid = fit_gptq(c, r, (float)(1.0 - i / 100.0));
        scales[i] = grid.scale;
        zeros[i] = grid.zero;
    }
    c->context->kernels->shrink_errors(w, count, scales, zeros, ptqi_top_code(c), RANGE_CANDIDATES,
                                       errors);
    for (int i = 0; i < RANGE_CANDIDATES; i++)
        sums[i] = (double)errors[i];
    const int best = ptqi_find_min(sums, RANGE_CANDIDATES);
    return (struct ptqi_grid){.scale = scales[best], .zero = zeros[best]};
}

static struct ptqi_grid gptq_grid(const struct ptq_config *c, struct range r, const float *w,
                                  int64_t count)
{
    r = gptq_range(c, r);
    return c->mse ? search_range(c, r, w, count) : fit_gptq(c, r, 1.0f);
}

static struct ptqi_grid awq_grid(const struct ptq_config *c, struct range r, const float *w,
                                 int64_t count)
{
    (void)w;
    (void)count;
    return fit_awq(c, r, AWQ_FLOOR);
}

static struct ptqi_grid absmax_grid(const struct ptq_config *c, struct range r, const float *w,
                                    int64_t count)
{
    (void)w;
    (void)count;
    return symmetric_grid(c, magnitude(r));
}

static struct ptqi_grid range_grid(const struct ptq_config *c, struct range r, const float *w,
                                   int64_t count)
{
    (void)w;
    (void)count;
    const int has_zero = c->symmetric || (r.low <= 0 && r.high >= 0);
    if (has_zero && (c->symmetric ? magnitude(r) : r.high - r.low) >= AWQ_FLOOR)
        return fit_awq(c, r, 0);
    r = include_zero(r);
    struct ptqi_grid grid = fit_awq(c, r, magnitude(r) > 0 ? 0 : AWQ_FLOOR);
    grid.adjusted = magnitude(r) > 0;
    return grid;
}

static int is_signed(const struct ptq_config *c)
{
    return (c->scales == PTQ_SCALES_SIGNED && c->symmetric) ||
           (c->scales == PTQ_SCALES_SUPER && !ptqi_has_minima(c));
}

static struct ptqi_grid signed_grid(const struct ptq_config *c, struct range r)
{
    const float middle = (float)(1 << (c->bits - 1));
    const float largest = fabsf(r.low) > fabsf(r.high) ? r.low : r.high;
    return (struct ptqi_grid){.scale = ptqi_storable_scale(-largest / middle, c->scale_dtype),
                              .zero = middle};
}

/* Scales of both signs, of which some of each represent a weight of this magnitude, and others clip
 * it by up to a third. */
static void signed_candidates(const struct ptq_config *c, float max, float *scales)
{
    const float middle = (float)(1 << (c->bits - 1));
    const float high = max / (middle - 1.0f), low = max / middle * 0.65f;
    for (int i = 0; i < SIGN_CANDIDATES; i++) {
        const float t = (float)i / (float)(SIGN_CANDIDATES - 1);
        scales[2 * i] = ptqi_storable_scale(high + t * (low - high), c->scale_dtype);
        scales[2 * i + 1] = -scales[2 * i];
    }
}

/* mse with signed scales. */
static struct ptqi_grid search_signed(const struct ptq_config *c, struct range r, const float *w,
                                      int64_t count)
{
    enum { CANDIDATES = 2 * SIGN_CANDIDATES };
    struct ptqi_grid grid = signed_grid(c, r);
    float scales[CANDIDATES], zeros[CANDIDATES], errors[CANDIDATES];
    double sums[CANDIDATES];
    signed_candidates(c, magnitude(r), scales);
    for (int i = 0; i < CANDIDATES; i++)
        zeros[i] = grid.zero;
    c->context->kernels->shrink_errors(w, count, scales, zeros, ptqi_top_code(c), CANDIDATES,
                                       errors);
    for (int i = 0; i < CANDIDATES; i++)
        sums[i] = (double)errors[i];
    grid.scale = scales[ptqi_find_min(sums, CANDIDATES)];
    return grid;
}

static struct ptqi_grid find_signed(const struct ptq_config *c, struct range r, const float *w,
                                    int64_t count)
{
    const int gptq = c->grid == PTQ_GRID_DEFAULT || c->grid == PTQ_GRID_GPTQ;
    return gptq && c->mse && magnitude(r) > 0 ? search_signed(c, r, w, count) : signed_grid(c, r);
}

/* The grid of weights w [count] that have a range. */
typedef struct ptqi_grid (*grid_function)(const struct ptq_config *config, struct range r,
                                          const float *w, int64_t count);

static const grid_function grids_of[] = {[PTQ_GRID_DEFAULT] = gptq_grid,
                                         [PTQ_GRID_GPTQ] = gptq_grid,
                                         [PTQ_GRID_AWQ] = awq_grid,
                                         [PTQ_GRID_ABSMAX] = absmax_grid,
                                         [PTQ_GRID_RANGE] = range_grid};

struct ptqi_grid ptqi_find_grid(const struct ptq_config *config, const float *w, int64_t count)
{
    const struct range r = range_of(w, count);
    if (ptqi_has_minima(config))
        return ptqi_minimum_grid(config, w, NULL, count);
    struct ptqi_grid grid = is_signed(config) ? find_signed(config, r, w, count)
                                              : grids_of[config->grid](config, r, w, count);
    grid.empty = magnitude(r) == 0;
    return grid;
}

/* scales = candidates for a group with this grid; returns their number. */
static int scale_candidates(const struct ptq_config *config, const float *w, int64_t count,
                            struct ptqi_grid grid, float *scales)
{
    if (is_signed(config)) {
        signed_candidates(config, magnitude(range_of(w, count)), scales);
        return 2 * SIGN_CANDIDATES;
    }
    for (int i = 0; i < SCALE_CANDIDATES; i++)
        scales[i] =
            ptqi_storable_scale(grid.scale * (1.0f - (float)i / 40.0f), config->scale_dtype);
    return SCALE_CANDIDATES;
}

struct ptqi_grid ptqi_search_grid(const struct ptq_config *config, const float *w,
                                  const float *metric, int64_t count)
{
    if (ptqi_has_minima(config))
        return ptqi_minimum_grid(config, w, metric, count);
    struct ptqi_grid grid = ptqi_find_grid(config, w, count);
    float scales[PTQI_MAX_CANDIDATES];
    double errors[PTQI_MAX_CANDIDATES];
    if (grid.empty)
        return grid;
    const int candidates = scale_candidates(config, w, count, grid, scales);
    ptqi_candidate_errors(config, w, metric, count, scales, grid.zero, candidates, errors);
    grid.scale = scales[ptqi_find_min(errors, candidates)];
    return grid;
}

/* The max level, the integer that a row scale is multiplied by, of a group with this zero. */
static float max_level(int32_t bits, float zero)
{
    return ptqi_round_level(1e30f, zero, bits, 1.0f);
}

/* x > 0 rounded up to 7 significant bits. */
static float keep_seven_bits(float x)
{
    return ptqi_from_bits((ptqi_bits(x) + 0x1ffffu) & ~0x1ffffu);
}

float ptqi_row_scale(const struct ptq_config *config, const struct ptqi_grid *grids, int64_t groups)
{
    const float min = ptqi_smallest_row_scale(config->scale_dtype);
    float max = 0;
    for (int64_t g = 0; g < groups; g++) {
        float scale = grids[g].scale / max_level(config->bits, grids[g].zero);
        max = scale > max && !grids[g].empty ? scale : max;
    }
    return keep_seven_bits(max < min ? min : max);
}

/* Adds to sums the error of a group with each of the row scales, on the level nearest to its grid.
 */
static void add_level_errors(const struct ptq_config *config, const float *w, const float *metric,
                             int64_t count, struct ptqi_grid grid, const float *rows, double *sums)
{
    float scales[ROW_CANDIDATES];
    double errors[ROW_CANDIDATES];
    for (int i = 0; i < ROW_CANDIDATES; i++)
        scales[i] = rows[i] * ptqi_round_level(grid.scale, grid.zero, config->bits, rows[i]);
    ptqi_candidate_errors(config, w, metric, count, scales, grid.zero, ROW_CANDIDATES, errors);
    for (int i = 0; i < ROW_CANDIDATES; i++)
        sums[i] += errors[i];
}

float ptqi_search_row_scale(const struct ptq_config *config, const float *w, const float *metric,
                            int64_t k, int64_t group, const struct ptqi_grid *grids)
{
    const float max = ptqi_row_scale(config, grids, (k + group - 1) / group);
    float rows[ROW_CANDIDATES];
    double sums[ROW_CANDIDATES] = {0};
    for (int i = 0; i < ROW_CANDIDATES; i++)
        rows[i] = keep_seven_bits(max * (1.0f - (float)i / 64.0f));
    for (int64_t first = 0; first < k; first += group)
        add_level_errors(config, w + first, metric + first, ptqi_min(group, k - first),
                         grids[first / group], rows, sums);
    return rows[ptqi_find_min(sums, ROW_CANDIDATES)];
}

struct ptqi_grid ptqi_level_grid(const struct ptq_config *config, struct ptqi_grid grid,
                                 float row_scale, const float *w, const float *metric,
                                 int64_t count)
{
    float scales[LEVEL_CANDIDATES];
    double errors[LEVEL_CANDIDATES];
    if (!metric) {
        grid.scale = row_scale * ptqi_round_level(grid.scale, grid.zero, config->bits, row_scale);
        return grid;
    }
    for (int i = 0; i < LEVEL_CANDIDATES; i++)
        scales[i] = row_scale * ptqi_round_level((float)(i + 1), grid.zero, config->bits, 1.0f);
    ptqi_candidate_errors(config, w, metric, count, scales, grid.zero, LEVEL_CANDIDATES, errors);
    grid.scale = scales[ptqi_find_min(errors, LEVEL_CANDIDATES)];
    return grid;
}
