/*
 * Calibration statistics collected by the caller.
 */
#include <math.h>
#include <string.h>
#include "base/half.h"
#include "stats.h"
#include "tensor.h"

#define MAX_SAMPLE_ROWS 65536

/* A finite sum of |x| for channel c, or NaN. */
static double sum_abs(float mean, double total_weight)
{
    const double sum = (double)mean * total_weight;
    return mean >= 0 && sum - sum == 0 ? sum : (double)NAN;
}

static ptq_status check_channel(const ptq_stats *s, const char *function, int64_t c, float low,
                                float high, float mean, double total_weight)
{
    const char *problem = NULL;
    if (low - low != 0 || high - high != 0 || isnan(sum_abs(mean, total_weight)))
        problem = "are not finite, or mean |x| is negative";
    else if (low > high)
        problem = "are empty";
    if (!problem)
        return PTQ_OK;
    return ptqi_fail(s->context, PTQ_ERROR_ARGUMENT, "%s: the ranges of channel %lld %s", function,
                     (long long)c, problem);
}

ptq_status ptq_stats_set_ranges(ptq_stats *stats, int64_t rows, double total_weight,
                                const float *min, const float *max, const float *mean_abs)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_TRY(ptqi_check_between(stats->context, __func__, "rows", rows, 1, PTQI_MAX_ROWS));
    if (!(total_weight > 0) || total_weight - total_weight != 0)
        return ptqi_fail(stats->context, PTQ_ERROR_ARGUMENT,
                         "%s: total_weight is not finite and positive", __func__);
    PTQI_REQUIRE(stats->context, max);
    PTQI_REQUIRE(stats->context, mean_abs);
    for (int64_t c = 0; c < stats->k; c++)
        PTQI_TRY(check_channel(stats, __func__, c, min ? min[c] : -max[c], max[c], mean_abs[c],
                               total_weight));
    for (int64_t c = 0; c < stats->k; c++) {
        stats->minimum[c] = min ? min[c] : -max[c];
        stats->maximum[c] = max[c];
        stats->sum_abs[c] = sum_abs(mean_abs[c], total_weight);
    }
    stats->rows = rows;
    stats->total_weight = total_weight;
    if (stats->stride) { /* the sampled rows are no longer among those counted */
        stats->stride = 1;
        stats->sampled = stats->extreme_count = 0;
    }
    return PTQ_OK;
}

ptq_status ptq_stats_set_hessian(ptq_stats *stats, const float *hessian)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, hessian);
    const int64_t k = stats->k;
    if (!stats->hessian)
        return ptqi_fail(stats->context, PTQ_ERROR_MISSING,
                         "these statistics were made without PTQ_STATS_HESSIAN");
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = i; j < k; j++)
            if (hessian[i * k + j] - hessian[i * k + j] != 0)
                return ptqi_fail(stats->context, PTQ_ERROR_NOT_FINITE,
                                 "hessian[%lld][%lld] is not finite", (long long)i, (long long)j);
        if (hessian[i * k + i] < 0)
            return ptqi_fail(stats->context, PTQ_ERROR_ARGUMENT,
                             "%s: hessian[%lld][%lld] is negative", __func__, (long long)i,
                             (long long)i);
    }
    for (int64_t i = 0; i < k; i++)
        memcpy(stats->hessian + i * k + i, hessian + i * k + i, (size_t)(k - i) * sizeof *hessian);
    return PTQ_OK;
}

ptq_status ptq_stats_set_mismatch(ptq_stats *stats, const float *mismatch)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, mismatch);
    const int64_t k = stats->k;
    if (!stats->mismatch)
        return ptqi_fail(stats->context, PTQ_ERROR_MISSING,
                         "these statistics were made without PTQ_STATS_MISMATCH");
    PTQI_TRY(ptqi_check_finite(stats->context, "mismatch", mismatch, PTQ_DTYPE_F32, k, k, k));
    memcpy(stats->mismatch, mismatch, (size_t)(k * k) * sizeof *mismatch);
    return PTQ_OK;
}

ptq_status ptq_stats_set_sample(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                                int64_t ldx)
{
    PTQI_REQUIRE(NULL, stats);
    const struct ptqi_block block = {"x", "ldx", "K", x, dtype, rows, stats->k, ldx};
    PTQI_TRY(ptqi_check_between(stats->context, __func__, "rows", rows, 0, MAX_SAMPLE_ROWS));
    PTQI_TRY(ptqi_check_block(stats->context, __func__, &block));
    PTQI_TRY(ptqi_check_finite(stats->context, "sample", x, dtype, rows, stats->k, ldx));
    float *sample = ptqi_alloc(stats->context, rows * stats->k, 4);
    if (!sample)
        return PTQ_ERROR_MEMORY;
    for (int64_t r = 0; r < rows; r++)
        ptqi_to_f32(sample + r * stats->k, (const char *)x + r * ldx * ptq_dtype_size(dtype), dtype,
                    stats->k);
    ptqi_free(stats->context, stats->sample);
    stats->sample = sample;
    stats->sampled = rows;
    stats->stride = 0;
    stats->extreme_count = 0;
    return PTQ_OK;
}
