/*
 * AWQ: Lin, Tang, Tang, Yang, Chen, Wang, Xiao, Dang, Gan, Han, "AWQ: Activation-aware Weight
 * Quantization for LLM Compression and Acceleration", arXiv 2306.00978; the reference code is
 * mit-han-lab/llm-awq auto_scale.py and auto_clip.py; duo scaling is casper-hansen/AutoAWQ
 * quantizer.py.
 *
 * Scale search. Weights of channels with large inputs are scaled up before rounding: for r in 0,
 * 1/20 .. 19/20
 *
 *     s = max(mean |x|^r, 1e-4) / sqrt(max s min s),
 *     loss = |X (W - Q(W s) / s)^T|^2 over all matrices that share the input,
 *
 * and the first candidate with the smallest loss is kept. Channels that were dead in calibration
 * then get half the smallest s of the others, instead of 1e-4 before the division as in the
 * reference.
 *
 * The loss is trace(D H D^T) with H = X^T X, so the rows themselves are not needed. If there are
 * fewer rows than channels they are cheaper than H, and are used if all of them were kept.
 *
 * Clip search (clip_awq.c) is AWQ's second step.
 */
#include <math.h>
#include <string.h>
#include "base/exact.h"
#include "linalg/matmul.h"
#include "measure.h"
#include "method.h"
#include "stats.h"

#define CANDIDATES 20

struct search {
    const struct ptq_config *config;
    const struct ptqi_matrices *matrices;
    float *x_mean, *w_mean; /* [k]; w_mean for duo scaling only */
    float *hessian;         /* [k][k], or NULL: the loss is measured on the rows */
    const float *x;         /* [rows][k], or NULL */
    int64_t rows;
    float *scale;               /* [k], the candidate */
    float *scaled, *difference; /* [max n][k] */
    float *product;             /* [max n][PTQI_ENERGY_BLOCK or rows] */
};

/* Adds |w| / (max |w| of the group + 1e-6) of count columns of a row to mean. */
static void add_group(const float *w, int64_t count, float *mean)
{
    float max = 0;
    for (int64_t c = 0; c < count; c++)
        max = fabsf(w[c]) > max ? fabsf(w[c]) : max;
    for (int64_t c = 0; c < count; c++)
        mean[c] += fabsf(w[c]) / (max + 1e-6f);
}

/* w_mean[k] = mean over all rows of |w| / (max |w| of its group + 1e-6). */
static void measure_weights(const struct search *s)
{
    const int64_t k = s->matrices->k, group = ptqi_group_size(s->config, k);
    double rows = 0;
    memset(s->w_mean, 0, (size_t)k * sizeof *s->w_mean);
    for (int64_t i = 0; i < s->matrices->count; i++) {
        const struct ptqi_weight *weight = &s->matrices->weights[i];
        rows += (double)weight->n;
        for (int64_t n = 0; n < weight->n; n++)
            for (int64_t first = 0; first < k; first += group)
                add_group(weight->w + n * k + first, ptqi_min(group, k - first), s->w_mean + first);
    }
    for (int64_t c = 0; c < k; c++)
        s->w_mean[c] = (float)((double)s->w_mean[c] / rows);
}

/* scale = the candidate with exponent r. */
static void make_candidate(const struct search *s, float r)
{
    const int64_t k = s->matrices->k;
    float min = INFINITY, max = 0;
    for (int64_t c = 0; c < k; c++) {
        double v = ptqi_pow((double)s->x_mean[c], (double)r);
        if (s->config->duo)
            v /= ptqi_pow((double)s->w_mean[c], 1.0 - (double)r) + 1e-4;
        float scale = (float)v;
        s->scale[c] = scale > 1e-4f ? scale : 1e-4f;
        min = s->scale[c] < min ? s->scale[c] : min;
        max = s->scale[c] > max ? s->scale[c] : max;
    }
    float middle = sqrtf(max * min);
    for (int64_t c = 0; c < k; c++) {
        float scale = s->scale[c] / middle;
        s->scale[c] = scale > 0 && scale - scale == 0 ? scale : 1.0f;
    }
}

/* difference = W - Q(W s) / s of one matrix. */
static ptq_status round_candidate(const struct search *s, const struct ptqi_weight *weight)
{
    const int64_t k = s->matrices->k;
    for (int64_t row = 0; row < weight->n; row++)
        for (int64_t c = 0; c < k; c++)
            s->scaled[row * k + c] = weight->w[row * k + c] * s->scale[c];
    PTQI_TRY(ptqi_rtn_dequantize(s->config, s->scaled, weight->n, k, ptqi_group_size(s->config, k),
                                 s->difference));
    for (int64_t row = 0; row < weight->n; row++)
        for (int64_t c = 0; c < k; c++) {
            float *d = &s->difference[row * k + c];
            *d = weight->w[row * k + c] - *d / s->scale[c];
        }
    return PTQ_OK;
}

