#include "calibrate/quantize_run.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/hash.h"
#include "checkpoint/identity.h"
#include "checkpoint/output.h"
#include "checkpoint/settings.h"
#include "convert/target.h"
#include "calibrate/equalize_block.h"
#include "model/weights.h"

static const char *const token_weights_names[] = {"uniform", "attention", "attention-heads"};

int token_weights_from_name(const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, token_weights_names[i]))
            return i;
    return -1;
}

int quantize_needs_calibration(const ptq_config *config)
{
    int64_t rounding = 0, clip = 0;
    ptq_config_get_int(config, PTQ_PARAM_ROUNDING, &rounding);
    ptq_config_get_int(config, PTQ_PARAM_CLIP, &clip);
    return rounding != PTQ_ROUNDING_RTN || clip || equalize_is_needed(config);
}

ptq_status quantize_load_calibration(const struct model *m,
                                     const struct calibration_request *request,
                                     struct windows *windows)
{
    const int64_t longest = m->config.max_positions;
    const int64_t length = request->seqlen < longest ? request->seqlen : longest;
    if (!strcmp(request->text, "random"))
        return windows_random(m->context, m->config.vocabulary, length, request->samples,
                              (uint64_t)request->seed, windows);
    return windows_load(m->context, m->checkpoint->path, request->text, length, 0, request->samples,
                        windows);
}

ptq_status quantize_check_plain(const struct model *m)
{
    return m->config.quantized ? ptqi_fail(m->context, PTQ_ERROR_CONFLICT, "%s: quantized already",
                                           m->checkpoint->path)
                               : PTQ_OK;
}

ptq_status quantize_check_model(const struct model *m, struct progress *progress)
{
    PTQI_TRY(quantize_check_plain(m));
    for (int64_t l = 0; l < m->config.layers; l++) {
        struct block *block;
        int quantized;
        PTQI_TRY(model_load_block(m, NULL, l, ACTIVATIONS_OWN, &block, &quantized));
        block_free(block);
        PTQI_TRY(ptqi_check_cancelled(m->context));
        progress_show(progress, 0, "checking block %lld", (long long)l + 1);
    }
    return PTQ_OK;
}

void quantize_add_settings(const struct quantize_run *q, struct ptqi_json_writer *w)
{
    settings_add(w, q->config);
    ptqi_json_add_bool(w, "fold", q->fold != FOLD_NEVER);
    ptqi_json_add_text(w, "token_weights", token_weights_names[q->token_weights]);
    ptqi_json_add_integer(w, "calibration_windows", q->windows ? q->windows->count : 0);
    ptqi_json_add_integer(w, "calibration_window", q->windows ? q->windows->length : 0);
}

/* Describes what must be unchanged for a run to be resumed: everything that the result depends on,
 * including the versions of the library and of its algorithms. */
static ptq_status describe_run(const struct quantize_run *q, struct ptqi_json_writer *w)
{
    char text[32];
    uint64_t ids = PTQI_HASH_START;
    workdir_begin_description(w, q->context);
    ptqi_json_add_integer(w, "version", ptq_version());
    ptqi_json_add_integer(w, OUTPUT_ALGORITHM_KEY, ptq_algorithm_version());
    ptqi_json_open(w, "settings", '{');
    quantize_add_settings(q, w);
    if (q->format > PTQ_FORMAT_PTQ)
        ptqi_json_add_text(w, "format", ptq_format_name(q->format));
    if (q->type) {
        ptqi_json_add_text(w, "gguf_type", q->type);
        ptqi_json_add_text(w, "embedding", q->tokens.embedding ? q->tokens.embedding : "");
        ptqi_json_add_text(w, "head", q->tokens.head ? q->tokens.head : "");
    }
    ptqi_json_close(w, '}');
    if (q->windows)
        ids = ptqi_hash_fast(ids, q->windows->ids, q->windows->tokens * 4);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)ids);
    ptqi_json_add_text(w, "calibration", text);
    PTQI_TRY(identity_add(q->model->checkpoint, w));
    ptqi_json_close(w, '}');
    return ptqi_json_finish(w);
}

/* Writes the model's config.json, with the quantization_config added. */
static ptq_status describe_model(const struct quantize_run *q, struct ptqi_json_writer *w)
{
    ptqi_json_begin(w, q->context);
    ptqi_json_open(w, NULL, '{');
    for (const struct ptqi_json *m = q->model->checkpoint->config->first; m; m = m->next)
        if (strcmp(m->name, "quantization_config")) /* has no effect, if present */
            ptqi_json_add_value(w, m->name, m);
    ptqi_json_open(w, "quantization_config", '{');
    ptqi_json_add_text(w, "quant_method", "ptq");
    ptqi_json_add_integer(w, "version", 1);
    ptqi_json_add_integer(w, OUTPUT_ALGORITHM_KEY, ptq_algorithm_version());
    quantize_add_settings(q, w);
    ptqi_json_close(w, '}');
    ptqi_json_close(w, '}');
    return ptqi_json_finish(w);
}

