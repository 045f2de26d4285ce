/*
 * Reading calibration statistics.
 */
#include <math.h>
#include <string.h>
#include "stats.h"

int64_t ptq_stats_k(const ptq_stats *stats)
{
    return stats ? stats->k : 0;
}

int32_t ptq_stats_flags(const ptq_stats *stats)
{
    return stats ? stats->flags : 0;
}

int64_t ptq_stats_rows(const ptq_stats *stats)
{
    return stats ? stats->rows : 0;
}

double ptq_stats_total_weight(const ptq_stats *stats)
{
    return stats ? stats->total_weight : 0;
}

ptq_status ptq_stats_absmax(const ptq_stats *stats, float *out)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, out);
    for (int64_t c = 0; c < stats->k; c++) {
        float low = fabsf(stats->minimum[c]), high = fabsf(stats->maximum[c]);
        out[c] = low > high ? low : high;
    }
    return PTQ_OK;
}

ptq_status ptq_stats_min(const ptq_stats *stats, float *out)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, out);
    memcpy(out, stats->minimum, (size_t)stats->k * 4);
    return PTQ_OK;
}

ptq_status ptq_stats_max(const ptq_stats *stats, float *out)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, out);
    memcpy(out, stats->maximum, (size_t)stats->k * 4);
    return PTQ_OK;
}

ptq_status ptq_stats_mean_abs(const ptq_stats *stats, float *out)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, out);
    double weight = stats->total_weight > 0 ? stats->total_weight : 1.0;
    for (int64_t c = 0; c < stats->k; c++)
        out[c] = (float)(stats->sum_abs[c] / weight);
    return PTQ_OK;
}

ptq_status ptq_stats_hessian(const ptq_stats *stats, float *out)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, out);
    int64_t k = stats->k;
    if (!stats->hessian)
        return ptqi_fail(stats->context, PTQ_ERROR_MISSING,
                         "these statistics were made without PTQ_STATS_HESSIAN");
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i; j < k; j++)
            out[i * k + j] = out[j * k + i] = stats->hessian[i * k + j];
    return PTQ_OK;
}

ptq_status ptq_stats_mismatch(const ptq_stats *stats, float *out)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, out);
    if (!stats->mismatch)
        return ptqi_fail(stats->context, PTQ_ERROR_MISSING,
                         "these statistics were made without PTQ_STATS_MISMATCH");
    memcpy(out, stats->mismatch, (size_t)(stats->k * stats->k) * sizeof *out);
    return PTQ_OK;
}

int64_t ptq_stats_sample_rows(const ptq_stats *stats)
{
    return stats ? stats->sampled : 0;
}

ptq_status ptq_stats_sample(const ptq_stats *stats, float *out)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, out);
    if (!stats->sample)
        return ptqi_fail(stats->context, PTQ_ERROR_MISSING,
                         "these statistics were made without PTQ_STATS_SAMPLE");
    memcpy(out, stats->sample, (size_t)(stats->sampled * stats->k) * 4);
    return PTQ_OK;
}
