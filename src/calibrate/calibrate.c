#include "calibrate/calibrate.h"
#include <math.h>
#include <string.h>
#include "base/context.h"
#include "base/half.h"
#include "calibrate/configs.h"
#include "calibrate/equalize_block.h"
#include "calibrate/expert_rows.h"
#include "calibrate/slices.h"

static int wants_reference(const ptq_config *config)
{
    double gptaq = 0;
    if (config)
        ptq_config_get_float(config, PTQ_PARAM_GPTAQ, &gptaq);
    return gptaq > 0;
}

ptq_status calibration_create(struct model *model, const struct windows *windows,
                              ptq_config *config, int fold, int token_weights,
                              struct progress *progress, struct calibration **out)
{
    const struct model_config *mc = &model->config;
    struct calibration *c = ptqi_alloc_zero(model->context, 1, (int64_t)sizeof *c);
    *out = c;
    if (!c)
        return PTQ_ERROR_MEMORY;
    c->model = model;
    c->windows = windows;
    c->config = config;
    c->fold = fold;
    c->value_stats = token_weights == TOKENS_ATTENTION_HEADS ? mc->kv_heads
                     : token_weights == TOKENS_ATTENTION     ? 1
                                                             : 0;
    c->progress = progress;
    if (!windows)
        return PTQ_OK;
    ptq_status status = workspace_create(model, windows->length, &c->workspace);
    if (!status)
        status = streams_begin(model, windows, &c->streams);
    if (!status && wants_reference(config))
        status =
            calibration_create(model, windows, NULL, 0, TOKENS_UNIFORM, progress, &c->reference);
    if (status) {
        calibration_free(c);
        *out = NULL;
    }
    return status;
}

void calibration_free(struct calibration *c)
{
    if (!c)
        return;
    ptq_context *context = c->model->context;
    calibration_free(c->reference);
    expert_rows_free(c->experts);
    block_free(c->reference_block);
    workspace_free(c->workspace);
    streams_free(&c->streams);
    ptqi_free(context, c);
}

/* Adds the output of the MLP to window i. */
static ptq_status add_mlp(struct calibration *c, const struct block *b, int64_t i)
{
    struct workspace *w = c->workspace;
    float *x = streams_residual(&c->streams, i);
    const float *inner = streams_inner(&c->streams, i);
    int64_t rows = c->streams.length;
    if (b->experts) {
        PTQI_TRY(block_mlp_input(c->model, b, x, rows, w->normed));
        return experts_output(c->model, b, w, w->normed, rows, x);
    }
    if (!inner)
        PTQI_TRY(site_input(c, b, &b->matrices[b->count - 1], NULL, i, &inner, &rows));
    return block_mlp_output(c->model, b, w, inner, rows, x);
}

/* After SITE_DOWN, the residual streams leave the block. */
static ptq_status leave_block(struct calibration *c, const struct block *b)
{
    for (int64_t i = 0; i < c->streams.count; i++) {
        PTQI_TRY(add_mlp(c, b, i));
        PTQI_TRY(ptqi_check_cancelled(c->model->context));
    }
    return PTQ_OK;
}

void calibrate_report(const struct matrix *m, const ptq_qtensor *q, const ptq_equalization *e,
                      int folded, struct matrix_report *r)
{
    memcpy(r->name, m->name, sizeof r->name);
    r->weight_error = ptq_qtensor_weight_error(q);
    r->output_error = ptq_qtensor_output_error(q);
    r->damping = ptq_qtensor_damping(q);
    r->adjusted_groups = ptq_qtensor_adjusted_groups(q);
    r->clamped_groups = ptq_qtensor_clamped_groups(q);
    r->activations = ptq_qtensor_activations(q);
    r->activation_scale = ptq_qtensor_activation_scale(q);
    r->equalized = folded ? 2 : ptq_qtensor_has_input_scale(q);
    r->equalize = ptq_qtensor_equalize(q);
    r->rotation = ptq_qtensor_rotation(q);
    r->symmetric = ptq_qtensor_symmetric(q);
    r->plain_error = ptq_qtensor_plain_error(q);
    r->chosen_error = ptq_qtensor_chosen_error(q);
    r->candidate = e ? ptq_equalization_candidate(e) : -1;
    r->tokens = r->added = 0;
    r->kept = 0;
}

void calibrate_report_kept(const struct matrix *m, struct matrix_report *r)
{
    memset(r, 0, sizeof *r);
    memcpy(r->name, m->name, sizeof r->name);
    r->activations = PTQ_ACTIVATIONS_F32;
    r->symmetric = 1;
    r->plain_error = r->chosen_error = NAN;
    r->candidate = -1;
    r->kept = 1;
}

