/*
 * Super scales: those of GGUF's K types. The scale of a group is an integer times what 256 columns
 * share, and so is its minimum:
 *
 *     4 and 5 bits:  groups of 32, w' = d s code + m t,     s 1 .. 63, t 0 .. 63, m <= 0
 *     6 bits:        groups of 16, w' = d s (code - 32),    s -128 .. 127, not 0
 *
 * d and m are chosen for the grids that the groups would have alone: from what the largest of them
 * needs down, by the sum of metric (w' - w)^2. With them, a group takes the best of the integers
 * around those of its own grid.
 */
#include <math.h>
#include "candidates.h"
#include "grid.h"
#include "kernel/kernel.h"
#include "qtensor.h"

#define CANDIDATES 32 /* of d: 1, 63/64 .. 33/64 of what the largest scale needs */
#define MINIMA 12     /* of m: 1, 0.975 .. 0.725 of what the lowest minimum needs */
#define AROUND 1 /* integers to each side that are tried for a minimum; twice that for a scale */
#define MOST_GROUPS (PTQI_SUPER_COLUMNS / 16)

/* The metric of a sum of squares. */
#define ONES16 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
#define ONES64 ONES16, ONES16, ONES16, ONES16
static const float ones[PTQI_SUPER_COLUMNS] = {ONES64, ONES64, ONES64, ONES64};

static int most_of(const struct ptq_config *config)
{
    return config->bits < 6 ? 63 : 127;
}

static float clamp(float x, float least, float most)
{
    return x < least ? least : x > most ? most : x;
}

/* The integer of a scale, which is not 0. */
static float scale_level(const struct ptq_config *config, float scale, float super)
{
    const float most = (float)most_of(config);
    const float level = clamp(ptqi_round_even(fabsf(scale) / fabsf(super)), 1, most);
    return (scale < 0) == (super < 0) ? level : -level;
}

static float minimum_level(float minimum, float super)
{
    return super < 0 ? clamp(ptqi_round_even(minimum / super), 0, 63) : 0;
}

struct ptqi_grid ptqi_nearest_super(const struct ptq_config *config, struct ptqi_super super,
                                    struct ptqi_grid grid)
{
    grid.scale = super.scale * scale_level(config, grid.scale, super.scale);
    grid.minimum = super.minimum * minimum_level(grid.minimum, super.minimum);
    return grid;
}

/* The weights of a group and their metric. */
struct group {
    const float *w, *metric; /* [count] */
    int64_t count;
};

/* Adds to errors [candidates] those of a group with each of the scales. */
static void add_errors(const struct ptq_config *config, const struct group *s, const float *scales,
                       struct ptqi_grid grid, int candidates, double *errors)
{
    float shifted[PTQI_SUPER_COLUMNS];
    double sums[PTQI_MAX_CANDIDATES];
    for (int64_t i = 0; i < s->count; i++)
        shifted[i] = s->w[i] - grid.minimum;
    ptqi_candidate_errors(config, shifted, s->metric, s->count, scales, grid.zero, candidates,
                          sums);
    for (int i = 0; i < candidates; i++)
        errors[i] += sums[i];
}

/* 256 columns. */
struct block {
    const struct ptq_config *config;
    int64_t groups;
    struct group group[MOST_GROUPS];
    struct ptqi_grid grids[MOST_GROUPS];
};

static float choose_scale(const struct block *b)
{
    float largest = 0, super[CANDIDATES], scales[CANDIDATES];
    double errors[CANDIDATES] = {0};
    for (int64_t g = 0; g < b->groups; g++)
        if (!b->grids[g].empty && fabsf(b->grids[g].scale) > fabsf(largest))
            largest = b->grids[g].scale;
    for (int i = 0; i < CANDIDATES; i++)
        super[i] = ptqi_storable_scale(
            largest / (float)most_of(b->config) * (1.0f - (float)i / 64.0f), PTQ_DTYPE_F16);
    for (int64_t g = 0; g < b->groups; g++) {
        const struct ptqi_grid grid = b->grids[g];
        for (int i = 0; i < CANDIDATES; i++)
            scales[i] = super[i] * scale_level(b->config, grid.scale, super[i]);
        add_errors(b->config, &b->group[g], scales, grid, CANDIDATES, errors);
    }
    return super[ptqi_find_min(errors, CANDIDATES)];
}

