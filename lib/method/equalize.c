/*
 * Equalizing one call: picks the equalizer, lets it choose the scale, and decides how the input is
 * quantized then.
 */
#include <string.h>
#include "linalg/vector.h"
#include "method.h"
#include "stats.h"

static ptq_status check(const struct ptqi_call *call, const struct ptqi_equalizer *equalizer)
{
    ptq_context *context = call->config->context;
    const struct ptq_stats *stats = call->stats;
    const int64_t k = call->matrices->k;
    int32_t needs = equalizer->needs;
    if (call->config->activations == PTQ_ACTIVATIONS_INT8_STATIC ||
        call->config->activations == PTQ_ACTIVATIONS_FPTQ)
        needs |= PTQI_NEEDS_RANGES;
    if (stats)
        PTQI_TRY(ptqi_stats_check_width(context, stats, k));
    if (needs & PTQI_NEEDS_RANGES && (!stats || !stats->rows))
        return ptqi_fail(context, PTQ_ERROR_MISSING,
                         "equalization and static activations need statistics of the input");
    if (needs & PTQI_NEEDS_OUTPUT && !stats->hessian && !stats->sampled)
        return ptqi_fail(context, PTQ_ERROR_MISSING,
                         "%s's search needs statistics with PTQ_STATS_HESSIAN or PTQ_STATS_SAMPLE",
                         equalizer->name);
    return PTQ_OK;
}

/* The ranges of the input. Without statistics they are 0. */
static ptq_status load_ranges(const struct ptqi_call *call, struct ptqi_ranges *r)
{
    ptq_context *context = call->config->context;
    r->k = call->matrices->k;
    r->ties = call->ties;
    r->absmax = ptqi_alloc_zero(context, r->k, (int64_t)sizeof *r->absmax);
    r->mean_abs = ptqi_alloc_zero(context, r->k, (int64_t)sizeof *r->mean_abs);
    if (!r->absmax || !r->mean_abs)
        return PTQ_ERROR_MEMORY;
    for (int64_t c = 0; r->ties && c < r->k; c++)
        if (r->ties[c] < 0 || r->ties[c] >= r->k)
            return ptqi_fail(context, PTQ_ERROR_BOUNDS, "ties[%lld] is %d, not below K",
                             (long long)c, r->ties[c]);
    if (!call->stats)
        return PTQ_OK;
    PTQI_TRY(ptq_stats_absmax(call->stats, r->absmax));
    PTQI_TRY(ptq_stats_mean_abs(call->stats, r->mean_abs));
    PTQI_TRY(ptqi_tie(context, r, 0, r->absmax));
    PTQI_TRY(ptqi_tie(context, r, 1, r->mean_abs));
    for (int64_t c = 0; c < r->k; c++)
        r->max = r->absmax[c] > r->max ? r->absmax[c] : r->max;
    return PTQ_OK;
}

static ptq_status choose_scale(const struct ptqi_call *call, const struct ptqi_equalizer *equalizer,
                               const struct ptqi_ranges *ranges, struct ptq_equalization *e)
{
    e->equalize = equalizer->id;
    if (!equalizer->equalize)
        return PTQ_OK;
    e->scale = ptqi_alloc(e->context, e->k, (int64_t)sizeof *e->scale);
    if (!e->scale)
        return PTQ_ERROR_MEMORY;
    return equalizer->equalize(call, ranges, e);
}

/* max |x'| over the calibration rows that the statistics keep. */
static ptq_status kept_range(const struct ptq_stats *stats, const struct ptq_equalization *e,
                             float *range)
{
    const int64_t sampled = stats->sampled * e->k, extreme = stats->extreme_count * e->k;
    float *rows = ptqi_alloc(e->context, sampled + extreme, (int64_t)sizeof *rows);
    if (!rows)
        return PTQ_ERROR_MEMORY;
    memcpy(rows, stats->sample, (size_t)sampled * sizeof *rows);
    memcpy(rows + sampled, stats->extremes, (size_t)extreme * sizeof *rows);
    ptqi_equalize_rows(e, rows, stats->sampled + stats->extreme_count);
    *range = ptqi_absmax(e->context, rows, sampled + extreme);
    ptqi_free(e->context, rows);
    return PTQ_OK;
}

/* max |x'| without a rotation: over all calibration rows. */
static float scaled_range(const struct ptqi_equalizer *equalizer, const struct ptqi_ranges *ranges,
                          const struct ptq_equalization *e)
{
    float range = 0;
    if (equalizer->range)
        return equalizer->range(ranges);
    for (int64_t c = 0; c < e->k; c++) {
        float r = e->scale ? ranges->absmax[c] / e->scale[c] : ranges->absmax[c];
        range = r > range ? r : range;
    }
    return range;
}

static ptq_status choose_activations(const struct ptqi_call *call,
                                     const struct ptqi_equalizer *equalizer,
                                     const struct ptqi_ranges *ranges, struct ptq_equalization *e)
{
    float range;
    e->activations = call->config->activations;
    if (e->activations == PTQ_ACTIVATIONS_FPTQ)
        e->activations = ptqi_fptq_activations(call->config, ranges->max);
    if (e->activations != PTQ_ACTIVATIONS_INT8_STATIC)
        return PTQ_OK;
    if (e->rotation && !call->stats->sampled)
        return ptqi_fail(e->context, PTQ_ERROR_MISSING,
                         "static activations that are rotated need statistics with "
                         "PTQ_STATS_SAMPLE");
    if (e->rotation)
        PTQI_TRY(kept_range(call->stats, e, &range));
    else
        range = scaled_range(equalizer, ranges, e);
    e->activation_scale = range > 0 ? range / 127.0f : 1.0f; /* 1: the input was always zero */
    return PTQ_OK;
}

static ptq_status equalize(const struct ptqi_call *call, const struct ptqi_equalizer *equalizer,
                           struct ptqi_ranges *ranges, struct ptq_equalization *e)
{
    PTQI_TRY(load_ranges(call, ranges));
    if (equalizer->pick)
        PTQI_TRY(ptqi_find_equalizer(e->context, equalizer->pick(call->config, ranges->max),
                                     &equalizer));
    e->rotation = call->config->rotate;
    PTQI_TRY(choose_scale(call, equalizer, ranges, e));
    return choose_activations(call, equalizer, ranges, e);
}

ptq_status ptqi_equalize_call(const struct ptqi_call *call, struct ptq_equalization **out)
{
    ptq_context *context = call->config->context;
    struct ptqi_ranges ranges = {0};
    const struct ptqi_equalizer *equalizer;
    PTQI_TRY(ptqi_find_equalizer(context, call->config->equalize, &equalizer));
    PTQI_TRY(check(call, equalizer));
    struct ptq_equalization *e = ptqi_create_equalization(context, call->matrices->k);
    if (!e)
        return PTQ_ERROR_MEMORY;
    ptq_status status = equalize(call, equalizer, &ranges, e);
    ptqi_free(context, ranges.absmax);
    ptqi_free(context, ranges.mean_abs);
    if (status)
        ptq_equalization_free(e);
    else
        *out = e;
    return status;
}
