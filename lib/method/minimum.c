/*
 * The scale and minimum of a group of weights, w' = scale code + minimum.
 *
 * Minima from the smallest weight up to a third of it are tried, each with scales from what reaches
 * the largest weight down. From the best pair on, codes and pair are improved in turns: for fixed
 * codes, the pair is the weighted least-squares line through the points (code, w).
 *
 * Super scales need minima that are not above 0.
 */
#include "candidates.h"
#include "grid.h"
#include "kernel/kernel.h"

#define MINIMA 6 /* candidates: 1, 0.93 .. 0.65 of the smallest weight */
#define ROUNDS 3 /* of least squares, at most */
#define MOST 256 /* weights that are handled at once */

struct group {
    const struct ptq_config *config;
    const float *w, *metric; /* [count]; metric NULL: 1 */
    int64_t count;
};

/* Sets the errors of candidate scales with one minimum. */
static void try_scales(const struct group *s, float minimum, const float *scales, double *errors)
{
    float shifted[MOST], ones[MOST];
    for (int i = 0; i < PTQI_SHRINK_UNIT; i++)
        errors[i] = 0;
    for (int64_t first = 0; first < s->count; first += MOST) {
        const int64_t count = ptqi_min(MOST, s->count - first);
        double part[PTQI_SHRINK_UNIT];
        for (int64_t i = 0; i < count; i++) {
            shifted[i] = s->w[first + i] - minimum;
            ones[i] = 1.0f;
        }
        ptqi_candidate_errors(s->config, shifted, s->metric ? s->metric + first : ones, count,
                              scales, 0, PTQI_SHRINK_UNIT, part);
        for (int i = 0; i < PTQI_SHRINK_UNIT; i++)
            errors[i] += part[i];
    }
}

static float storable_minimum(const struct ptq_config *config, float minimum)
{
    const float stored = ptqi_storable_minimum(minimum, ptqi_stored_dtype(config));
    return config->scales == PTQ_SCALES_SUPER && stored > 0 ? 0 : stored;
}

static double error_of(const struct group *s, struct ptqi_grid grid)
{
    const float top = ptqi_top_code(s->config);
    double sum = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const double d =
            (double)ptqi_grid_value(grid, ptqi_grid_code(grid, s->w[i], top)) - (double)s->w[i];
        sum += (s->metric ? (double)s->metric[i] : 1.0) * d * d;
    }
    return sum;
}

/* The line through the points (code, w), for the codes that a grid gives. */
static struct ptqi_grid fit_line(const struct group *s, struct ptqi_grid grid)
{
    const float top = ptqi_top_code(s->config);
    double all = 0, codes = 0, squares = 0, weights = 0, products = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const double m = s->metric ? (double)s->metric[i] : 1.0, w = (double)s->w[i];
        const double code = (double)ptqi_grid_code(grid, s->w[i], top);
        all += m;
        codes += m * code;
        squares += m * code * code;
        weights += m * w;
        products += m * code * w;
    }
    const double spread = all * squares - codes * codes;
    if (spread > 0) {
        const double scale = (all * products - codes * weights) / spread;
        grid.minimum = storable_minimum(s->config, (float)((weights - scale * codes) / all));
    }
    if (squares > 0)
        grid.scale =
            ptqi_storable_scale((float)((products - (double)grid.minimum * codes) / squares),
                                ptqi_stored_dtype(s->config));
    return grid;
}

/* Improves a grid of known error. */
static struct ptqi_grid polish(const struct group *s, struct ptqi_grid grid, double error)
{
    for (int i = 0; i < ROUNDS; i++) {
        const struct ptqi_grid line = fit_line(s, grid);
        const double now = line.scale > 0 ? error_of(s, line) : error;
        if (!(now < error))
            break;
        grid = line;
        error = now;
    }
    return grid;
}

/* The best of all pairs of a minimum and a scale. */
static struct ptqi_grid search(const struct group *s, float low, float high, double *least)
{
    struct ptqi_grid best = {.scale = 1};
    *least = -1;
    for (int i = 0; i < MINIMA; i++) {
        float scales[PTQI_SHRINK_UNIT];
        double errors[PTQI_SHRINK_UNIT];
        const float minimum = storable_minimum(s->config, low * (1.0f - (float)i * 0.07f));
        for (int j = 0; j < PTQI_SHRINK_UNIT; j++)
            scales[j] = ptqi_storable_scale((high - minimum) / ptqi_top_code(s->config) *
                                                (1.0f - (float)j / 40.0f),
                                            ptqi_stored_dtype(s->config));
        try_scales(s, minimum, scales, errors);
        const int found = ptqi_find_min(errors, PTQI_SHRINK_UNIT);
        if (*least >= 0 && !(errors[found] < *least))
            continue;
        *least = errors[found];
        best.scale = scales[found];
        best.minimum = minimum;
    }
    return best;
}

struct ptqi_grid ptqi_minimum_grid(const struct ptq_config *config, const float *w,
                                   const float *metric, int64_t count)
{
    const struct group s = {config, w, metric, count};
    float low = w[0], high = w[0];
    double least;
    for (int64_t i = 1; i < count; i++) {
        low = w[i] < low ? w[i] : low;
        high = w[i] > high ? w[i] : high;
    }
    if (config->scales == PTQ_SCALES_SUPER) {
        low = low > 0 ? 0 : low;
        high = high < 0 ? 0 : high;
    }
    if (low == high)
        return (struct ptqi_grid){.scale = ptqi_storable_scale(0, ptqi_stored_dtype(config)),
                                  .minimum = storable_minimum(config, low),
                                  .empty = low == 0};
    const struct ptqi_grid best = search(&s, low, high, &least);
    return polish(&s, best, least);
}
