/*
 * ptq_equalization: which scale moves between input and weights, and how the input is quantized
 * then.
 */
#include <math.h>
#include <string.h>
#include "linalg/rotate.h"
#include "linalg/vector.h"
#include "method.h"
#include "stats.h"
#include "tensor.h"

void ptq_equalization_free(ptq_equalization *e)
{
    if (!e)
        return;
    ptqi_free(e->context, e->scale);
    ptqi_free(e->context, e);
}

int32_t ptq_equalization_has_scale(const ptq_equalization *equalization)
{
    return equalization && equalization->scale;
}

ptq_status ptq_equalization_scale(const ptq_equalization *equalization, float *out)
{
    PTQI_REQUIRE(NULL, equalization);
    PTQI_REQUIRE(equalization->context, out);
    const ptq_equalization *e = equalization;
    for (int64_t c = 0; c < e->k; c++)
        out[c] = e->scale ? e->scale[c] : 1.0f;
    return PTQ_OK;
}

int32_t ptq_equalization_activations(const ptq_equalization *equalization)
{
    return equalization ? equalization->activations : 0;
}

float ptq_equalization_activation_scale(const ptq_equalization *equalization)
{
    return equalization ? equalization->activation_scale : 0;
}

int32_t ptq_equalization_candidate(const ptq_equalization *equalization)
{
    return equalization ? equalization->candidate : -1;
}

double ptq_equalization_loss(const ptq_equalization *equalization)
{
    return equalization ? equalization->loss : (double)NAN;
}

int32_t ptq_equalization_rotation(const ptq_equalization *equalization)
{
    return equalization ? equalization->rotation : 0;
}

void ptq_equalization_set_folded(ptq_equalization *e)
{
    if (!e)
        return;
    ptqi_free(e->context, e->scale);
    e->scale = NULL;
}

void ptqi_equalize_rows(const struct ptq_equalization *e, float *rows, int64_t count)
{
    for (int64_t i = 0; e->scale && i < count; i++)
        for (int64_t c = 0; c < e->k; c++)
            rows[i * e->k + c] /= e->scale[c];
    if (e->rotation)
        ptqi_rotate(e->context, rows, count, e->k, e->rotation);
}

void ptqi_equalize_weights(const struct ptq_equalization *e, float *w, int64_t n)
{
    for (int64_t row = 0; e->scale && row < n; row++)
        for (int64_t c = 0; c < e->k; c++)
            w[row * e->k + c] *= e->scale[c];
    if (e->rotation)
        ptqi_rotate(e->context, w, n, e->k, e->rotation);
}

void ptqi_restore_weights(const struct ptq_equalization *e, float *w, int64_t n)
{
    if (e->rotation) /* its own inverse */
        ptqi_rotate(e->context, w, n, e->k, e->rotation);
    for (int64_t row = 0; e->scale && row < n; row++)
        for (int64_t c = 0; c < e->k; c++)
            w[row * e->k + c] /= e->scale[c];
}

static void transpose(float *a, int64_t k)
{
    const int64_t tile = 32; /* two tiles stay in the first-level cache */
    for (int64_t i0 = 0; i0 < k; i0 += tile)
        for (int64_t j0 = i0; j0 < k; j0 += tile)
            for (int64_t i = i0; i < i0 + tile && i < k; i++)
                for (int64_t j = j0 > i ? j0 : i + 1; j < j0 + tile && j < k; j++) {
                    float t = a[i * k + j];
                    a[i * k + j] = a[j * k + i];
                    a[j * k + i] = t;
                }
}

ptq_status ptqi_equalize_square(const struct ptq_equalization *e, float *a, int symmetric)
{
    const int64_t k = e->k;
    for (int64_t i = 0; e->scale && i < k; i++)
        for (int64_t j = symmetric ? i : 0; j < k; j++)
            a[i * k + j] = a[i * k + j] / e->scale[i] / e->scale[j];
    if (e->rotation) {
        for (int64_t i = 0; symmetric && i < k; i++)
            for (int64_t j = 0; j < i; j++)
                a[i * k + j] = a[j * k + i];
        for (int side = 0; side < 2; side++) {
            ptqi_rotate(e->context, a, k, k, e->rotation);
            transpose(a, k);
        }
    }
    for (int64_t i = 0; symmetric && i < k; i++)
        for (int64_t j = 0; j < i; j++)
            a[i * k + j] = a[j * k + i];
    return ptqi_check_finite(e->context, "Hessian", a, PTQ_DTYPE_F32, k, k, k);
}

static void free_matrices(ptq_context *context, struct ptqi_matrices *m)
{
    for (int64_t i = 0; m->w && i < m->count; i++)
        ptqi_free(context, m->w[i]);
    ptqi_free(context, m->w);
    ptqi_free(context, m->n);
}

