/*
 * Scale and zero point from a group's weights.
 *
 * GPTQ's grid (Frantar et al., IST-DASLab/gptq quant.py): lo = min(min w, 0), hi = max(max w, 0);
 * symmetric: hi = max(|lo|, hi) and lo = -hi; scale = (hi - lo) / (2^b - 1), zero = round(-lo /
 * scale), or 2^(b-1) where symmetric. A quirk of the original, kept for PTQ_GRID_GPTQ only: a
 * symmetric group without negative weights keeps lo = 0, so that its scale is half of what its zero
 * point needs.
 *
 * AWQ's grid (Lin et al., mit-han-lab/llm-awq quantizer.py): the range need not contain 0; scale =
 * max(max - min, 1e-5) / (2^b - 1), zero = clamp(-round(min / scale)); symmetric: max |w| /
 * (2^(b-1) - 1).
 *
 * The range grid is AWQ's, wherever a group has weights of both signs, or 0, and a range above
 * 1e-5. Where not, AWQ's grid cannot reach the weights: zeros of a group of one sign would lie
 * outside of the codes, and weights far below 1e-5 become 0. Such a group gets a range that
 * contains 0, and no smallest one.
 *
 * The absmax grid (FPTQ's): symmetric as AWQ's, without a smallest range.
 *
 * mse: the best of 80 ranges, each shrunk by another percent, by sum |w' - w|^2.4 (quant.py).
 */
#include "grid.h"
#include <float.h>
#include <math.h>
#include "base/half.h"
#include "kernel/code.h"
#include "kernel/kernel.h"
#include "qtensor.h"

#define AWQ_FLOOR 1e-5f      /* AWQ's smallest range */
#define CANDIDATES 80        /* multiples of PTQI_SHRINK_UNIT */
#define METRIC_CANDIDATES 16 /* 1, 0.975 .. 0.625 of the maximum */

struct range {
    float low, high;
};

/* What scales of each dtype can be: the smallest one, the smallest of full precision, the smallest
 * whose 7 significant bits are kept, and the largest. */
static const struct {
    float smallest, normal, seven_bits, largest;
} limits[] = {
    [PTQ_DTYPE_F32] = {FLT_MIN, FLT_MIN, FLT_MIN, FLT_MAX},
    [PTQ_DTYPE_F16] = {0x1p-24f, 0x1p-14f, 0x1p-18f, 65504.0f},
    [PTQ_DTYPE_BF16] = {FLT_MIN, FLT_MIN, FLT_MIN, 0x1.fep127f},
};

float ptqi_storable_scale(float scale, int32_t dtype)
{
    float rounded = ptqi_round_to(scale, dtype);
    rounded = rounded < limits[dtype].smallest ? limits[dtype].smallest : rounded;
    return rounded > limits[dtype].largest ? limits[dtype].largest : rounded;
}

ptq_status ptqi_check_scales(const struct ptq_config *config, const float *scales, int64_t count)
{
    const int32_t dtype = config->scale_dtype;
    float most = 0;
    for (int64_t i = 0; i < count; i++)
        most = scales[i] > most ? scales[i] : most;
    if (most > limits[dtype].normal && most < limits[dtype].largest)
        return PTQ_OK;
    return ptqi_fail(config->context, PTQ_ERROR_BOUNDS,
                     "weights too %s for scales of %s: the largest scale is %g%s",
                     most < 1 ? "small" : "large", ptq_dtype_name(dtype), (double)most,
                     dtype == PTQ_DTYPE_F32 ? "" : "; use scale-dtype f32");
}

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

static struct ptqi_grid absmax_grid(const struct ptq_config *c, float most)
{
    const float middle = (float)(1 << (c->bits - 1));
    return (struct ptqi_grid){.scale = ptqi_storable_scale(most / (middle - 1.0f), c->scale_dtype),
                              .zero = middle};
}

