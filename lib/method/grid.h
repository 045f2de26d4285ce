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

#endif