/* Stores in a block's file what the report of a resumed run needs: how each matrix was equalized,
 * with which candidate, and on how many tokens of its expert and others it was calibrated. */
static ptq_status note_choices(const struct quantize_run *q, ptq_store *part,
                               const struct matrix_report *reports, int count)
{
    enum { LONGEST = 64 };
    char *text = ptqi_alloc_zero(q->context, count, LONGEST);
    size_t used = 0;
    if (!text)
        return PTQ_ERROR_MEMORY;
    for (int i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, LONGEST, "%d %d %lld %lld ", reports[i].equalized,
                                 reports[i].candidate, (long long)reports[i].tokens,
                                 (long long)reports[i].added);
    ptq_status status = ptq_store_set_metadata(part, OUTPUT_RUN_KEY, text);
    ptqi_free(q->context, text);
    return status;
}

static void recall_choices(const ptq_store *part, struct matrix_report *reports, int count)
{
    const char *text = ptq_store_metadata(part, OUTPUT_RUN_KEY);
    for (int i = 0, length; text && i < count; i++, text += length)
        if (sscanf(text, "%d %d %" SCNd64 " %" SCNd64 " %n", &reports[i].equalized,
                   &reports[i].candidate, &reports[i].tokens, &reports[i].added, &length) != 4)
            return;
}

/* A matrix that stays in full precision, as the model has it: [N][K] or [K][N]. */
static ptq_status add_kept(const struct quantize_run *q, const struct matrix *m, struct part *part)
{
    char name[MAX_LAYER_NAME + 8];
    snprintf(name, sizeof name, "%s.weight", m->name);
    if (!q->model->transposed)
        return part_add(q->output, part, name, PTQ_DTYPE_F16, m->weight, m->n, m->k);
    float *turned = ptqi_alloc(q->context, m->n * m->k, (int64_t)sizeof *turned);
    if (!turned)
        return PTQ_ERROR_MEMORY;
    weights_transpose(m->weight, m->n, m->k, turned);
    const ptq_status status = part_add(q->output, part, name, PTQ_DTYPE_F16, turned, m->k, m->n);
    ptqi_free(q->context, turned);
    return status;
}

/* Adds what is not quantized in a block in its current state, after folding: norms, biases and the
 * router, each in its own dtype, and matrices that are kept. */
static ptq_status add_unquantized(const struct quantize_run *q, const struct block *b,
                                  struct part *part)
{
    char name[MAX_LAYER_NAME + 8];
    for (int i = 0; i < 2 * NORMS; i++) {
        const struct vector *v = i % 2 ? &b->norms[i / 2].bias : &b->norms[i / 2].weight;
        if (model_norm_name(q->model, b->index, i / 2, i % 2, name))
            PTQI_TRY(part_add(q->output, part, name, v->dtype, v->values, v->length, 0));
    }
    for (int i = 0; i < b->count; i++) {
        const struct vector *v = &b->matrices[i].bias;
        snprintf(name, sizeof name, "%s.bias", b->matrices[i].name);
        if (v->values)
            PTQI_TRY(part_add(q->output, part, name, v->dtype, v->values, v->length, 0));
        if (b->matrices[i].weight)
            PTQI_TRY(add_kept(q, &b->matrices[i], part));
    }
    if (!model_router_name(q->model, b->index, name))
        return PTQ_OK;
    return part_add(q->output, part, name, b->router.dtype, b->router.values, b->experts,
                    q->model->config.hidden);
}

static ptq_status finish_block(struct quantize_run *q, struct block *block, struct part *part)
{
    PTQI_TRY(calibrate_block(q->calibration, block, part->store, q->reports + q->report_count));
    PTQI_TRY(note_choices(q, part->store, q->reports + q->report_count, block->count));
    q->report_count += block->count;
    PTQI_TRY(add_unquantized(q, block, part));
    return ptq_store_commit(part->store);
}

static ptq_status quantize_block(struct quantize_run *q, int64_t index)
{
    struct block *block;
    struct part part;
    int quantized;
    PTQI_TRY(model_load_block(q->model, NULL, index, ACTIVATIONS_OWN, &block, &quantized));
    ptq_status status = part_create(q->output, index, &part);
    if (!status)
        status = finish_block(q, block, &part);
    if (!status)
        q->output->finished = index + 1;
    part_free(q->output, &part);
    block_free(block);
    return status;
}

/* Reads the reports of the quantized matrices of a block from store. */
static ptq_status read_reports(struct quantize_run *q, const ptq_store *store, int64_t index)
{
    struct matrix matrix;
    for (int i = 0; model_describe_matrix(q->model, index, i, &matrix); i++) {
        struct matrix_report *report = &q->reports[q->report_count++];
        ptq_qtensor *read;
        if (q->configs && !q->configs->of(q->configs, index, &matrix)) {
            calibrate_report_kept(&matrix, report);
            continue;
        }
        PTQI_TRY(ptq_qtensor_read(q->context, PTQ_FORMAT_PTQ, store, matrix.name, &read));
        calibrate_report(&matrix, read, NULL, 0, report);
        ptq_qtensor_free(read);
    }
    return PTQ_OK;
}