/* |X D^T|^2 for the n rows of the difference. */
static ptq_status output_loss(const struct search *s, int64_t n, double *loss)
{
    const struct ptqi_crew crew = ptqi_config_crew(s->config);
    const int64_t k = s->matrices->k;
    if (s->hessian)
        return ptqi_energy(crew, s->hessian, k, n, s->difference, s->product, loss);
    *loss = 0;
    PTQI_TRY(ptqi_matmul_linear_as(crew, n, s->rows, k, s->difference, s->x, s->product));
    for (int64_t i = 0; i < n * s->rows; i++)
        *loss += (double)s->product[i] * (double)s->product[i];
    return PTQ_OK;
}

static ptq_status candidate_loss(const struct search *s, double *loss)
{
    *loss = 0;
    for (int64_t i = 0; i < s->matrices->count; i++) {
        double part;
        PTQI_TRY(round_candidate(s, &s->matrices->weights[i]));
        PTQI_TRY(output_loss(s, s->matrices->weights[i].n, &part));
        *loss += part;
    }
    return ptqi_check_cancelled(s->config->context);
}

static ptq_status run_search(const struct search *s, struct ptq_equalization *e)
{
    for (int i = 0; i < CANDIDATES; i++) {
        double loss;
        make_candidate(s, (float)((double)i / CANDIDATES)); /* f32, as in the reference */
        PTQI_TRY(candidate_loss(s, &loss));
        if (e->candidate >= 0 && !(loss < e->loss))
            continue;
        e->candidate = i;
        e->loss = loss;
        memcpy(e->scale, s->scale, (size_t)s->matrices->k * sizeof *e->scale);
    }
    ptqi_scale_dead(s->x_mean, s->matrices->k, e->scale);
    return PTQ_OK;
}

/* The rows are used if there is no Hessian, or if they are all that were seen, each as it was, and
 * fewer than channels. */
static int by_rows(const struct ptq_stats *stats)
{
    const int whole = stats->stride && stats->sampled == stats->rows &&
                      stats->total_weight == (double)stats->rows;
    return !stats->hessian || (whole && stats->rows < stats->k);
}

/* Cuts one buffer for the whole search. Returns NULL if there is no memory. */
static float *cut_buffer(struct search *s)
{
    const int64_t k = s->matrices->k, square = s->x ? 0 : k * k;
    int64_t n = 0;
    for (int64_t i = 0; i < s->matrices->count; i++)
        n = s->matrices->weights[i].n > n ? s->matrices->weights[i].n : n;
    const int64_t product = n * (s->x ? s->rows : PTQI_ENERGY_BLOCK);
    float *buffer = ptqi_alloc(s->config->context, square + 2 * n * k + product + 2 * k,
                               (int64_t)sizeof *buffer);
    if (!buffer)
        return NULL;
    s->hessian = s->x ? NULL : buffer;
    s->scaled = buffer + square;
    s->difference = s->scaled + n * k;
    s->product = s->difference + n * k;
    s->w_mean = s->product + product;
    s->scale = s->w_mean + k;
    return buffer;
}

static ptq_status load_and_search(const struct search *s, const struct ptqi_call *call,
                                  const struct ptqi_ranges *ranges, struct ptq_equalization *e)
{
    double unit = 1;
    if (s->hessian) {
        PTQI_TRY(ptq_stats_hessian(call->stats, s->hessian));
        unit = ptqi_normalize_square(s->hessian, s->matrices->k);
    }
    if (s->config->duo) {
        measure_weights(s);
        PTQI_TRY(ptqi_tie(s->config->context, ranges, 1, s->w_mean));
    }
    PTQI_TRY(run_search(s, e));
    e->loss /= unit;
    return PTQ_OK;
}

static ptq_status equalize_awq(const struct ptqi_call *call, const struct ptqi_ranges *ranges,
                               struct ptq_equalization *e)
{
    struct search s = {
        .config = call->config, .matrices = call->matrices, .x_mean = ranges->mean_abs};
    if (by_rows(call->stats)) {
        s.x = call->stats->sample;
        s.rows = call->stats->sampled;
    }
    float *buffer = cut_buffer(&s);
    ptq_status status = buffer ? load_and_search(&s, call, ranges, e) : PTQ_ERROR_MEMORY;
    ptqi_free(e->context, buffer);
    return status;
}

const struct ptqi_equalizer ptqi_equalizer_awq = {.id = PTQ_EQUALIZE_AWQ,
                                                  .name = "AWQ",
                                                  .needs = PTQI_NEEDS_RANGES | PTQI_NEEDS_OUTPUT,
                                                  .equalize = equalize_awq};
