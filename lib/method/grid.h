/*
 * Grids: the scale and zero point of a group of weights, w' = scale (code - zero) + minimum.
 *
 * The minimum is 0 unless the config's scales have minima; then the zero point is 0.
 *
 * With two-level scales, the scale of a group is the scale of its row times an integer, 1 .. 15,
 * the group's level. With super scales, it is the super scale of 256 columns times an integer, and
 * the minimum likewise.
 */
#ifndef PTQI_GRID_H
#define PTQI_GRID_H

#include "config.h"
#include "kernel/code.h"
#include "scales.h"

struct ptqi_grid {
    float scale; /* not 0, already rounded to the scale dtype of the config; > 0 unless signed */
    float zero;  /* an integer, 0 .. 2^bits - 1 */
    float minimum;
    int empty;    /* all weights are 0: any scale will do */
    int adjusted; /* PTQ_GRID_RANGE: differs from AWQ's grid */
};

static inline float ptqi_grid_code(struct ptqi_grid grid, float w, float top)
{
    return ptqi_code(w - grid.minimum, grid.scale, grid.zero, top);
}

static inline float ptqi_grid_value(struct ptqi_grid grid, float code)
{
    return grid.scale * (code - grid.zero) + grid.minimum;
}

/* Whether groups have minima instead of zero points. */
static inline int ptqi_has_minima(const struct ptq_config *c)
{
    return c->scales == PTQ_SCALES_MINIMA || (c->scales == PTQ_SCALES_SUPER && c->bits < 6);
}

/* The grid of count weights by the config's bits, symmetric, grid, mse and scale_dtype. */
struct ptqi_grid ptqi_find_grid(const struct ptq_config *config, const float *w, int64_t count);

/* The same grid, with its scale shrunk to the one with the smallest sum of metric (w' - w)^2. */
struct ptqi_grid ptqi_search_grid(const struct ptq_config *config, const float *w,
                                  const float *metric, int64_t count);

/* The scale of a row from the grids of its groups: large enough for the largest of them. It has 7
 * significant bits, so its products with 1 .. 15 are exact in f16. */
float ptqi_row_scale(const struct ptq_config *config, const struct ptqi_grid *grids,
                     int64_t groups);
/* The best of 32 row scales, from that one down: each group takes the level nearest to its grid,
 * and the smallest sum of metric (w' - w)^2 over the row wins. group: columns of a full one. */
float ptqi_search_row_scale(const struct ptq_config *config, const float *w, const float *metric,
                            int64_t k, int64_t group, const struct ptqi_grid *grids);
/* The grid with its scale on a level of the row scale: the nearest, or, if metric is not NULL, the
 * one with the smallest sum of metric (w' - w)^2. */
struct ptqi_grid ptqi_level_grid(const struct ptq_config *config, struct ptqi_grid grid,
                                 float row_scale, const float *w, const float *metric,
                                 int64_t count);

/* minimum.c: the grid with a minimum, if the config's scales have minima, with the smallest sum of
 * metric (w' - w)^2; metric NULL: 1. */
struct ptqi_grid ptqi_minimum_grid(const struct ptq_config *config, const float *w,
                                   const float *metric, int64_t count);

/* super.c: what the scales and minima of 256 columns are multiples of, both exact in f16. */
struct ptqi_super {
    float scale;   /* not 0 */
    float minimum; /* not above 0 */
};

/* The best super scales of 256 weights, by the sum of metric (w' - w)^2; metric NULL: 1. */
struct ptqi_super ptqi_find_super(const struct ptq_config *config, const float *w,
                                  const float *metric);
/* The best grid of a group of count weights with these super scales. */
struct ptqi_grid ptqi_super_grid(const struct ptq_config *config, struct ptqi_super super,
                                 const float *w, const float *metric, int64_t count);
/* The grid nearest to one with these super scales. */
struct ptqi_grid ptqi_nearest_super(const struct ptq_config *config, struct ptqi_super super,
                                    struct ptqi_grid grid);

#endif
