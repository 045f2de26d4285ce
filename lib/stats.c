/*
 * ptq_stats: calibration statistics of the input of a linear layer.
 *
 * Every sum runs over the rows in order, so dividing the rows among other updates does not change a
 * bit. A merge is one addition per element, so a fixed tree of merges is reproducible too.
 */
#include "stats.h"
#include <string.h>
#include "linalg/vector.h"

#define MAX_CHANNELS 131072
#define ALL_FLAGS (PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | PTQ_STATS_MISMATCH)

ptq_status ptq_stats_create(ptq_context *context, int64_t k, int32_t flags, ptq_stats **stats)
{
    PTQI_REQUIRE(context, stats);
    *stats = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_TRY(ptqi_check_between(context, __func__, "k", k, 1, MAX_CHANNELS));
    PTQI_TRY(ptqi_check_between(context, __func__, "flags", flags, 0, ALL_FLAGS));
    struct ptq_stats *s = ptqi_new_handle(context, (int64_t)sizeof *s);
    if (!s)
        return PTQ_ERROR_MEMORY;
    s->context = context;
    s->k = k;
    s->flags = flags;
    s->stride = 1;
    atomic_init(&s->finished, 0);
    s->minimum = ptqi_alloc_zero(context, k, 4);
    s->maximum = ptqi_alloc_zero(context, k, 4);
    s->sum_abs = ptqi_alloc_zero(context, k, 8);
    int ok = s->minimum && s->maximum && s->sum_abs;
    if (ok && (flags & PTQ_STATS_HESSIAN))
        ok = (s->hessian = ptqi_alloc_zero(context, k * k, 4)) != NULL;
    if (ok && (flags & PTQ_STATS_MISMATCH))
        ok = (s->mismatch = ptqi_alloc_zero(context, k * k, 4)) != NULL;
    if (ok && (flags & PTQ_STATS_SAMPLE))
        ok = (s->sample = ptqi_alloc(context, k * PTQI_SAMPLE_ROWS, 4)) &&
             (s->extremes = ptqi_alloc(context, k * PTQI_EXTREME_ROWS, 4)) &&
             (s->extreme_sizes = ptqi_alloc(context, PTQI_EXTREME_ROWS, 4));
    if (!ok) {
        ptq_stats_free(s);
        return PTQ_ERROR_MEMORY;
    }
    *stats = s;
    return PTQ_OK;
}

void ptq_stats_free(ptq_stats *s)
{
    if (!s)
        return;
    ptqi_free(s->context, s->minimum);
    ptqi_free(s->context, s->maximum);
    ptqi_free(s->context, s->sum_abs);
    ptqi_free(s->context, s->hessian);
    ptqi_free(s->context, s->mismatch);
    ptqi_free(s->context, s->sample);
    ptqi_free(s->context, s->extremes);
    ptqi_free(s->context, s->extreme_sizes);
    ptqi_free_handle(s->context, s);
}

/* Doubles the stride: drops every second sampled row. */
static void thin_sample(struct ptq_stats *s)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < s->sampled; i += 2, kept++)
        memmove(s->sample + kept * s->k, s->sample + i * s->k, (size_t)s->k * 4);
    s->sampled = kept;
    s->stride *= 2;
}

float *ptqi_stats_sample_place(struct ptq_stats *s, int64_t position)
{
    if (position % s->stride)
        return NULL;
    if (s->sampled == PTQI_SAMPLE_ROWS)
        thin_sample(s);
    if (position % s->stride)
        return NULL;
    return s->sample + s->sampled++ * s->k;
}

float *ptqi_stats_extreme_place(struct ptq_stats *s, float size)
{
    int64_t place = s->extreme_count;
    if (place == PTQI_EXTREME_ROWS) {
        place = 0;
        for (int64_t i = 1; i < s->extreme_count; i++)
            if (s->extreme_sizes[i] < s->extreme_sizes[place])
                place = i;
        if (!(size > s->extreme_sizes[place]))
            return NULL;
    } else {
        s->extreme_count++;
    }
    s->extreme_sizes[place] = size;
    return s->extremes + place * s->k;
}

void ptqi_stats_keep_extreme(struct ptq_stats *s, const float *row)
{
    float *place = ptqi_stats_extreme_place(s, ptqi_absmax(s->context, row, s->k));
    if (place)
        memcpy(place, row, (size_t)s->k * sizeof *row);
}

ptq_status ptqi_stats_fail_own_sample(const ptq_stats *s)
{
    return ptqi_fail(s->context, PTQ_ERROR_CONFLICT,
                     "statistics with a sample set by the caller cannot be changed or saved");
}

ptq_status ptqi_stats_check_width(ptq_context *context, const ptq_stats *s, int64_t k)
{
    if (s->k == k)
        return PTQ_OK;
    return ptqi_fail(context, PTQ_ERROR_SHAPE,
                     "statistics of %lld channels do not fit a matrix of %lld columns",
                     (long long)s->k, (long long)k);
}

/* Row i of the other sample represents the positions up to its next row. It is kept if they include
 * a multiple of the stride, so that as many rows are kept as if all had come in one stream. */
static void merge_sample_row(struct ptq_stats *s, const ptq_stats *other, int64_t i)
{
    int64_t first = s->rows + i * other->stride, last = first + other->stride - 1;
    last = last < s->rows + other->rows - 1 ? last : s->rows + other->rows - 1;
    if (s->sampled == PTQI_SAMPLE_ROWS && last / s->stride * s->stride >= first)
        thin_sample(s);
    if (last / s->stride * s->stride >= first)
        memcpy(s->sample + s->sampled++ * s->k, other->sample + i * s->k, (size_t)s->k * 4);
}

static void merge(ptq_stats *s, const ptq_stats *other)
{
    for (int64_t c = 0; c < s->k && other->rows; c++) {
        float low = other->minimum[c], high = other->maximum[c];
        s->minimum[c] = !s->rows || low < s->minimum[c] ? low : s->minimum[c];
        s->maximum[c] = !s->rows || high > s->maximum[c] ? high : s->maximum[c];
        s->sum_abs[c] += other->sum_abs[c];
    }
    for (int64_t i = 0; s->hessian && i < s->k * s->k; i++)
        s->hessian[i] += other->hessian[i];
    for (int64_t i = 0; s->mismatch && i < s->k * s->k; i++)
        s->mismatch[i] += other->mismatch[i];
    if (s->sample && other->rows) {
        while (s->stride < other->stride)
            thin_sample(s);
        for (int64_t i = 0; i < other->sampled; i++)
            merge_sample_row(s, other, i);
        for (int64_t i = 0; i < other->extreme_count; i++)
            ptqi_stats_keep_extreme(s, other->extremes + i * s->k);
    }
    s->rows += other->rows;
    s->total_weight += other->total_weight;
}

ptq_status ptq_stats_merge(ptq_stats *stats, const ptq_stats *other)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, other);
    if (stats->k != other->k || stats->flags != other->flags)
        return ptqi_fail(stats->context, PTQ_ERROR_SHAPE,
                         "statistics with different channels or flags cannot be merged");
    if (stats == other)
        return ptqi_fail(stats->context, PTQ_ERROR_SHAPE,
                         "statistics cannot be merged into themselves");
    if (!stats->stride || !other->stride)
        return ptqi_stats_fail_own_sample(stats);
    merge(stats, other);
    return PTQ_OK;
}
