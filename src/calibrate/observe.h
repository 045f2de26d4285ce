/*
 * Statistics of the input of a site, over all calibration windows; and, where tokens are weighed by
 * attention, of what v sees: what leaves attention is A_h X W_v^T, A_h the probabilities of head h,
 * so the Hessian of v is the sum over heads of (A_h X)^T (A_h X) (BoA, arXiv 2406.13474).
 */
#ifndef OBSERVE_H
#define OBSERVE_H

#include "calibrate/calibrate.h"

struct observation {
    ptq_context *context;
    ptq_stats *stats;
    ptq_stats *
        *values; /* [value_count]; each of the heads that share key/value head h, or of all */
    int64_t value_count;
};

/* flags of ptq_stats; o is empty before. */
ptq_status observe_site(struct calibration *c, const struct block *b, enum site site, int64_t k,
                        int32_t flags, struct observation *o);
void observation_free(struct observation *o);

/* The input of a site for window i, from what the sites before it left; also takes the residual
 * stream over the site before where that ends with one. */
ptq_status site_input(struct calibration *c, const struct block *b, enum site site, int64_t i,
                      const float **input);

#endif
