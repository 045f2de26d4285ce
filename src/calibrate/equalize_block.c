#include "calibrate/equalize_block.h"
#include <string.h>
#include "base/context.h"
#include "calibrate/configs.h"
#include "calibrate/expert_rows.h"
#include "calibrate/fold.h"
#include "calibrate/slices.h"

int equalize_is_open(const ptq_config *config)
{
    static const struct {
        int32_t parameter;
        int64_t open;
    } choices[] = {{PTQ_PARAM_EQUALIZE, PTQ_AUTO},
                   {PTQ_PARAM_ROTATE, PTQ_AUTO},
                   {PTQ_PARAM_SYMMETRIC, PTQ_AUTO},
                   {PTQ_PARAM_CLIP, PTQ_AUTO}};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        int64_t value = 0;
        ptq_config_get_int(config, choices[i].parameter, &value);
        if (value == choices[i].open)
            return 1;
    }
    return 0;
}

int equalize_is_needed(const ptq_config *config)
{
    int64_t equalize = 0, activations = 0;
    ptq_config_get_int(config, PTQ_PARAM_EQUALIZE, &equalize);
    ptq_config_get_int(config, PTQ_PARAM_ACTIVATIONS, &activations);
    return equalize != PTQ_EQUALIZE_NONE || equalize_is_open(config) ||
           activations == PTQ_ACTIVATIONS_INT8_STATIC || activations == PTQ_ACTIVATIONS_FPTQ;
}

/* Statistics of the four sites, or of those before the experts, for all windows or for some that
 * will be merged into them. */
struct site_stats {
    ptq_context *context;
    ptq_stats *site[SITES];
};

static void free_stats(struct site_stats *s)
{
    for (int i = 0; i < SITES; i++)
        ptq_stats_free(s->site[i]);
    memset(s->site, 0, sizeof s->site);
}

static ptq_status create_stats(const struct calibration *c, const struct block *b,
                               struct site_stats *s)
{
    s->context = c->model->context;
    for (int i = 0; i < b->plain; i++)
        if (!s->site[b->matrices[i].site])
            PTQI_TRY(ptq_stats_create(s->context, b->matrices[i].k,
                                      PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE,
                                      &s->site[b->matrices[i].site]));
    return PTQ_OK;
}

static ptq_status update(const struct calibration *c, struct site_stats *s, enum site site,
                         const float *input)
{
    return ptq_stats_update(s->site[site], input, PTQ_DTYPE_F32, c->windows->length,
                            ptq_stats_k(s->site[site]), NULL);
}

/* Runs one window through the block, on a copy of its residual stream. */
static ptq_status observe_window(struct calibration *c, const struct block *b, int64_t window,
                                 float *x, struct site_stats *s)
{
    const int64_t length = c->windows->length, hidden = c->model->config.hidden;
    struct workspace *w = c->workspace;
    memcpy(x, streams_residual(&c->streams, window), (size_t)(length * hidden) * sizeof *x);
    PTQI_TRY(block_attention_input(c->model, b, x, length, w->normed));
    PTQI_TRY(update(c, s, SITE_ATTENTION, w->normed));
    PTQI_TRY(block_attention(c->model, b, w, w->normed, length, w->q));
    PTQI_TRY(update(c, s, SITE_OUTPUT, w->q));
    if (b->experts)
        return ptqi_check_cancelled(c->model->context);
    PTQI_TRY(block_attention_output(c->model, b, w, w->q, length, x));
    PTQI_TRY(block_mlp_input(c->model, b, x, length, w->normed));
    PTQI_TRY(update(c, s, SITE_MLP, w->normed));
    PTQI_TRY(block_mlp(c->model, b, w, w->normed, length, w->gate));
    PTQI_TRY(update(c, s, SITE_DOWN, w->gate));
    return ptqi_check_cancelled(c->model->context);
}

static ptq_status observe(struct calibration *c, const struct block *b, struct site_stats *all)
{
    struct site_stats piece = {0};
    int64_t count = c->windows->length * c->model->config.hidden;
    float *x = ptqi_alloc(c->model->context, count, (int64_t)sizeof *x);
    ptq_status status = x ? create_stats(c, b, all) : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < c->windows->count && !status; i++) {
        if (!piece.site[0])
            status = create_stats(c, b, &piece);
        if (!status)
            status = observe_window(c, b, i, x, &piece);
        if (status || ((i + 1) % MERGE_WINDOWS && i + 1 < c->windows->count))
            continue;
        for (int site = 0; site < SITES && !status; site++)
            if (piece.site[site])
                status = ptq_stats_merge(all->site[site], piece.site[site]);
        free_stats(&piece);
    }
    free_stats(&piece);
    ptqi_free(c->model->context, x);
    return status;
}

/* The matrices of a site, as tensors: of one expert, or all of them (-1). */
static ptq_status list_weights(const struct block *b, enum site site, int64_t expert,
                               ptq_tensor **weights, int64_t *count)
{
    *count = 0;
    for (int i = 0; i < b->count; i++) {
        const struct matrix *m = &b->matrices[i];
        if (m->site == site && (expert < 0 || m->expert == expert))
            PTQI_TRY(matrix_as_tensor(b->context, m, &weights[(*count)++]));
    }
    return PTQ_OK;
}