/* least: of the range. */
static struct ptqi_grid awq_grid(const struct ptq_config *c, struct range r, float least)
{
    struct ptqi_grid grid = {.empty = 0};
    const float top = (float)((1 << c->bits) - 1);
    if (c->symmetric)
        return absmax_grid(c, magnitude(r) < least ? least : magnitude(r));
    float width = r.high - r.low;
    width = width < least ? least : width;
    grid.scale = ptqi_storable_scale(width / top, c->scale_dtype);
    grid.zero = ptqi_code(-r.low, grid.scale, 0.0f, top);
    return grid;
}

static struct ptqi_grid range_grid(const struct ptq_config *c, struct range r)
{
    const int has_zero = c->symmetric || (r.low <= 0 && r.high >= 0);
    if (has_zero && (c->symmetric ? magnitude(r) : r.high - r.low) >= AWQ_FLOOR)
        return awq_grid(c, r, 0);
    r.low = r.low < 0.0f ? r.low : 0.0f;
    r.high = r.high > 0.0f ? r.high : 0.0f;
    struct ptqi_grid grid = awq_grid(c, r, magnitude(r) > 0 ? 0 : AWQ_FLOOR);
    grid.adjusted = magnitude(r) > 0;
    return grid;
}

/* GPTQ's range of a group, before any shrinking. */
static struct range gptq_range(const struct ptq_config *c, struct range r)
{
    r.low = r.low < 0.0f ? r.low : 0.0f;
    r.high = r.high > 0.0f ? r.high : 0.0f;
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

static struct ptqi_grid gptq_grid(const struct ptq_config *c, struct range r, float shrink)
{
    struct ptqi_grid grid = {.empty = 0};
    const float top = (float)((1 << c->bits) - 1);
    float low = shrink * r.low, high = shrink * r.high;
    grid.scale = ptqi_storable_scale((high - low) / top, c->scale_dtype);
    grid.zero = c->symmetric ? (float)(1 << (c->bits - 1)) : ptqi_code(-low, grid.scale, 0.0f, top);
    return grid;
}

/* Shrinks by 1 - i/100 and keeps the first of the smallest errors. */
static struct ptqi_grid search(const struct ptq_config *c, struct range r, const float *w,
                               int64_t count)
{
    float scales[CANDIDATES], zeros[CANDIDATES], errors[CANDIDATES];
    int best = 0;
    for (int i = 0; i < CANDIDATES; i++) {
        struct ptqi_grid grid = gptq_grid(c, r, (float)(1.0 - i / 100.0));
        scales[i] = grid.scale;
        zeros[i] = grid.zero;
    }
    c->context->kernels->shrink_errors(w, count, scales, zeros, (float)((1 << c->bits) - 1),
                                       CANDIDATES, errors);
    for (int i = 1; i < CANDIDATES; i++)
        if (errors[i] < errors[best])
            best = i;
    return (struct ptqi_grid){.scale = scales[best], .zero = zeros[best]};
}

struct ptqi_grid ptqi_find_grid(const struct ptq_config *config, const float *w, int64_t count)
{
    struct range r = range_of(w, count);
    struct ptqi_grid grid;
    const int empty = magnitude(r) == 0;
    if (config->grid == PTQ_GRID_AWQ)
        grid = awq_grid(config, r, AWQ_FLOOR);
    else if (config->grid == PTQ_GRID_RANGE)
        grid = range_grid(config, r);
    else if (config->grid == PTQ_GRID_ABSMAX)
        grid = absmax_grid(config, magnitude(r));
    else if (config->mse)
        grid = search(config, gptq_range(config, r), w, count);
    else
        grid = gptq_grid(config, gptq_range(config, r), 1.0f);
    grid.empty = empty;
    return grid;
}

struct ptqi_grid ptqi_search_grid(const struct ptq_config *config, const float *w,
                                  const float *metric, int64_t count)
{
    struct ptqi_grid grid = ptqi_find_grid(config, w, count);
    float scales[METRIC_CANDIDATES], zeros[METRIC_CANDIDATES], errors[METRIC_CANDIDATES];
    int best = 0;
    for (int i = 0; i < METRIC_CANDIDATES; i++) {
        scales[i] =
            ptqi_storable_scale(grid.scale * (1.0f - (float)i / 40.0f), config->scale_dtype);
        zeros[i] = grid.zero;
    }
    config->context->kernels->metric_errors(w, metric, count, scales, zeros,
                                            (float)((1 << config->bits) - 1), METRIC_CANDIDATES,
                                            errors);
    for (int i = 1; i < METRIC_CANDIDATES; i++)
        if (errors[i] < errors[best])
            best = i;
    grid.scale = scales[best];
    return grid;
}

/* The largest integer of a group with this zero. */
static float highest_level(int32_t bits, float zero)
{
    return ptqi_round_level(1e30f, zero, bits, 1.0f);
}

/* x > 0 with 7 significant bits, not below x. */
static float keep_seven_bits(float x)
{
    return ptqi_from_bits((ptqi_bits(x) + 0x1ffffu) & ~0x1ffffu);
}

float ptqi_row_scale(const struct ptq_config *config, const struct ptqi_grid *grids, int64_t groups)
{
    const float least = limits[config->scale_dtype].seven_bits;
    float most = 0;
    for (int64_t g = 0; g < groups; g++) {
        float scale = grids[g].scale / highest_level(config->bits, grids[g].zero);
        most = scale > most && !grids[g].empty ? scale : most;
    }
    return keep_seven_bits(most < least ? least : most);
}

float ptqi_search_row_scale(const struct ptq_config *config, const float *w, const float *metric,
                            int64_t k, int64_t group, const struct ptqi_grid *grids)
{
    enum { ROW_SCALES = 32 };
    const float top = (float)((1 << config->bits) - 1);
    float rows[ROW_SCALES], scales[ROW_SCALES], zeros[ROW_SCALES], errors[ROW_SCALES];
    float sums[ROW_SCALES] = {0}, most = ptqi_row_scale(config, grids, (k + group - 1) / group);
    int best = 0;
    for (int i = 0; i < ROW_SCALES; i++)
        rows[i] = keep_seven_bits(most * (1.0f - (float)i / 64.0f));
    for (int64_t first = 0, g = 0; first < k; first += group, g++) {
        for (int i = 0; i < ROW_SCALES; i++) {
            zeros[i] = grids[g].zero;
            scales[i] = rows[i] * ptqi_round_level(grids[g].scale, zeros[i], config->bits, rows[i]);
        }
        config->context->kernels->metric_errors(w + first, metric + first,
                                                first + group < k ? group : k - first, scales,
                                                zeros, top, ROW_SCALES, errors);
        for (int i = 0; i < ROW_SCALES; i++)
            sums[i] += errors[i];
    }
    for (int i = 1; i < ROW_SCALES; i++)
        if (sums[i] < sums[best])
            best = i;
    return rows[best];
}

struct ptqi_grid ptqi_level_grid(const struct ptq_config *config, struct ptqi_grid grid,
                                 float row_scale, const float *w, const float *metric,
                                 int64_t count)
{
    const float top = (float)((1 << config->bits) - 1);
    float scales[16], zeros[16], errors[16];
    int best = 0;
    if (!metric) {
        grid.scale = row_scale * ptqi_round_level(grid.scale, grid.zero, config->bits, row_scale);
        return grid;
    }
    for (int i = 0; i < 16; i++) {
        scales[i] = row_scale * ptqi_round_level((float)(i + 1), grid.zero, config->bits, 1.0f);
        zeros[i] = grid.zero;
    }
    config->context->kernels->metric_errors(w, metric, count, scales, zeros, top, 16, errors);
    for (int i = 1; i < 16; i++)
        if (errors[i] < errors[best])
            best = i;
    grid.scale = scales[best];
    return grid;
}
