/*
 * Grids: the scale and zero point of a group of weights, w' = scale (code - zero).
 */
#ifndef PTQI_GRID_H
#define PTQI_GRID_H

#include "config.h"

struct ptqi_grid {
    float scale; /* > 0, already rounded to the scale dtype of the config */
    float zero;  /* an integer, 0 .. 2^bits - 1 */
};

/* The grid of count weights by the config's bits, symmetric, grid, mse and scale_dtype. */
struct ptqi_grid ptqi_find_grid(const struct ptq_config *config, const float *w, int64_t count);

/* The same grid with its scale shrunk to what loses least by sum of metric (w' - w)^2. */
struct ptqi_grid ptqi_search_grid(const struct ptq_config *config, const float *w,
                                  const float *metric, int64_t count);
/* A scale as it will be stored: never zero and never infinite. */
float ptqi_storable_scale(float scale, int32_t dtype);

#endif