/* Resumes a block that an earlier run finished: reads its report and passes the windows through it.
 */
static ptq_status resume_block(struct quantize_run *q, int64_t index)
{
    ptq_store *part;
    struct block *block = NULL;
    int quantized;
    ptq_status status = output_open_part(q->output, index, &part);
    if (!status)
        status =
            model_load_block(q->model, part, index, ACTIVATIONS_CALIBRATION, &block, &quantized);
    if (!status)
        status = read_reports(q, part, index);
    if (!status)
        recall_choices(part, q->reports + q->report_count - block->count, block->count);
    if (!status)
        status = calibrate_pass(q->calibration, block);
    block_free(block);
    ptq_store_free(part);
    if (status == PTQ_ERROR_FORMAT || status == PTQ_ERROR_SHAPE || status == PTQ_ERROR_UNKNOWN) {
        q->damaged = 1;
        return ptqi_fail_at(q->context, status, "remove this file, and --resume will recreate it");
    }
    progress_show(q->progress, (double)index / (double)q->model->config.layers,
                  "block %lld was finished before", (long long)index + 1);
    return status;
}

static ptq_status make_reports(struct quantize_run *q)
{
    int64_t count = 0;
    for (int64_t l = 0; l < q->model->config.layers; l++)
        count += model_matrix_count(q->model, l);
    q->reports = ptqi_alloc(q->context, count, (int64_t)sizeof *q->reports);
    return q->reports ? PTQ_OK : PTQ_ERROR_MEMORY;
}

ptq_status quantize_recall(struct quantize_run *q, const struct model *made)
{
    PTQI_TRY(make_reports(q));
    for (int64_t l = 0; l < q->model->config.layers; l++)
        PTQI_TRY(read_reports(q, made->checkpoint->store, l));
    q->bytes = output_bytes(made->checkpoint);
    return PTQ_OK;
}

ptq_status quantize_check_same(const struct quantize_run *q)
{
    struct ptqi_json_writer text;
    ptq_status status = describe_run(q, &text);
    if (!status)
        status = workdir_check_same(q->context, q->path, text.text);
    ptqi_json_end(&text);
    return status;
}

static ptq_status quantize_blocks(struct quantize_run *q)
{
    int64_t layers = q->model->config.layers;
    PTQI_TRY(make_reports(q));
    PTQI_TRY(calibration_create(q->model, q->windows, q->config, q->fold, q->token_weights,
                                q->progress, &q->calibration));
    q->calibration->configs = q->configs;
    q->resumed = q->output->finished;
    for (int64_t l = 0; l < layers; l++)
        PTQI_TRY(l < q->resumed ? resume_block(q, l) : quantize_block(q, l));
    return PTQ_OK;
}

/* Examines the finished blocks, or with rewrite set converts them. */
static ptq_status convert_blocks(struct quantize_run *q, struct target *t, int rewrite)
{
    for (int64_t b = 0; b < q->model->config.layers; b++) {
        ptq_store *from;
        PTQI_TRY(output_open_part(q->output, b, &from));
        const ptq_status status =
            rewrite ? target_convert_block(t, from, b, q->output) : target_examine(t, from, b);
        ptq_store_free(from);
        PTQI_TRY(status);
    }
    return PTQ_OK;
}

static ptq_status finish_foreign(struct quantize_run *q)
{
    struct target target = {.model = q->model, .format = q->format, .tokens = q->tokens};
    target_begin(&target, q->output);
    ptq_status status = convert_blocks(q, &target, 0);
    if (!status)
        status = target_describe(&target);
    if (!status)
        status = convert_blocks(q, &target, 1);
    if (!status)
        status = target_finish(&target, q->output, q->keep_run, &q->bytes);
    target_free(&target);
    return status;
}

static ptq_status finish(struct quantize_run *q)
{
    struct ptqi_json_writer config;
    q->output->shard_size = q->shard_size;
    if (q->format > PTQ_FORMAT_PTQ)
        return finish_foreign(q);
    ptq_status status = describe_model(q, &config);
    if (!status)
        status = output_finish(q->output, config.text, q->keep_run, &q->bytes);
    ptqi_json_end(&config);
    return status;
}

ptq_status quantize_model(struct quantize_run *q)
{
    struct ptqi_json_writer text;
    ptq_status status = describe_run(q, &text);
    if (!status)
        status = output_begin(q->model->checkpoint, q->path, text.text, q->resume,
                              q->model->config.layers, &q->output);
    ptqi_json_end(&text);
    PTQI_TRY(status);
    PTQI_TRY(quantize_blocks(q));
    return finish(q);
}

int64_t quantize_free(struct quantize_run *q, int keep)
{
    const int64_t kept = output_free(q->output, keep);
    calibration_free(q->calibration);
    ptqi_free(q->context, q->reports);
    q->output = NULL;
    q->calibration = NULL;
    q->reports = NULL;
    return kept;
}
