/*
 * Grids: the scale and zero point of a group of weights, w' = scale (code - zero).
 *
 * With two-level scales, the scale of a group is the scale of its row times an integer, 1 .. 15,
 * the group's level.
 */
#ifndef PTQI_GRID_H
#define PTQI_GRID_H

#include "config.h"

struct ptqi_grid {
    float scale;  /* not 0, already rounded to the scale dtype of the config; > 0 unless signed */
    float zero;   /* an integer, 0 .. 2^bits - 1 */
    int empty;    /* all weights are 0: any scale will do */
    int adjusted; /* PTQ_GRID_RANGE: differs from AWQ's grid */
};

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

/* A scale as it will be stored: never zero and never infinite, and with its sign. */
float ptqi_storable_scale(float scale, int32_t dtype);
/* Whether a scale, or a row scale, was raised or lowered to what its dtype holds, or kept little of
 * its precision there. */
int ptqi_scale_is_clamped(float scale, int32_t dtype, int is_row_scale);
/* PTQ_ERROR_BOUNDS if the scales of a matrix that is not all 0 are beyond their dtype: clipped, or
 * all so small that little of their precision is left. */
ptq_status ptqi_check_scales(const struct ptq_config *config, const float *scales, int64_t count);

#endif
