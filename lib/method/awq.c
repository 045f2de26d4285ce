/*
 * AWQ: Lin, Tang, Tang, Yang, Chen, Wang, Xiao, Dang, Gan, Han, "AWQ: Activation-aware Weight
 * Quantization for LLM Compression and Acceleration", arXiv 2306.00978; the reference code is
 * mit-han-lab/llm-awq auto_scale.py and auto_clip.py; duo scaling is casper-hansen/AutoAWQ
 * quantizer.py.
 *
 * Scale search. Channels with large inputs are made larger before rounding: for r in 0, 1/20 ..
 * 19/20
 *
 *     s = max(mean |x|^r, 1e-4) / sqrt(max s min s),
 *     loss = |X (W - Q(W s) / s)^T|^2 over all matrices that share the input,
 *
 * and the first of the smallest losses is kept. Channels that were dead in calibration then get
 * half the smallest s of the others, where the original leaves 1e-4 before the division. With H =
 * X^T X the loss is trace(D H D^T), so that the rows themselves are not needed; where there are
 * fewer of them than channels they are cheaper.
 *
 * Clip search. For each group the range that loses least in the group's own output: 10 ranges, each
 * shrunk by another 5 percent; error = mean over sampled rows of (x_g (w - w'))^2 = d G d^T with
 * G = X_g^T X_g of the sample.
 */
#include <math.h>
#include <string.h>
#include "base/exact.h"
#include "linalg/matmul.h"
#include "method.h"
#include "stats.h"

#define CANDIDATES 20
#define CLIP_STEPS 20  /* each shrinks by 1 / CLIP_STEPS */
#define CLIP_RANGES 10 /* down to half of the range */

struct search {
    const struct ptq_config *config;
    const struct ptqi_matrices *matrices;
    float *x_mean, *w_mean; /* [k]; w_mean for duo scaling only */
    float *hessian;         /* [k][k], or NULL: by the rows */
    const float *x;         /* [rows][k] */
    int64_t rows;
    float *scale;               /* [k], the candidate */
    float *scaled, *difference; /* [largest n][k] */
    float *product;             /* [largest n][PTQI_ENERGY_BLOCK or rows] */
};

static int64_t group_size(const struct ptq_config *config, int64_t k)
{
    return config->group && config->group < k ? config->group : k;
}

/* w_mean[k] = mean over all rows of |w| / (max |w| of its group + 1e-6). */
static void measure_weights(const struct search *s)
{
    const int64_t k = s->matrices->k, group = group_size(s->config, k);
    double rows = 0;
    for (int64_t c = 0; c < k; c++)
        s->w_mean[c] = 0;
    for (int64_t i = 0; i < s->matrices->count; i++) {
        rows += (double)s->matrices->n[i];
        for (int64_t n = 0; n < s->matrices->n[i]; n++)
            for (int64_t first = 0; first < k; first += group) {
                const float *w = s->matrices->w[i] + n * k;
                int64_t end = first + group < k ? first + group : k;
                float most = 0;
                for (int64_t c = first; c < end; c++)
                    most = fabsf(w[c]) > most ? fabsf(w[c]) : most;
                for (int64_t c = first; c < end; c++)
                    s->w_mean[c] += fabsf(w[c]) / (most + 1e-6f);
            }
    }
    for (int64_t c = 0; c < k; c++)
        s->w_mean[c] = (float)((double)s->w_mean[c] / rows);
}

/* scale = the candidate with exponent r. */
static void make_candidate(const struct search *s, float r)
{
    const int64_t k = s->matrices->k;
    float least = INFINITY, most = 0;
    for (int64_t c = 0; c < k; c++) {
        double v = ptqi_pow((double)s->x_mean[c], (double)r);
        if (s->config->duo)
            v /= ptqi_pow((double)s->w_mean[c], 1.0 - (double)r) + 1e-4;
        float scale = (float)v;
        s->scale[c] = scale > 1e-4f ? scale : 1e-4f;
        least = s->scale[c] < least ? s->scale[c] : least;
        most = s->scale[c] > most ? s->scale[c] : most;
    }
    float middle = sqrtf(most * least);
    for (int64_t c = 0; c < k; c++) {
        float scale = s->scale[c] / middle;
        s->scale[c] = scale > 0 && scale - scale == 0 ? scale : 1.0f;
    }
}

