/*
 * With the codes c of a group (less its zero) fixed, the best change of its scale is
 *
 *     ds = <c, G_g> / <c H_gg, c>,   G -= ds c H_g.
 *
 * With a minimum, the best changes of both solve
 *
 *     <c H_gg, c> ds + <c H_gg, 1> dm = <c, G_g>
 *     <1 H_gg, c> ds + <1 H_gg, 1> dm = <1, G_g>.
 *
 * They are then rounded to what can be stored, and kept if the loss still falls.
 */
#include "refit.h"
#include <math.h>

#define AROUND 1 /* integers to each side that are tried with super scales */

/* The loss as a function of changes ds and dm, -2 (ds g[0] + dm g[1]) + ds^2 h[0] + 2 ds dm h[1] +
 * dm^2 h[2]. */
struct loss {
    double g[2], h[3];
};

static struct loss loss_of(const struct ptqi_curvature *c, const float *codes,
                           const float *gradient, int64_t first, int64_t width)
{
    struct loss l = {{0, 0}, {0, 0, 0}};
    for (int64_t i = 0; i < width; i++) {
        const float *h = c->damped + (first + i) * c->k + first;
        float products = 0, sum = 0;
        for (int64_t j = 0; j < width; j++) {
            products += codes[j] * h[j];
            sum += h[j];
        }
        l.g[0] += (double)codes[i] * (double)gradient[i];
        l.g[1] += (double)gradient[i];
        l.h[0] += (double)codes[i] * (double)products;
        l.h[1] += (double)products;
        l.h[2] += (double)sum;
    }
    return l;
}

static double change_of_loss(const struct loss *l, double scale, double minimum)
{
    return scale * (scale * l->h[0] - 2 * l->g[0]) + minimum * (minimum * l->h[2] - 2 * l->g[1]) +
           2 * scale * minimum * l->h[1];
}

/* Keeps a grid in *best if its loss is smaller than any before. */
static void consider(const struct loss *l, struct ptqi_grid now, struct ptqi_grid grid,
                     double *least, struct ptqi_grid *best)
{
    const double change = change_of_loss(l, (double)grid.scale - (double)now.scale,
                                         (double)grid.minimum - (double)now.minimum);
    if (!(change < *least))
        return;
    *least = change;
    *best = grid;
}

/* The super grids around one. */
static void consider_super(const struct ptqi_pass *pass, const struct loss *l,
                           struct ptqi_super super, struct ptqi_grid now, struct ptqi_grid grid,
                           double *least, struct ptqi_grid *best)
{
    for (int s = -AROUND; s <= AROUND; s++)
        for (int m = -AROUND; m <= AROUND; m++) {
            struct ptqi_grid near = grid;
            near.scale += (float)s * super.scale;
            near.minimum += (float)m * super.minimum;
            if (near.scale * now.scale > 0)
                consider(l, now, ptqi_nearest_super(pass->config, super, near), least, best);
        }
}

static struct ptqi_grid refit_line(const struct ptqi_pass *pass, int64_t n, int64_t first,
                                   const struct loss *l, struct ptqi_grid now)
{
    const double spread = l->h[0] * l->h[2] - l->h[1] * l->h[1];
    struct ptqi_grid grid = now, best = now;
    double least = 0;
    if (!(spread > 1e-9 * l->h[0] * l->h[2]))
        return now;
    const double scale = (l->g[0] * l->h[2] - l->g[1] * l->h[1]) / spread;
    const double minimum = (l->g[1] * l->h[0] - l->g[0] * l->h[1]) / spread;
    grid.scale = (float)((double)now.scale + scale);
    grid.minimum = (float)((double)now.minimum + minimum);
    if (!(grid.scale > 0))
        return now;
    if (pass->q->super_scales) {
        consider_super(pass, l, ptqi_get_super(pass->q, n, first), now, grid, &least, &best);
        return best;
    }
    grid.scale = ptqi_storable_scale(grid.scale, pass->config->scale_dtype);
    grid.minimum = ptqi_storable_minimum(grid.minimum, pass->config->scale_dtype);
    consider(l, now, grid, &least, &best);
    return best;
}

/* <c, G_g> / <c H_gg, c>. */
static double best_change(const struct ptqi_curvature *c, const float *codes, const float *gradient,
                          int64_t first, int64_t width)
{
    double slope = 0, curvature = 0;
    for (int64_t i = 0; i < width; i++) {
        const float *h = c->damped + (first + i) * c->k + first;
        float sum = 0;
        if (codes[i] == 0.0f)
            continue;
        slope += (double)codes[i] * (double)gradient[i];
        for (int64_t j = 0; j < width; j++)
            sum += codes[j] * h[j];
        curvature += (double)codes[i] * (double)sum;
    }
    return curvature > 0 ? slope / curvature : 0;
}

/* The nearest grid that a group of a row may have. */
static struct ptqi_grid storable(const struct ptqi_pass *pass, int64_t n, int64_t first,
                                 struct ptqi_grid grid)
{
    const struct ptq_qtensor *q = pass->q;
    if (q->super_scales)
        return ptqi_nearest_super(pass->config, ptqi_get_super(q, n, first), grid);
    grid.scale = q->row_scales ? q->row_scales[n] * ptqi_round_level(grid.scale, grid.zero, q->bits,
                                                                     q->row_scales[n])
                               : ptqi_storable_scale(grid.scale, pass->config->scale_dtype);
    return grid;
}

struct ptqi_grid ptqi_refit(const struct ptqi_pass *pass, int64_t n, int64_t g, const float *codes,
                            const float *gradient, int64_t first, int64_t width)
{
    const struct ptqi_curvature *c = pass->curvature;
    const struct ptqi_grid now = ptqi_get_grid(pass->q, n, g);
    struct ptqi_grid grid = now;
    if (pass->q->minima) {
        const struct loss l = loss_of(c, codes, gradient, first, width);
        return refit_line(pass, n, first, &l, now);
    }
    const double scale = (double)now.scale + best_change(c, codes, gradient, first, width);
    grid.scale = (float)scale;
    return scale * (double)now.scale > 0 ? storable(pass, n, first, grid) : now;
}
