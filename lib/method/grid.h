/*
 * Grids: the scale and zero point of a group of weights, w' = scale (code - zero).
 */
#ifndef PTQI_GRID_H
#define PTQI_GRID_H

#include "config.h"

struct ptqi_grid {
    float scale;  /* > 0, already rounded to the scale dtype of the config */
    float zero;   /* an integer, 0 .. 2^bits - 1 */
    int empty;    /* all weights are 0, so that any scale will do */
    int adjusted; /* PTQ_GRID_RANGE: not what AWQ's grid would be */
};

/* The grid of count weights by the config's bits, symmetric, grid, mse and scale_dtype. */
struct ptqi_grid ptqi_find_grid(const struct ptq_config *config, const float *w, int64_t count);

/* The same grid with its scale shrunk to what loses least by sum of metric (w' - w)^2. */
struct ptqi_grid ptqi_search_grid(const struct ptq_config *config, const float *w,
                                  const float *metric, int64_t count);
/* Two-level scales: the scale of a row from the grids of its groups, so that the largest scale is
 * still within reach; 7 significant bits, so that its products with 1 .. 15 are exact in f16. */
float ptqi_row_scale(const struct ptq_config *config, const struct ptqi_grid *grids,
                     int64_t groups);
/* The row scale, of 32 below that, at which the groups of a row, each on the integer nearest to its
 * grid's scale, lose least by sum of metric (w' - w)^2. group: columns of one. */
float ptqi_search_row_scale(const struct ptq_config *config, const float *w, const float *metric,
                            int64_t k, int64_t group, const struct ptqi_grid *grids);
/* A grid whose scale becomes one of those that the row scale makes: the nearest, or, by metric (not
 * NULL), the one that loses least. */
struct ptqi_grid ptqi_level_grid(const struct ptq_config *config, struct ptqi_grid grid,
                                 float row_scale, const float *w, const float *metric,
                                 int64_t count);
/* A scale as it will be stored: never zero and never infinite. */
float ptqi_storable_scale(float scale, int32_t dtype);
/* PTQ_ERROR_BOUNDS where the scales of a matrix whose largest weight is not 0 are beyond what their
 * dtype holds: clipped, or all so small that little of their precision is left. */
ptq_status ptqi_check_scales(const struct ptq_config *config, const float *scales, int64_t count);

#endif