static ptq_status load_matrices(ptq_context *context, const ptq_tensor *const *weights,
                                int64_t count, struct ptqi_matrices *m)
{
    m->count = count;
    m->k = weights[0]->shape[1];
    m->n = ptqi_alloc(context, count, (int64_t)sizeof *m->n);
    m->w = ptqi_alloc_zero(context, count, (int64_t)sizeof *m->w);
    if (!m->n || !m->w)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count; i++) {
        m->n[i] = weights[i]->shape[0];
        m->w[i] = ptqi_alloc(context, weights[i]->elements, (int64_t)sizeof(float));
        if (!m->w[i])
            return PTQ_ERROR_MEMORY;
        PTQI_TRY(ptq_tensor_to_f32(weights[i], m->w[i]));
    }
    return PTQ_OK;
}

/* The equalization that a config's choice means for an input whose largest value is most. */
static int32_t resolve(const struct ptq_config *config, float most)
{
    if (config->equalize != PTQ_EQUALIZE_FPTQ)
        return config->equalize;
    return (double)most > config->v0 && (double)most < config->v1 ? PTQ_EQUALIZE_LAE
                                                                  : PTQ_EQUALIZE_NONE;
}

ptq_status ptqi_tie(ptq_context *context, const struct ptqi_ranges *ranges, int mean, float *values)
{
    const int64_t k = ranges->k;
    if (!ranges->ties)
        return PTQ_OK;
    double *shared = ptqi_alloc_zero(context, 2 * k, (int64_t)sizeof *shared), *count = shared + k;
    if (!shared)
        return PTQ_ERROR_MEMORY;
    for (int64_t c = 0; c < k; c++) {
        double *s = &shared[ranges->ties[c]], v = (double)values[c];
        *s = mean ? *s + v : v > *s ? v : *s;
        count[ranges->ties[c]]++;
    }
    for (int64_t c = 0; c < k; c++)
        values[c] = (float)(shared[ranges->ties[c]] / (mean ? count[ranges->ties[c]] : 1.0));
    ptqi_free(context, shared);
    return PTQ_OK;
}

void ptqi_scale_dead(const float *size, int64_t k, float *scale)
{
    float least = INFINITY;
    for (int64_t c = 0; c < k; c++)
        least = size[c] > 0 && scale[c] < least ? scale[c] : least;
    for (int64_t c = 0; c < k; c++)
        if (!(size[c] > 0))
            scale[c] = least < INFINITY ? 0.5f * least : 1.0f;
}

/* The ranges of an input; without statistics they are 0. */
static ptq_status load_ranges(ptq_context *context, const ptq_stats *stats, int64_t k,
                              const int32_t *ties, struct ptqi_ranges *r)
{
    r->k = k;
    r->ties = ties;
    r->absmax = ptqi_alloc_zero(context, k, (int64_t)sizeof *r->absmax);
    r->mean_abs = ptqi_alloc_zero(context, k, (int64_t)sizeof *r->mean_abs);
    if (!r->absmax || !r->mean_abs)
        return PTQ_ERROR_MEMORY;
    for (int64_t c = 0; ties && c < k; c++)
        if (ties[c] < 0 || ties[c] >= k)
            return ptqi_fail(context, PTQ_ERROR_BOUNDS, "ties[%lld] is %d, not below K",
                             (long long)c, ties[c]);
    if (!stats)
        return PTQ_OK;
    PTQI_TRY(ptq_stats_absmax(stats, r->absmax));
    PTQI_TRY(ptq_stats_mean_abs(stats, r->mean_abs));
    PTQI_TRY(ptqi_tie(context, r, 0, r->absmax));
    return ptqi_tie(context, r, 1, r->mean_abs);
}

static ptq_status choose_scale(const struct ptq_config *config, int32_t kind,
                               const ptq_tensor *const *weights, int64_t count,
                               const ptq_stats *stats, const struct ptqi_ranges *ranges,
                               struct ptq_equalization *e)
{
    struct ptqi_matrices matrices = {0};
    if (kind == PTQ_EQUALIZE_NONE)
        return PTQ_OK;
    e->scale = ptqi_alloc(config->context, e->k, (int64_t)sizeof *e->scale);
    if (!e->scale)
        return PTQ_ERROR_MEMORY;
    if (kind == PTQ_EQUALIZE_LAE) {
        ptqi_equalize_lae(ranges->absmax, e->k, e->scale);
        return PTQ_OK;
    }
    ptq_status status = load_matrices(config->context, weights, count, &matrices);
    if (!status && kind == PTQ_EQUALIZE_AWQ)
        status = ptqi_equalize_awq(config, &matrices, stats, ranges, e);
    else if (!status)
        status = ptqi_equalize_smoothquant(config, &matrices, ranges, e->scale);
    free_matrices(config->context, &matrices);
    return status;
}

