/* Measuring candidates for the scale of a group. */
#ifndef PTQI_CANDIDATES_H
#define PTQI_CANDIDATES_H

#include "config.h"

/* The number of candidates is a multiple of PTQI_SHRINK_UNIT, at most this. */
#define PTQI_MAX_CANDIDATES 48

static inline float ptqi_top_code(const struct ptq_config *c)
{
    return (float)((1 << c->bits) - 1);
}

/* The index of the first of the smallest errors. */
int ptqi_find_min(const double *errors, int count);

/* errors [candidates] = sum of metric (w' - w)^2 with each scale. */
void ptqi_candidate_errors(const struct ptq_config *config, const float *w, const float *metric,
                           int64_t count, const float *scales, float zero, int candidates,
                           double *errors);

#endif
