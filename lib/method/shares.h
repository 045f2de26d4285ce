/*
 * Rounding the rows of a matrix on several threads. Rows do not depend on each other, so each
 * thread takes a share of them and has its own buffer.
 */
#ifndef PTQI_SHARES_H
#define PTQI_SHARES_H

#include <stdatomic.h>
#include "config.h"
#include "curvature.h"
#include "grid.h"
#include "qtensor.h"

/* The rows of one thread. */
struct ptqi_share {
    int64_t first, count;
    float *buffer; /* [count * row_floats + share_floats] */
};

struct ptqi_pass {
    const char *name; /* for messages */
    const struct ptq_config *config;
    const struct ptqi_curvature *curvature;
    const float *w;      /* [n][k], original order */
    const float *metric; /* [k], quantization order: column weights for searching scales; or NULL */
    struct ptq_qtensor *q;

    ptq_status (*round)(struct ptqi_pass *pass, const struct ptqi_share *share);
    int64_t row_floats, share_floats; /* size of the buffer: for each row, and once */

    /* Set by ptqi_run_pass. */
    int64_t parts;
    atomic_int failed;
    atomic_llong adjusted; /* grids that were adjusted */
};

/* Runs pass->round on all rows and fails if it failed for any share. */
ptq_status ptqi_run_pass(struct ptqi_pass *pass);

/* Store and return the grid of row n, group g. */
void ptqi_set_grid(struct ptqi_pass *pass, int64_t n, int64_t g, struct ptqi_grid grid);
struct ptqi_grid ptqi_get_grid(const struct ptq_qtensor *q, int64_t n, int64_t g);
/* The same for the super scales of the 256 columns around column first. */
void ptqi_set_super(struct ptq_qtensor *q, int64_t n, int64_t first, struct ptqi_super super);
struct ptqi_super ptqi_get_super(const struct ptq_qtensor *q, int64_t n, int64_t first);

/* Takes count floats from a buffer. */
static inline float *ptqi_take(float **buffer, int64_t count)
{
    float *taken = *buffer;
    *buffer += count;
    return taken;
}

/* The group of the column at a position: static groups are of the original order. */
static inline int64_t ptqi_group_at(const struct ptqi_pass *pass, int64_t position)
{
    if (pass->config->static_groups)
        position = ptqi_column(pass->curvature, position);
    return position / pass->q->group_size;
}

#endif
