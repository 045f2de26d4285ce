/*
 * ptq quantize: a Hugging Face model directory in, a quantized one out.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "base/hash.h"
#include "commands.h"
#include "model/calibrate.h"
#include "model/equalize.h"
#include "model/output.h"
#include "options.h"
#include "report/json_report.h"

static const char usage[] =
    "usage: ptq quantize MODEL -o OUT --method METHOD [--calib TEXT] [options]\n"
    "\n"
    "Quantizes the linear layers of a Hugging Face model directory, block by block, each block's\n"
    "inputs coming from the quantized blocks before it. rtn works without --calib. A run that was\n"
    "killed goes on with --resume.\n";

static const struct option table[] = {
    {"o", "OUT", "the directory to write"},
    {"calib", "TEXT", "calibration text, UTF-8"},
    {"samples", "N", "calibration windows, spread evenly over the text; default 128"},
    {"seqlen", "N", "tokens of a calibration window; default 512"},
    SETTINGS_OPTIONS,
    {"fold", "on|off", "fold equalizations into norms, v_proj and up_proj; default off"},
    {"format", "NAME", "ptq"},
    {"resume", NULL, "go on with a run that was interrupted"},
    COMMON_OPTIONS,
};

struct quantize {
    const struct options *o;
    ptq_context *context;
    ptq_config *config;
    struct model *model;
    struct windows windows;
    int calibrated, fold;
    int64_t samples, seqlen;
    struct output *output;
    struct calibration *calibration;
    struct progress progress;
    struct matrix_report *reports;
    int64_t report_count, resumed;
    int64_t bytes;
    double start;
};

static ptq_context *interrupted;

static void on_signal(int number)
{
    (void)number;
    ptq_cancel(interrupted);
}

/* Names, types, sizes and first bytes of all tensors: enough to tell models apart. */
static uint64_t identify_model(const struct model *m)
{
    uint64_t h = PTQI_HASH_START;
    for (int64_t i = 0; i < ptq_store_count(m->store); i++) {
        const char *name = ptq_store_name(m->store, i);
        int64_t bytes = ptq_store_bytes(m->store, i);
        ptq_tensor *tensor;
        h = ptqi_hash(h, name, (int64_t)strlen(name));
        h = ptqi_hash(h, &bytes, (int64_t)sizeof bytes);
        if (ptq_store_tensor(m->store, name, &tensor) == PTQ_OK)
            h = ptqi_hash(h, ptq_tensor_data(tensor), bytes < 4096 ? bytes : 4096);
        ptq_tensor_free(tensor);
    }
    return h;
}

static void add_settings(const struct quantize *q, struct ptqi_json_writer *w)
{
    report_settings(w, q->config);
    ptqi_json_add_bool(w, "fold", q->fold);
    ptqi_json_add_integer(w, "calibration_windows", q->calibrated ? q->windows.count : 0);
    ptqi_json_add_integer(w, "calibration_window", q->calibrated ? q->windows.length : 0);
}

/* What must be the same for a run to be resumed. */
static ptq_status describe_run(const struct quantize *q, struct ptqi_json_writer *w)
{
    char text[32];
    ptqi_json_begin(w, q->context);
    ptqi_json_open(w, NULL, '{');
    add_settings(q, w);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)identify_model(q->model));
    ptqi_json_add_text(w, "model", text);
    uint64_t ids = ptqi_hash(PTQI_HASH_START, q->windows.ids, q->windows.tokens * 4);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)ids);
    ptqi_json_add_text(w, "calibration", text);
    ptqi_json_close(w, '}');
    return ptqi_json_finish(w);
}