/* |X D^T|^2 for the n rows of the difference. */
static ptq_status output_loss(const struct search *s, int64_t n, double *loss)
{
    ptq_context *context = s->config->context;
    const int64_t k = s->matrices->k;
    if (s->hessian)
        return ptqi_energy(context, s->hessian, k, n, s->difference, s->product, loss);
    *loss = 0;
    PTQI_TRY(ptqi_matmul_linear(context, n, s->rows, k, s->difference, s->x, s->product));
    for (int64_t i = 0; i < n * s->rows; i++)
        *loss += (double)s->product[i] * (double)s->product[i];
    return PTQ_OK;
}

static ptq_status candidate_loss(const struct search *s, double *loss)
{
    const int64_t k = s->matrices->k;
    *loss = 0;
    for (int64_t i = 0; i < s->matrices->count; i++) {
        const float *w = s->matrices->w[i];
        const int64_t n = s->matrices->n[i];
        double part;
        for (int64_t row = 0; row < n; row++)
            for (int64_t c = 0; c < k; c++)
                s->scaled[row * k + c] = w[row * k + c] * s->scale[c];
        ptqi_rtn_dequantize(s->config, s->scaled, n, k, group_size(s->config, k), s->difference);
        for (int64_t row = 0; row < n; row++)
            for (int64_t c = 0; c < k; c++) {
                float *d = &s->difference[row * k + c];
                *d = w[row * k + c] - *d / s->scale[c];
            }
        PTQI_TRY(output_loss(s, n, &part));
        *loss += part;
    }
    return ptqi_check_cancelled(s->config->context);
}

static ptq_status run_search(const struct search *s, struct ptq_equalization *e)
{
    e->candidate = -1;
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

ptq_status ptqi_equalize_awq(const struct ptq_config *config, const struct ptqi_matrices *matrices,
                             const struct ptq_stats *stats, const struct ptqi_ranges *ranges,
                             struct ptq_equalization *e)
{
    ptq_context *context = config->context;
    struct search s = {.config = config, .matrices = matrices, .x_mean = ranges->mean_abs};
    int64_t k = matrices->k, most = 0;
    /* all rows that were seen, each as it was, and fewer than channels; or no Hessian */
    int whole = stats->stride && stats->sampled == stats->rows &&
                stats->total_weight == (double)stats->rows;
    if (!stats->hessian || (whole && stats->rows < k)) {
        s.x = stats->sample;
        s.rows = stats->sampled;
    }
    for (int64_t i = 0; i < matrices->count; i++)
        most = matrices->n[i] > most ? matrices->n[i] : most;
    float **buffers[] = {&s.w_mean, &s.scale, &s.hessian, &s.scaled, &s.difference, &s.product};
    int64_t counts[] = {k, k, k * k, most * k, most * k, most * PTQI_ENERGY_BLOCK};
    ptq_status status = PTQ_OK;
    if (s.x) {
        counts[2] = 0;
        counts[5] = most * s.rows;
    }
    for (int i = 0; i < 6 && !status; i++)
        if (counts[i] && !(*buffers[i] = ptqi_alloc(context, counts[i], (int64_t)sizeof(float))))
            status = PTQ_ERROR_MEMORY;
    if (!status && !s.x)
        status = ptq_stats_hessian(stats, s.hessian);
    if (!status && config->duo) {
        measure_weights(&s);
        status = ptqi_tie(context, ranges, 1, s.w_mean);
    }
    if (!status)
        status = run_search(&s, e);
    for (int i = 0; i < 6; i++)
        ptqi_free(context, *buffers[i]);
    return status;
}

struct clip {
    const struct ptq_config *config;
    int64_t n, k, rows;
    float *w;
    float *sample;  /* [rows][k], rows of the equalized input; or NULL: by the Hessian */
    float *hessian; /* [k][k] of the equalized input */
    float *gram;    /* [group][group] */
    float *group, *clamped, *rounded, *product; /* [n][group] */
    float *best;                                /* [n], the smallest error so far */
    float *limit, *chosen;                      /* [n] */
};

/* gram = X_g^T X_g for the columns first .. first + width of the equalized input. */
static ptq_status group_gram(const struct clip *c, int64_t first, int64_t width)
{
    if (c->hessian) { /* without a sample: all rows, by the Hessian */
        for (int64_t i = 0; i < width; i++)
            for (int64_t j = 0; j < width; j++)
                c->gram[i * width + j] = c->hessian[(first + i) * c->k + first + j];
        return PTQ_OK;
    }
    struct ptqi_matrix a = {c->sample + first, 1, c->k}, b = {c->sample + first, c->k, 1};
    return ptqi_matmul(c->config->context, width, width, c->rows, a, b, c->gram, width, 0);
}

/* The errors of all rows of W with the group clamped to shrink times its range. */
static ptq_status try_range(const struct clip *c, int64_t width, double shrink)
{
    for (int64_t n = 0; n < c->n; n++) {
        float limit = (float)(shrink * (double)c->limit[n]);
        for (int64_t i = n * width; i < (n + 1) * width; i++) {
            float w = c->group[i] < -limit ? -limit : c->group[i];
            c->clamped[i] = w > limit ? limit : w;
        }
    }
    ptqi_rtn_dequantize(c->config, c->clamped, c->n, width, width, c->rounded);
    for (int64_t i = 0; i < c->n * width; i++)
        c->rounded[i] = c->group[i] - c->rounded[i];
    struct ptqi_matrix d = {c->rounded, width, 1}, g = {c->gram, width, 1};
    PTQI_TRY(ptqi_matmul(c->config->context, c->n, width, width, d, g, c->product, width, 0));
    for (int64_t n = 0; n < c->n; n++) {
        double error = 0;
        for (int64_t i = n * width; i < (n + 1) * width; i++)
            error += (double)c->rounded[i] * (double)c->product[i];
        if (shrink < 1.0 && !((float)error < c->best[n]))
            continue;
        c->best[n] = (float)error;
        c->chosen[n] = (float)(shrink * (double)c->limit[n]);
    }
    return PTQ_OK;
}

static ptq_status clip_group(const struct clip *c, int64_t first, int64_t width)
{
    PTQI_TRY(group_gram(c, first, width));
    for (int64_t n = 0; n < c->n; n++) {
        const float *w = c->w + n * c->k + first;
        c->limit[n] = 0;
        for (int64_t i = 0; i < width; i++) {
            c->group[n * width + i] = w[i];
            c->limit[n] = fabsf(w[i]) > c->limit[n] ? fabsf(w[i]) : c->limit[n];
        }
    }
    for (int i = 0; i < CLIP_RANGES; i++)
        PTQI_TRY(try_range(c, width, 1.0 - (double)i / CLIP_STEPS));
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t i = 0; i < width; i++) {
            float *w = &c->w[n * c->k + first + i], limit = c->chosen[n];
            *w = *w < -limit ? -limit : *w > limit ? limit : *w;
        }
    return ptqi_check_cancelled(c->config->context);
}

