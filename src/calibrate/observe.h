/*
 * Statistics of the input of a site over all calibration windows. If tokens are weighted by
 * attention, there are also statistics for v: the output of attention is A_h X W_v^T, where A_h are
 * the probabilities of head h, so the Hessian of v is the sum over heads of (A_h X)^T (A_h X) (BoA,
 * arXiv 2406.13474).
 */
#ifndef OBSERVE_H
#define OBSERVE_H

#include "calibrate/calibrate.h"
#include "calibrate/expert_rows.h"

struct observation {
    ptq_context *context;
    ptq_stats *stats;
    ptq_stats **values; /* [value_count]; one per key/value head, or one for all */
    int64_t value_count;
};

/* The site is that of matrix m; of an expert, the rows are those selected (expert_rows.h). flags
 * are PTQ_STATS_...; o must be empty. */
ptq_status observe_site(struct calibration *c, const struct block *b, const struct matrix *m,
                        int32_t flags, struct observation *o);
void observation_free(struct observation *o);

/* Computes the input of a site for window i, [rows][...], from the results of the preceding sites.
 * If the preceding site ends with an addition to the residual stream, that addition is done here
 * too, except for experts, since they share it (experts_enter). m is a matrix of the site; selected
 * are the rows of its expert, if it has one. */
ptq_status site_input(struct calibration *c, const struct block *b, const struct matrix *m,
                      const struct expert_rows *selected, int64_t i, const float **input,
                      int64_t *rows);

#endif