/* Replaces a matrix with its quantized version. */
static ptq_status replace(struct calibration *c, struct matrix *m, ptq_qtensor *q, ptq_store *part)
{
    PTQI_TRY(ptq_qtensor_write(q, PTQ_FORMAT_PTQ, part, m->name));
    PTQI_TRY(model_set_activations(q, PTQ_FORMAT_PTQ, ACTIVATIONS_CALIBRATION));
    PTQI_TRY(ptq_linear_create(c->model->context, q, &m->linear));
    if (m->bias.values)
        PTQI_TRY(ptq_linear_set_bias(m->linear, m->bias.values));
    ptqi_free(c->model->context, m->weight);
    m->weight = NULL;
    return PTQ_OK;
}

/* A mask of the matrices not to clip: AWQ does not clip q and k, which determine the attention
 * scores. */
static int64_t unclipped(const struct slices *s, const struct matrix *matrices)
{
    int64_t mask = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const enum role role = matrices[s->matrix[i]].role;
        if (role == ROLE_Q || role == ROLE_K || role == ROLE_QKV)
            mask |= (int64_t)1 << i;
    }
    return mask;
}

/* The slices of a site from first to end, whose matrices have the same config. */
static ptq_status quantize_some(ptq_config *config, const struct slices *s, int64_t first,
                                int64_t end, int64_t mask, const ptq_stats *stats,
                                const ptq_equalization *e)
{
    const ptq_tensor *const *weights = (const ptq_tensor *const *)s->weights + first;
    PTQI_TRY(ptq_config_set_int(config, PTQ_PARAM_CLIP_EXCEPT, mask >> first));
    return e ? ptq_quantize_equalized(config, e, weights, end - first, stats, s->own + first,
                                      s->q + first)
             : ptq_quantize(config, weights, end - first, stats, s->own + first, s->q + first);
}

static ptq_status quantize_slices(struct calibration *c, int64_t block, const struct slices *s,
                                  const struct matrix *matrices, const ptq_stats *stats,
                                  const ptq_equalization *e)
{
    const int64_t mask = unclipped(s, matrices);
    for (int64_t first = 0, end; first < s->count; first = end) {
        ptq_config *config = calibration_config(c, block, &matrices[s->matrix[first]]);
        for (end = first + 1; end < s->count; end++)
            if (calibration_config(c, block, &matrices[s->matrix[end]]) != config)
                break;
        PTQI_TRY(quantize_some(config, s, first, end, mask, stats, e));
    }
    return PTQ_OK;
}

/* Quantizes the count matrices of a site, which are adjacent; o and e may be NULL. */
static ptq_status quantize_site(struct calibration *c, int64_t block, struct matrix *matrices,
                                int count, const struct observation *o, const ptq_equalization *e,
                                int folded, ptq_store *part, struct matrix_report *reports)
{
    struct slices s;
    ptq_status status = slices_make(c->model, matrices, count, o, &s);
    if (!status)
        status = quantize_slices(c, block, &s, matrices, o ? o->stats : NULL, e);
    for (int i = 0; i < count && !status; i++) {
        ptq_qtensor *q;
        status = slices_join(&s, i, &q);
        if (status)
            break;
        calibrate_report(&matrices[i], q, e, folded, &reports[i]);
        status = replace(c, &matrices[i], q, part);
        ptq_qtensor_free(q);
    }
    slices_free(&s);
    return status;
}

/* Leaves the matrices of a site as they are, except that their values are rounded to f16. */
static ptq_status keep_site(const struct calibration *c, struct matrix *matrices, int count,
                            struct matrix_report *reports)
{
    for (int i = 0; i < count; i++) {
        struct matrix *m = &matrices[i];
        for (int64_t j = 0; j < m->n * m->k; j++) {
            m->weight[j] = ptqi_round_to(m->weight[j], PTQ_DTYPE_F16);
            if (m->weight[j] - m->weight[j] != 0)
                return ptqi_fail(c->model->context, PTQ_ERROR_UNSUPPORTED,
                                 "%s: has a weight that is too large for F16", m->name);
        }
        calibrate_report_kept(m, &reports[i]);
    }
    return PTQ_OK;
}

/* Whether equalizations are chosen before anything is rounded. auto settings are chosen site by
 * site, except for a scale that must be folded first. */
static int equalizes_first(const struct calibration *c)
{
    return c->windows && (c->fold || !equalize_is_open(c->config)) && equalize_is_needed(c->config);
}