/* config.json of the model with its quantization_config. */
static ptq_status describe_model(const struct quantize *q, struct ptqi_json_writer *w)
{
    struct ptqi_map file;
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *root;
    char *path = ptqi_join_path(q->context, q->model->path, "config.json");
    ptqi_json_begin(w, q->context);
    ptq_status status = path ? ptqi_map_file(q->context, path, &file) : PTQ_ERROR_MEMORY;
    if (!status) {
        status =
            ptqi_json_parse(q->context, (const char *)file.data, file.size, path, &document, &root);
        if (!status) {
            ptqi_json_open(w, NULL, '{');
            for (const struct ptqi_json *m = root->first; m; m = m->next)
                if (strcmp(m->name, "quantization_config")) /* null, where it is there */
                    ptqi_json_add_value(w, m->name, m);
            ptqi_json_open(w, "quantization_config", '{');
            ptqi_json_add_text(w, "quant_method", "ptq");
            ptqi_json_add_integer(w, "version", 1);
            add_settings(q, w);
            ptqi_json_close(w, '}');
            ptqi_json_close(w, '}');
            status = ptqi_json_finish(w);
        }
        ptqi_json_free(document);
        ptqi_unmap_file(&file);
    }
    ptqi_free(q->context, path);
    return status;
}

/* All of the model is looked at before the work begins: a missing tensor or a NaN in the last block
 * should not cost the time of all others. */
static ptq_status check_model(struct quantize *q)
{
    if (q->model->config.quantized)
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT, "%s: quantized already", q->model->path);
    for (int64_t l = 0; l < q->model->config.layers; l++) {
        struct block *block;
        int quantized;
        PTQI_TRY(model_load_block(q->model, NULL, l, -1, &block, &quantized));
        block_free(block);
        PTQI_TRY(ptqi_check_cancelled(q->context));
        progress_show(&q->progress, 0, "checking block %lld", (long long)l + 1);
    }
    return PTQ_OK;
}

static ptq_status load_calibration(struct quantize *q)
{
    const char *text = option_text(q->o, "calib");
    int64_t longest = q->model->config.max_positions;
    if (!text)
        return PTQ_OK;
    q->seqlen = q->seqlen < longest ? q->seqlen : longest;
    PTQI_TRY(windows_load(q->context, q->model->path, text, q->seqlen, q->samples, &q->windows));
    q->calibrated = 1;
    if (q->windows.count < q->samples && !option_given(q->o, "json"))
        fprintf(stderr, "ptq: %s gives %lld windows of %lld tokens; all of them are used\n", text,
                (long long)q->windows.count, (long long)q->seqlen);
    return PTQ_OK;
}

static ptq_status finish_block(struct quantize *q, struct block *block, ptq_tensor ***tensors,
                               int64_t *count, ptq_store *part)
{
    PTQI_TRY(calibrate_block(q->calibration, block, part, q->reports + q->report_count));
    q->report_count += block->count;
    PTQI_TRY(output_add_vectors(q->output, q->model, block, tensors, count, part));
    return ptq_store_commit(part);
}

static ptq_status quantize_block(struct quantize *q, int64_t index)
{
    struct block *block;
    ptq_store *part = NULL;
    ptq_tensor **tensors = NULL;
    int64_t count = 0;
    int quantized;
    PTQI_TRY(model_load_block(q->model, NULL, index, -1, &block, &quantized));
    ptq_status status = output_create_part(q->output, q->model, index, &tensors, &count, &part);
    if (!status)
        status = finish_block(q, block, &tensors, &count, part);
    if (!status)
        q->output->finished = index + 1;
    ptq_store_free(part);
    for (int64_t i = 0; i < count; i++)
        ptq_tensor_free(tensors[i]);
    ptqi_free(q->context, tensors);
    block_free(block);
    return status;
}

/* A block that an earlier run finished: its report, and the windows taken through it. */
static ptq_status resume_block(struct quantize *q, int64_t index)
{
    ptq_store *part;
    struct block *block = NULL;
    int quantized;
    PTQI_TRY(output_open_part(q->output, index, &part));
    ptq_status status = model_load_block(q->model, part, index, -1, &block, &quantized);
    for (int i = 0; block && i < block->count && !status; i++) {
        ptq_qtensor *matrix;
        struct matrix_report *r = &q->reports[q->report_count];
        status = ptq_qtensor_read(q->context, part, block->matrices[i].name, &matrix);
        if (status)
            break;
        calibrate_report(&block->matrices[i], matrix, NULL, 0, r);
        q->report_count++;
        ptq_qtensor_free(matrix);
    }
    if (!status)
        status = calibrate_pass(q->calibration, block);
    block_free(block);
    ptq_store_free(part);
    progress_show(&q->progress, (double)index / (double)q->model->config.layers,
                  "block %lld was finished before", (long long)index + 1);
    return status;
}