/* The channels of a site that must have the same scale; NULL if there are none. */
static ptq_status list_ties(const struct calibration *c, enum site site, int64_t k, int32_t **ties)
{
    *ties = NULL;
    if (!c->fold || site != SITE_OUTPUT)
        return PTQ_OK;
    *ties = ptqi_alloc(c->model->context, k, (int64_t)sizeof **ties);
    if (!*ties)
        return PTQ_ERROR_MEMORY;
    fold_ties(&c->model->config, *ties);
    return PTQ_OK;
}

/* The config of most matrices of a site: that of v may differ from it. */
static const ptq_config *config_of(const struct calibration *c, const struct block *b,
                                   enum site site)
{
    int i = 0;
    while (i + 1 < b->count && (b->matrices[i].site != site || b->matrices[i].role == ROLE_V))
        i++;
    return calibration_config(c, b->index, &b->matrices[i]);
}

/* Equalizes without a scale if that could not be folded. */
static ptq_status equalize(const struct calibration *c, const struct block *b, enum site site,
                           ptq_tensor *const *weights, int64_t count, const ptq_stats *stats,
                           const int32_t *ties, ptq_equalization **e)
{
    ptq_config *config;
    PTQI_TRY(ptq_config_copy(config_of(c, b, site), &config));
    ptq_status status = PTQ_OK;
    if (c->fold == FOLD_ALWAYS && !fold_is_possible(c->model, site))
        status = ptq_config_set_int(config, PTQ_PARAM_EQUALIZE, PTQ_EQUALIZE_NONE);
    if (!status)
        status = ptq_equalize(config, (const ptq_tensor *const *)weights, count, stats, ties, e);
    ptq_config_free(config);
    return status;
}

/* Chooses an equalization for the matrices of a site. */
static ptq_status choose(struct calibration *c, const struct block *b, enum site site,
                         int64_t expert, const ptq_stats *stats, ptq_equalization **e)
{
    int64_t count = 0;
    int32_t *ties = NULL;
    ptq_tensor **weights = ptqi_alloc_zero(b->context, b->count, (int64_t)sizeof *weights);
    ptq_status status = weights ? list_weights(b, site, expert, weights, &count) : PTQ_ERROR_MEMORY;
    if (!status)
        status = list_ties(c, site, ptq_stats_k(stats), &ties);
    if (!status)
        status = equalize(c, b, site, weights, count, stats, ties, e);
    for (int64_t i = 0; i < count; i++)
        ptq_tensor_free(weights[i]);
    ptqi_free(b->context, weights);
    ptqi_free(b->context, ties);
    return status;
}

/* Folds the scale of an equalization, if it can be. */
static ptq_status fold(struct calibration *c, struct block *b, enum site site, int64_t expert,
                       int64_t k, ptq_equalization *e, int *folded)
{
    *folded = 0;
    if (!c->fold || !fold_is_possible(c->model, site) || !ptq_equalization_has_scale(e))
        return PTQ_OK;
    float *scale = ptqi_alloc(b->context, k, (int64_t)sizeof *scale);
    if (!scale)
        return PTQ_ERROR_MEMORY;
    ptq_status status = ptq_equalization_scale(e, scale);
    if (!status)
        status = fold_site(c->model, b, site, expert, scale);
    if (!status && c->reference)
        status = fold_site(c->model, c->reference_block, site, expert, scale);
    ptqi_free(b->context, scale);
    ptq_equalization_set_folded(e);
    *folded = 1;
    return status;
}

static ptq_status equalize_site(struct calibration *c, struct block *b, enum site site,
                                int64_t expert, const ptq_stats *stats, ptq_equalization **e,
                                int *folded)
{
    ptq_equalization_free(*e);
    *e = NULL;
    if (!config_of(c, b, site)) /* the site is not quantized */
        return PTQ_OK;
    PTQI_TRY(choose(c, b, site, expert, stats, e));
    return fold(c, b, site, expert, ptq_stats_k(stats), *e, folded);
}

ptq_status equalize_block(struct calibration *c, struct block *b, ptq_equalization **e, int *folded)
{
    struct site_stats stats = {0};
    ptq_status status = observe(c, b, &stats);
    for (int site = 0; site < SITES && !status; site++)
        if (stats.site[site])
            status = equalize_site(c, b, site, -1, stats.site[site], &e[site], &folded[site]);
    free_stats(&stats);
    return status;
}

/* Observes the selected rows at a site of an expert, and chooses a scale for the matrices of the
 * site: those of this expert, or of all. */
static ptq_status equalize_rows(struct calibration *c, struct block *b, const struct matrix *m,
                                int64_t expert, ptq_equalization **e, int *folded)
{
    struct observation o = {0};
    ptq_status status = observe_site(c, b, m, PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE, &o);
    if (!status)
        status = equalize_site(c, b, m->site, expert, o.stats, e, folded);
    observation_free(&o);
    return status;
}

ptq_status equalize_expert(struct calibration *c, struct block *b, int64_t expert,
                           ptq_equalization **e, int *folded)
{
    const struct matrix *up = block_matrix(b, ROLE_UP, expert);
    const struct matrix *down = block_matrix(b, ROLE_DOWN, expert);
    if (expert == 0) {
        expert_rows_select(c->experts, -1);
        PTQI_TRY(equalize_rows(c, b, up, -1, &e[SITE_MLP], &folded[SITE_MLP]));
        expert_rows_select(c->experts, expert);
    }
    return equalize_rows(c, b, down, expert, &e[SITE_DOWN], &folded[SITE_DOWN]);
}