static float choose_minimum(const struct block *b, float super_scale)
{
    float lowest = 0, super[MINIMA];
    double errors[MINIMA] = {0};
    for (int64_t g = 0; g < b->groups; g++)
        lowest = b->grids[g].minimum < lowest ? b->grids[g].minimum : lowest;
    for (int i = 0; i < MINIMA; i++)
        super[i] = ptqi_storable_minimum(lowest / 63.0f * (1.0f - (float)i / 40.0f), PTQ_DTYPE_F16);
    for (int64_t g = 0; g < b->groups; g++) {
        float scales[PTQI_SHRINK_UNIT];
        const struct ptqi_grid own = b->grids[g];
        for (int i = 0; i < PTQI_SHRINK_UNIT; i++)
            scales[i] = super_scale * scale_level(b->config, own.scale, super_scale);
        for (int i = 0; i < MINIMA; i++) {
            double sums[PTQI_SHRINK_UNIT] = {0};
            struct ptqi_grid grid = own;
            grid.minimum = super[i] * minimum_level(own.minimum, super[i]);
            add_errors(b->config, &b->group[g], scales, grid, PTQI_SHRINK_UNIT, sums);
            errors[i] += sums[0];
        }
    }
    return super[ptqi_find_min(errors, MINIMA)];
}

struct ptqi_super ptqi_find_super(const struct ptq_config *config, const float *w,
                                  const float *metric)
{
    metric = metric ? metric : ones;
    const int64_t width = ptqi_config_group(config);
    struct block b = {.config = config, .groups = PTQI_SUPER_COLUMNS / width};
    struct ptqi_super super = {0, 0};
    for (int64_t g = 0; g < b.groups; g++) {
        b.group[g] = (struct group){w + g * width, metric + g * width, width};
        b.grids[g] = ptqi_search_grid(config, w + g * width, metric + g * width, width);
    }
    super.scale = choose_scale(&b);
    if (ptqi_has_minima(config))
        super.minimum = choose_minimum(&b, super.scale);
    return super;
}

/* The best of the integers around that of a scale, with one minimum, and its error. */
static struct ptqi_grid best_level(const struct ptq_config *config, struct ptqi_super super,
                                   const struct group *s, struct ptqi_grid grid, double *error)
{
    float scales[PTQI_SHRINK_UNIT];
    double errors[PTQI_SHRINK_UNIT] = {0};
    const float level = scale_level(config, grid.scale, super.scale);
    for (int i = 0; i < PTQI_SHRINK_UNIT; i++) {
        float near = level + (float)(i <= 4 * AROUND ? i - 2 * AROUND : 0);
        near = near < 1 && ptqi_has_minima(config) ? 1 : near;
        scales[i] = super.scale * scale_level(config, near * super.scale, super.scale);
    }
    add_errors(config, s, scales, grid, PTQI_SHRINK_UNIT, errors);
    const int found = ptqi_find_min(errors, PTQI_SHRINK_UNIT);
    *error = errors[found];
    grid.scale = scales[found];
    return grid;
}

struct ptqi_grid ptqi_super_grid(const struct ptq_config *config, struct ptqi_super super,
                                 const float *w, const float *metric, int64_t count)
{
    metric = metric ? metric : ones;
    const struct group s = {w, metric, count};
    struct ptqi_grid grid = ptqi_search_grid(config, w, metric, count), best = grid;
    const float level = minimum_level(grid.minimum, super.minimum);
    const int around = super.minimum < 0 ? AROUND : 0;
    double least = 0, error;
    for (int i = -around; i <= around; i++) {
        grid.minimum = super.minimum * clamp(level + (float)i, 0, 63);
        const struct ptqi_grid found = best_level(config, super, &s, grid, &error);
        if (i > -around && !(error < least))
            continue;
        least = error;
        best = found;
    }
    return best;
}