static ptq_status quantize_blocks(struct quantize *q)
{
    int64_t layers = q->model->config.layers;
    q->reports = ptqi_alloc(q->context, layers * MAX_MATRICES, (int64_t)sizeof *q->reports);
    if (!q->reports)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(calibration_create(q->model, q->calibrated ? &q->windows : NULL, q->config, q->fold,
                                &q->progress, &q->calibration));
    q->resumed = q->output->finished;
    for (int64_t l = 0; l < layers; l++)
        PTQI_TRY(l < q->resumed ? resume_block(q, l) : quantize_block(q, l));
    return PTQ_OK;
}

static ptq_status run(struct quantize *q)
{
    struct ptqi_json_writer text;
    q->start = report_clock();
    progress_begin(&q->progress, 0);
    PTQI_TRY(model_open(q->context, q->o->positional[0], &q->model));
    PTQI_TRY(load_calibration(q));
    PTQI_TRY(check_model(q));
    ptq_status status = describe_run(q, &text);
    if (!status)
        status = output_begin(q->context, option_text(q->o, "o"), text.text,
                              option_given(q->o, "resume"), q->model->config.layers, &q->output);
    ptqi_json_end(&text);
    PTQI_TRY(status);
    PTQI_TRY(quantize_blocks(q));
    status = describe_model(q, &text);
    if (!status)
        status = output_finish(q->output, q->model, text.text, &q->bytes);
    ptqi_json_end(&text);
    return status;
}

static const char *activations_name(int32_t activations)
{
    static const char *const names[] = {"f32", "int8-token", "int8-tensor", "int8-static"};
    return activations >= 0 && activations < 4 ? names[activations] : "?";
}

static ptq_status print_json(const struct quantize *q)
{
    static const char *const equalized[] = {"none", "kept", "folded"};
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, q->context);
    ptqi_json_open(&w, NULL, '{');
    add_settings(q, &w);
    ptqi_json_open(&w, "matrices", '[');
    for (int64_t i = 0; i < q->report_count; i++) {
        const struct matrix_report *r = &q->reports[i];
        ptqi_json_open(&w, NULL, '{');
        ptqi_json_add_text(&w, "name", r->name);
        ptqi_json_add_number(&w, "weight_error", r->weight_error, 9);
        ptqi_json_add_number(&w, "output_error", r->output_error, 9);
        ptqi_json_add_number(&w, "damping", r->damping, 9);
        ptqi_json_add_text(&w, "activations", activations_name(r->activations));
        if (r->activation_scale > 0)
            ptqi_json_add_number(&w, "activation_scale", r->activation_scale, 9);
        ptqi_json_add_text(&w, "equalization", equalized[r->equalized]);
        if (r->candidate >= 0)
            ptqi_json_add_number(&w, "awq_ratio", r->candidate / 20.0, 9);
        ptqi_json_close(&w, '}');
    }
    ptqi_json_close(&w, ']');
    ptqi_json_add_integer(&w, "resumed_blocks", q->resumed);
    ptqi_json_add_integer(&w, "bytes", q->bytes);
    ptqi_json_add_number(&w, "seconds", report_clock() - q->start, 6);
    ptqi_json_add_integer(&w, "peak_rss_bytes", report_peak_memory());
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

