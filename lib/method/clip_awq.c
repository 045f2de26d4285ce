/*
 * AWQ's clip search: Lin et al., arXiv 2306.00978; the reference code is mit-han-lab/llm-awq
 * auto_clip.py.
 *
 * Each group is clipped to the range with the smallest error of the group's own output. There are
 * 10 candidates, each 5 percent of the full range smaller than the one before. The error is the sum
 * over sampled rows of (x_g (w - w'))^2 = d G d^T, with d = w - w' and G = X_g^T X_g of the sample.
 * Without a sample, G is a block of the Hessian. Everything is in the equalized basis.
 */
#include <math.h>
#include <string.h>
#include "linalg/matmul.h"
#include "method.h"
#include "stats.h"

#define STEPS 20  /* each shrinks by 1 / STEPS */
#define RANGES 10 /* down to half of the range */

struct clip {
    const struct ptq_config *config;
    int64_t n, k, rows;
    float *w;       /* [n][k] */
    float *sample;  /* [rows][k], rows of the equalized input, or NULL */
    float *hessian; /* [k][k] of the equalized input, if there is no sample */
    /* Of the current group: */
    float *gram;                                /* [group][group], G */
    float *group, *clamped, *rounded, *product; /* [n][group] */
    float *best;                                /* [n], the smallest error so far */
    float *limit, *chosen;                      /* [n], max |w|, and the best range */
};

static float clamp(float w, float limit)
{
    return w < -limit ? -limit : w > limit ? limit : w;
}

/* gram = G for the columns first .. first + width. */
static ptq_status compute_gram(const struct clip *c, int64_t first, int64_t width)
{
    if (c->hessian) {
        for (int64_t i = 0; i < width; i++)
            memcpy(c->gram + i * width, c->hessian + (first + i) * c->k + first,
                   (size_t)width * sizeof *c->gram);
        return PTQ_OK;
    }
    struct ptqi_matrix a = {c->sample + first, 1, c->k}, b = {c->sample + first, c->k, 1};
    return ptqi_matmul_as(ptqi_config_crew(c->config), width, width, c->rows, a, b, c->gram, width,
                          0);
}

/* Loads the columns first .. first + width of w into group, and their max |w| into limit. */
static void load_group(const struct clip *c, int64_t first, int64_t width)
{
    for (int64_t n = 0; n < c->n; n++) {
        const float *w = c->w + n * c->k + first;
        float max = 0;
        for (int64_t i = 0; i < width; i++) {
            c->group[n * width + i] = w[i];
            max = fabsf(w[i]) > max ? fabsf(w[i]) : max;
        }
        c->limit[n] = max;
    }
}

/* rounded = d and product = d G, with the group clamped to shrink times its range. */
static ptq_status round_clamped(const struct clip *c, int64_t width, double shrink)
{
    for (int64_t n = 0; n < c->n; n++) {
        const float limit = (float)(shrink * (double)c->limit[n]);
        for (int64_t i = n * width; i < (n + 1) * width; i++)
            c->clamped[i] = clamp(c->group[i], limit);
    }
    PTQI_TRY(ptqi_rtn_dequantize(c->config, c->clamped, c->n, width, width, c->rounded));
    for (int64_t i = 0; i < c->n * width; i++)
        c->rounded[i] = c->group[i] - c->rounded[i];
    const struct ptqi_matrix d = {c->rounded, width, 1}, g = {c->gram, width, 1};
    return ptqi_matmul_as(ptqi_config_crew(c->config), c->n, width, width, d, g, c->product, width,
                          0);
}

/* Keeps shrink times the range for the rows in which it loses less than those before. */
static ptq_status try_range(const struct clip *c, int64_t width, double shrink)
{
    PTQI_TRY(round_clamped(c, width, shrink));
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
    PTQI_TRY(compute_gram(c, first, width));
    load_group(c, first, width);
    for (int i = 0; i < RANGES; i++)
        PTQI_TRY(try_range(c, width, 1.0 - (double)i / STEPS));
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t i = 0; i < width; i++) {
            float *w = &c->w[n * c->k + first + i];
            *w = clamp(*w, c->chosen[n]);
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
        double unit; /* errors are only compared */
        return ptqi_load_hessian(e, stats, c->hessian, &unit);
    }
    c->sample = ptqi_alloc(c->config->context, c->rows * c->k, (int64_t)sizeof *c->sample);
    if (!c->sample)
        return PTQ_ERROR_MEMORY;
    memcpy(c->sample, stats->sample, (size_t)(c->rows * c->k) * sizeof *c->sample);
    ptqi_equalize_rows(e, c->sample, c->rows);
    return PTQ_OK;
}

/* Cuts one buffer for the data of a group. Returns NULL if there is no memory. */
static float *cut_buffer(struct clip *c, int64_t group)
{
    const int64_t square = group * group, matrix = c->n * group;
    float *buffer =
        ptqi_alloc(c->config->context, square + 4 * matrix + 3 * c->n, (int64_t)sizeof *buffer);
    if (!buffer)
        return NULL;
    c->gram = buffer;
    c->group = c->gram + square;
    c->clamped = c->group + matrix;
    c->rounded = c->clamped + matrix;
    c->product = c->rounded + matrix;
    c->best = c->product + matrix;
    c->limit = c->best + c->n;
    c->chosen = c->limit + c->n;
    return buffer;
}

ptq_status ptqi_clip_awq(const struct ptq_config *config, const struct ptq_stats *stats,
                         const struct ptq_equalization *e, int64_t n, int64_t k, float *w)
{
    struct clip c = {.config = config, .n = n, .k = k, .w = w};
    const int64_t group = ptqi_group_size(config, k);
    float *buffer = cut_buffer(&c, group);
    ptq_status status = buffer ? load_input(&c, stats, e) : PTQ_ERROR_MEMORY;
    for (int64_t first = 0; first < k && !status; first += group)
        status = clip_group(&c, first, ptqi_min(group, k - first));
    ptqi_free(config->context, buffer);
    ptqi_free(config->context, c.sample);
    ptqi_free(config->context, c.hessian);
    return status;
}