/* The rows of the sample, or the Hessian, of the equalized input. */
static ptq_status load_input(struct clip *c, const struct ptq_stats *stats,
                             const struct ptq_equalization *e)
{
    c->rows = stats->sampled;
    if (!stats->sampled) {
        c->hessian = ptqi_alloc(c->config->context, c->k * c->k, (int64_t)sizeof *c->hessian);
        if (!c->hessian)
            return PTQ_ERROR_MEMORY;
        PTQI_TRY(ptq_stats_hessian(stats, c->hessian));
        return ptqi_equalize_square(e, c->hessian, 1);
    }
    c->sample = ptqi_alloc(c->config->context, c->rows * c->k, (int64_t)sizeof *c->sample);
    if (!c->sample)
        return PTQ_ERROR_MEMORY;
    memcpy(c->sample, stats->sample, (size_t)(c->rows * c->k) * sizeof *c->sample);
    ptqi_equalize_rows(e, c->sample, c->rows);
    return PTQ_OK;
}

ptq_status ptqi_clip_awq(const struct ptq_config *config, const struct ptq_stats *stats,
                         const struct ptq_equalization *e, int64_t n, int64_t k, float *w)
{
    ptq_context *context = config->context;
    struct clip c = {.config = config, .n = n, .k = k, .w = w};
    const int64_t group = group_size(config, k);
    float **buffers[] = {&c.gram,    &c.group, &c.clamped, &c.rounded,
                         &c.product, &c.best,  &c.limit,   &c.chosen};
    const int64_t sizes[] = {group * group, n * group, n * group, n * group, n * group, n, n, n};
    ptq_status status = load_input(&c, stats, e);
    for (int i = 0; i < 8 && !status; i++)
        if (!(*buffers[i] = ptqi_alloc(context, sizes[i], (int64_t)sizeof(float))))
            status = PTQ_ERROR_MEMORY;
    for (int64_t first = 0; first < k && !status; first += group)
        status = clip_group(&c, first, first + group < k ? group : k - first);
    for (int i = 0; i < 8; i++)
        ptqi_free(context, *buffers[i]);
    ptqi_free(context, c.sample);
    ptqi_free(context, c.hessian);
    return status;
}