static ptq_status print_text(const struct quantize *q)
{
    const struct matrix_report *worst = &q->reports[0];
    int64_t raised = 0, bits = 0, group = 0;
    double damping = 0;
    PTQI_TRY(ptq_config_get_int(q->config, PTQ_BITS, &bits));
    PTQI_TRY(ptq_config_get_int(q->config, PTQ_GROUP, &group));
    PTQI_TRY(ptq_config_get_float(q->config, PTQ_DAMPING, &damping));
    for (int64_t i = 0; i < q->report_count; i++) {
        const struct matrix_report *r = &q->reports[i];
        raised += r->damping > damping;
        if (q->calibrated ? r->output_error > worst->output_error
                          : r->weight_error > worst->weight_error)
            worst = r;
    }
    printf("%s: %lld matrices, %s, %lld bits, group %lld\n", option_text(q->o, "o"),
           (long long)q->report_count, ptq_method_name(ptq_config_method(q->config)),
           (long long)bits, (long long)group);
    printf("worst matrix %s: %s error %.3e\n", worst->name, q->calibrated ? "output" : "weight",
           q->calibrated ? worst->output_error : worst->weight_error);
    if (raised)
        printf("%lld Hessians were not positive definite; their damping was raised\n",
               (long long)raised);
    printf("%.1f MB, %.1f s, peak memory %.0f MB\n", (double)q->bytes / 1e6,
           report_clock() - q->start, (double)report_peak_memory() / 1e6);
    return PTQ_OK;
}

/* Errors that a second try may not meet again: what is done is worth keeping. */
static int may_resume(ptq_status status)
{
    return status == PTQ_ERROR_CANCELLED || status == PTQ_ERROR_IO || status == PTQ_ERROR_MEMORY;
}

static int finish(struct quantize *q, ptq_status status)
{
    int left = 0;
    progress_end(&q->progress);
    if (!status)
        status = option_given(q->o, "json") ? print_json(q) : print_text(q);
    if (status)
        left = report_failure(status);
    int64_t finished = q->output ? q->output->finished : 0;
    if (output_free(q->output, may_resume(status)))
        fprintf(stderr, "ptq: %lld finished blocks are kept in %s.partial; --resume goes on\n",
                (long long)finished, option_text(q->o, "o"));
    calibration_free(q->calibration);
    ptqi_free(q->context, q->reports);
    windows_free(&q->windows);
    model_free(q->model);
    return left;
}

int command_quantize(int argc, char **argv)
{
    struct options o;
    struct quantize q = {.o = &o, .samples = 128, .seqlen = 512};
    int left = options_parse(&o, "quantize", usage, table, argc, argv);
    if (left)
        return left;
    const char *format = option_text(&o, "format"), *method = option_text(&o, "method");
    if (o.positional_count > 1)
        return usage_error(&o, "one model at a time, not also %s", o.positional[1]);
    if (o.positional_count != 1 || !option_given(&o, "o"))
        return usage_error(&o, "needs a model directory and -o OUT");
    if (format && strcmp(format, "ptq"))
        return usage_error(&o, "--format must be ptq, not \"%s\"", format);
    const char *fold = option_text(&o, "fold");
    if (fold && strcmp(fold, "on") && strcmp(fold, "off"))
        return usage_error(&o, "--fold must be on or off, not \"%s\"", fold);
    q.fold = fold && !strcmp(fold, "on");
    left = option_integer(&o, "samples", 1, 1 << 20, &q.samples);
    if (!left)
        left = option_integer(&o, "seqlen", 2, 1 << 20, &q.seqlen);
    if (!left)
        left = options_context(&o, &q.context);
    if (!left)
        left = options_config(&o, q.context, &q.config);
    if (!left) {
        int64_t rounding = 0, clip = 0;
        ptq_config_get_int(q.config, PTQ_ROUNDING, &rounding);
        ptq_config_get_int(q.config, PTQ_CLIP, &clip);
        if ((rounding == PTQ_ROUNDING_GPTQ || clip || equalize_is_needed(q.config)) &&
            !option_given(&o, "calib"))
            left = usage_error(&o, "--method %s needs --calib TEXT", method);
    }
    if (!left) {
        interrupted = q.context;
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        left = finish(&q, run(&q));
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
    }
    ptq_config_free(q.config);
    ptq_context_free(q.context);
    return left;
}