/* Observes a site and quantizes its count matrices. */
static ptq_status calibrate_site(struct calibration *c, struct block *b, struct matrix *m,
                                 int count, ptq_equalization **e, int *folded, ptq_store *part,
                                 struct matrix_report *reports)
{
    const int keeps = !calibration_config(c, b->index, m);
    const int32_t flags =
        keeps ? PTQ_STATS_RANGES
              : PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | (c->reference ? PTQ_STATS_MISMATCH : 0);
    struct observation o = {0};
    if (c->windows)
        PTQI_TRY(experts_enter(c, b, m));
    if (equalizes_first(c) && m->expert >= 0 && m->site == SITE_MLP)
        PTQI_TRY(equalize_expert(c, b, m->expert, e, folded));
    ptq_status status = c->windows ? observe_site(c, b, m, flags, &o) : PTQ_OK;
    if (!status && keeps)
        status = keep_site(c, m, count, reports);
    else if (!status)
        status = quantize_site(c, b->index, m, count, c->windows ? &o : NULL, e[m->site],
                               folded[m->site], part, reports);
    observation_free(&o);
    for (int i = 0; i < count && c->windows && m->expert >= 0 && !keeps; i++) {
        reports[i].tokens = c->experts->used;
        reports[i].added = c->experts->count - c->experts->used;
    }
    return status;
}

static ptq_status calibrate_sites(struct calibration *c, struct block *b, ptq_equalization **e,
                                  int *folded, ptq_store *part, struct matrix_report *reports)
{
    const double layers = (double)c->model->config.layers;
    for (int first = 0, count; first < b->count; first += count) {
        struct matrix *m = &b->matrices[first];
        count = block_site_count(b, first);
        PTQI_TRY(calibrate_site(c, b, m, count, e, folded, part, reports + first));
        progress_show(c->progress, ((double)b->index + (double)(first + count) / b->count) / layers,
                      "block %lld of %.0f, %s, output error %.2e", (long long)b->index + 1, layers,
                      strrchr(m[count - 1].name, '.') + 1, reports[first + count - 1].output_error);
    }
    return c->windows ? leave_block(c, b) : PTQ_OK;
}

/* Loads the unquantized block, if it is needed. */
static ptq_status load_reference(struct calibration *c, int64_t index)
{
    int quantized;
    if (!c->reference)
        return PTQ_OK;
    block_free(c->reference_block);
    return model_load_block(c->model, NULL, index, ACTIVATIONS_OWN, &c->reference_block,
                            &quantized);
}

ptq_status calibrate_block(struct calibration *c, struct block *b, ptq_store *part,
                           struct matrix_report *reports)
{
    ptq_equalization *e[SITES] = {0};
    int folded[SITES] = {0};
    ptq_status status = load_reference(c, b->index);
    if (!status && equalizes_first(c))
        status = equalize_block(c, b, e, folded);
    if (!status)
        status = calibrate_sites(c, b, e, folded, part, reports);
    if (!status && c->reference)
        status = leave_block(c->reference, c->reference_block);
    for (int i = 0; i < SITES; i++)
        ptq_equalization_free(e[i]);
    return status;
}

ptq_status calibrate_ranges(struct calibration *c, const struct block *b, double absmax[SITES])
{
    ptq_context *context = c->model->context;
    memset(absmax, 0, SITES * sizeof *absmax);
    for (int first = 0; first < b->count; first += block_site_count(b, first)) {
        const struct matrix *m = &b->matrices[first];
        struct observation o = {0};
        PTQI_TRY(experts_enter(c, b, m));
        float *ranges = ptqi_alloc(context, m->k, (int64_t)sizeof *ranges);
        ptq_status status = ranges ? observe_site(c, b, m, PTQ_STATS_RANGES, &o) : PTQ_ERROR_MEMORY;
        if (!status)
            status = ptq_stats_absmax(o.stats, ranges);
        for (int64_t i = 0; !status && i < m->k; i++)
            absmax[m->site] = fmax(absmax[m->site], (double)ranges[i]);
        observation_free(&o);
        ptqi_free(context, ranges);
        if (status)
            return status;
    }
    return leave_block(c, b);
}

ptq_status calibrate_pass(struct calibration *c, const struct block *b)
{
    for (int64_t i = 0; i < c->streams.count; i++) {
        PTQI_TRY(block_forward(c->model, b, c->workspace, streams_residual(&c->streams, i),
                               c->streams.length));
        PTQI_TRY(ptqi_check_cancelled(c->model->context));
    }
    PTQI_TRY(load_reference(c, b->index));
    return c->reference ? calibrate_pass(c->reference, c->reference_block) : PTQ_OK;
}