/* max |x'| over the calibration rows; with a rotation over those that the statistics keep. */
static ptq_status equalized_range(const struct ptq_stats *stats, int32_t kind, const float *absmax,
                                  const struct ptq_equalization *e, float *range)
{
    *range = 0;
    if (e->rotation) {
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
    for (int64_t c = 0; kind != PTQ_EQUALIZE_LAE && c < e->k; c++) {
        float r = e->scale ? absmax[c] / e->scale[c] : absmax[c];
        *range = r > *range ? r : *range;
    }
    if (kind == PTQ_EQUALIZE_LAE)
        *range = ptqi_lae_range(absmax, e->k);
    return PTQ_OK;
}

static ptq_status choose_activations(const struct ptq_config *config, int32_t kind,
                                     const struct ptq_stats *stats, const float *absmax, float most,
                                     struct ptq_equalization *e)
{
    float range;
    e->activations = config->activations;
    if (e->activations == PTQ_ACTIVATIONS_FPTQ)
        e->activations = ptqi_fptq_activations(config, most);
    if (e->activations != PTQ_ACTIVATIONS_INT8_STATIC)
        return PTQ_OK;
    if (e->rotation && !stats->sampled)
        return ptqi_fail(
            config->context, PTQ_ERROR_MISSING,
            "static activations that are rotated need statistics with PTQ_STATS_SAMPLE");
    PTQI_TRY(equalized_range(stats, kind, absmax, e, &range));
    e->activation_scale = range > 0 ? range / 127.0f : 1.0f; /* 1: an input that was always zero */
    return PTQ_OK;
}

static ptq_status check_need(const ptq_config *config, const ptq_stats *stats, int64_t k)
{
    int search = config->equalize == PTQ_EQUALIZE_AWQ;
    int ranges =
        config->equalize != PTQ_EQUALIZE_NONE || config->activations >= PTQ_ACTIVATIONS_INT8_STATIC;
    if (stats && stats->k != k)
        return ptqi_fail(config->context, PTQ_ERROR_SHAPE,
                         "statistics of %lld channels do not fit a matrix of %lld columns",
                         (long long)stats->k, (long long)k);
    if (ranges && (!stats || !stats->rows))
        return ptqi_fail(config->context, PTQ_ERROR_MISSING,
                         "equalization and static activations need statistics of the input");
    if (search && !stats->hessian && !stats->sampled)
        return ptqi_fail(
            config->context, PTQ_ERROR_MISSING,
            "AWQ's search needs statistics with PTQ_STATS_HESSIAN or PTQ_STATS_SAMPLE");
    return PTQ_OK;
}

static ptq_status equalize(const ptq_config *config, const ptq_tensor *const *weights,
                           int64_t count, const ptq_stats *stats, const int32_t *ties,
                           struct ptq_equalization *e)
{
    struct ptqi_ranges ranges = {0};
    float most = 0;
    ptq_status status = load_ranges(config->context, stats, e->k, ties, &ranges);
    for (int64_t c = 0; c < e->k && !status; c++)
        most = ranges.absmax[c] > most ? ranges.absmax[c] : most;
    int32_t kind = resolve(config, most);
    e->rotation = config->rotate;
    e->equalize = kind;
    if (!status)
        status = choose_scale(config, kind, weights, count, stats, &ranges, e);
    if (!status)
        status = choose_activations(config, kind, stats, ranges.absmax, most, e);
    ptqi_free(config->context, ranges.absmax);
    ptqi_free(config->context, ranges.mean_abs);
    return status;
}

ptq_status ptq_equalize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                        const ptq_stats *stats, const int32_t *ties,
                        ptq_equalization **equalization)
{
    PTQI_REQUIRE(config ? config->context : NULL, equalization);
    *equalization = NULL;
    PTQI_TRY(ptqi_check_call(__func__, config, weights, count));
    PTQI_TRY(ptqi_check_weights(config, weights, count));
    if (ptqi_is_open(config))
        return ptqi_choose(config, weights, count, stats, NULL, ties, equalization, NULL);
    PTQI_TRY(check_need(config, stats, weights[0]->shape[1]));
    struct ptq_equalization *e = ptqi_alloc_zero(config->context, 1, (int64_t)sizeof *e);
    if (!e)
        return PTQ_ERROR_MEMORY;
    e->context = config->context;
    e->k = weights[0]->shape[1];
    e->candidate = -1;
    e->loss = (double)NAN;
    ptq_status status = equalize(config, weights, count, stats, ties, e);
    if (status) {
        ptq_equalization_free(e);
        return status;
    }
    *equalization = e;
    return PTQ_OK;
}
