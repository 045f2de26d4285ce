/* Calibration statistics internals. */
#ifndef PTQI_STATS_H
#define PTQI_STATS_H

#include "base/context.h"
#include "ptq/stats.h"

#define PTQI_SAMPLE_ROWS 512
#define PTQI_EXTREME_ROWS 32
#define PTQI_MAX_ROWS ((int64_t)1 << 48)

struct ptq_stats {
    ptq_context *context;
    int64_t k;
    int32_t flags;
    int64_t rows;
    double total_weight;
    float *minimum, *maximum; /* [k] */
    double *sum_abs;          /* [k], weighted */
    float *hessian;           /* [k][k], the upper triangle; NULL without PTQ_STATS_HESSIAN */
    float *mismatch;          /* [k][k], not symmetric; NULL without PTQ_STATS_MISMATCH */

    /* The rows whose position is a multiple of stride, a power of two that doubles whenever there
     * would be more than PTQI_SAMPLE_ROWS. */
    float *sample;
    int64_t stride, sampled; /* stride 0: set by the caller */

    /* With the sample: the rows with the largest max |x|; among equals, the first. */
    float *extremes;      /* [extreme_count][k], unordered */
    float *extreme_sizes; /* [extreme_count], max |x| of each */
    int64_t extreme_count;

    atomic_llong finished; /* parts of the update in progress */
};

/* Where to store a row, as f32: in the sample, if its position among all rows seen is a multiple of
 * the stride; among the extremes, if its max |x| is large enough. NULL: nowhere. */
float *ptqi_stats_sample_place(struct ptq_stats *stats, int64_t position);
float *ptqi_stats_extreme_place(struct ptq_stats *stats, float size);
/* Adds a row to the extremes if it belongs there. */
void ptqi_stats_keep_extreme(struct ptq_stats *stats, const float *row);
ptq_status ptqi_stats_fail_own_sample(const ptq_stats *stats);
/* PTQ_ERROR_SHAPE unless the statistics fit the input of a matrix with k columns. */
ptq_status ptqi_stats_check_width(ptq_context *context, const ptq_stats *stats, int64_t k);

#endif
