/*
 * ptq quantize: quantizes a Hugging Face model directory or a GGUF file.
 */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "checkpoint/output.h"
#include "commands.h"
#include "calibrate/quantize_run.h"
#include "checkpoint/unused.h"
#include "console/clock.h"
#include "gguf/gguf_file.h"
#include "gguf_configs.h"
#include "options.h"
#include "report/auto_choices.h"
#include "report/json_report.h"
#include "restrict.h"

static const char usage[] =
    "usage: ptq quantize MODEL -o OUT --method METHOD [--calib TEXT] [options]\n"
    "\n"
    "Quantizes the linear layers of a Hugging Face model directory, or of a GGUF file that is not\n"
    "quantized, block by block. Each block is calibrated on the outputs of the quantized blocks\n"
    "before it. rtn works without --calib. --resume continues a run that was killed.\n";

static const struct option table[] = {
    {"o", "OUT", "the directory to write"},
    CALIBRATION_OPTIONS,
    SETTINGS_OPTIONS,
    {"fold", "on|off", "fold equalizations into norms, v_proj and up_proj; default off"},
    {"gguf-type", "TYPE",
     "gguf: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q4_K_S, Q5_K, Q5_K_S or Q6_K; default Q4_K"},
    {"token-weights", "NAME",
     "uniform; attention: v_proj is rounded with the Hessian of attention's output;\n"
     "                         attention-heads: the same per key/value head (auto's choice)"},
    FORMAT_OPTIONS,
    {"resume", NULL, "continue an interrupted run"},
    COMMON_OPTIONS,
};

struct quantize {
    const struct options *o;
    struct quantize_run run;
    struct gguf_configs *gguf; /* of its matrices, if a GGUF file is written */
    struct windows windows;
    struct calibration_request calibration;
    struct progress progress;
    double start;
};

/* Fits the settings to a format other than ours. */
static ptq_status restrict_to_format(struct quantize *q)
{
    q->run.fold = FOLD_ALWAYS;
    PTQI_TRY(restrict_settings(q->o, q->run.model, q->run.format, q->run.config));
    if (q->run.format != PTQ_FORMAT_GGUF)
        return PTQ_OK;
    PTQI_TRY(gguf_file_check(q->run.model));
    PTQI_TRY(gguf_configs_create(q->o, q->run.model, q->run.type, q->run.config, &q->gguf));
    q->run.configs = gguf_configs_of(q->gguf);
    if (!option_given(q->o, "head-bits"))
        q->run.tokens.embedding = q->run.model->head == &q->run.model->embedding
                                      ? q->run.tokens.head
                                      : gguf_configs_main(q->gguf);
    return PTQ_OK;
}

static ptq_status run(struct quantize *q)
{
    const char *const inputs[] = {q->o->positional[0], q->calibration.text};
    q->start = clock_seconds();
    progress_begin(&q->progress, 0);
    PTQI_TRY(model_open(q->run.context, q->o->positional[0], &q->run.model));
    PTQI_TRY(output_check(q->run.model->checkpoint, inputs, 2, q->run.path, q->run.resume));
    PTQI_TRY(quantize_check_plain(q->run.model));
    if (q->run.format != PTQ_FORMAT_PTQ)
        PTQI_TRY(restrict_to_format(q));
    if (q->calibration.text) {
        PTQI_TRY(quantize_load_calibration(q->run.model, &q->calibration, &q->windows));
        q->run.windows = &q->windows;
    }
    PTQI_TRY(quantize_check_model(q->run.model, &q->progress));
    if (q->run.windows)
        options_say_windows(q->o, &q->calibration, &q->windows);
    return quantize_model(&q->run);
}

static void add_matrix(const struct matrix_report *r, struct ptqi_json_writer *w)
{
    static const char *const equalized[] = {"none", "kept", "folded"};
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "name", r->name);
    if (r->kept) {
        ptqi_json_add_text(w, "kept", "f16");
        ptqi_json_close(w, '}');
        return;
    }
    ptqi_json_add_number(w, "weight_error", r->weight_error, 9);
    ptqi_json_add_number(w, "output_error", r->output_error, 9);
    ptqi_json_add_number(w, "damping", r->damping, 9);
    ptqi_json_add_text(w, "activations", ptq_activations_name(r->activations));
    if (r->activation_scale > 0)
        ptqi_json_add_number(w, "activation_scale", r->activation_scale, 9);
    ptqi_json_add_text(w, "equalization", equalized[r->equalized]);
    ptqi_json_add_text(w, "equalize", ptq_config_choice_name(PTQ_PARAM_EQUALIZE, r->equalize));
    ptqi_json_add_integer(w, "rotation", r->rotation);
    ptqi_json_add_bool(w, "sym", r->symmetric);
    if (r->chosen_error == r->chosen_error) {
        ptqi_json_add_number(w, "plain_error", r->plain_error, 9);
        ptqi_json_add_number(w, "chosen_error", r->chosen_error, 9);
    }
    if (r->tokens + r->added) {
        ptqi_json_add_integer(w, "tokens", r->tokens);
        ptqi_json_add_integer(w, "added_tokens", r->added);
    }
    if (r->adjusted_groups)
        ptqi_json_add_integer(w, "adjusted_groups", r->adjusted_groups);
    if (r->clamped_groups)
        ptqi_json_add_integer(w, "clamped_groups", r->clamped_groups);
    if (r->candidate >= 0)
        ptqi_json_add_number(w, "awq_ratio", r->candidate / 20.0, 9);
    ptqi_json_close(w, '}');
}

static ptq_status print_json(const struct quantize *q)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, q->run.context);
    ptqi_json_open(&w, NULL, '{');
    quantize_add_settings(&q->run, &w);
    ptqi_json_open(&w, "matrices", '[');
    for (int64_t i = 0; i < q->run.report_count; i++)
        add_matrix(&q->run.reports[i], &w);
    ptqi_json_close(&w, ']');
    ptqi_json_add_integer(&w, "resumed_blocks", q->run.resumed);
    ptqi_json_add_integer(&w, "bytes", q->run.bytes);
    ptqi_json_add_number(&w, "seconds", clock_seconds() - q->start, 6);
    ptqi_json_add_integer(&w, "peak_rss_bytes", report_peak_memory());
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

/* Prints how many inputs are quantized in which way, if the method chose. */
static ptq_status print_schemes(const struct quantize *q)
{
    int64_t asked, counts[3] = {0};
    PTQI_TRY(ptq_config_get_int(q->run.config, PTQ_PARAM_ACTIVATIONS, &asked));
    for (int64_t i = 0; i < q->run.report_count; i++) {
        const struct matrix_report *r = &q->run.reports[i];
        counts[r->activations != PTQ_ACTIVATIONS_INT8_STATIC ? 2 : r->equalized ? 1 : 0]++;
    }
    if (asked == PTQ_ACTIVATIONS_FPTQ)
        printf("activations: %lld matrices static, %lld equalized and static, %lld per token\n",
               (long long)counts[0], (long long)counts[1], (long long)counts[2]);
    return PTQ_OK;
}

/* Prints how many matrices of experts were calibrated on the tokens of others too. */
static void print_experts(const struct quantize *q)
{
    int64_t all = 0, below = 0, fewest = INT64_MAX;
    for (int64_t i = 0; i < q->run.report_count; i++) {
        const struct matrix_report *r = &q->run.reports[i];
        all += r->tokens + r->added > 0;
        below += r->added > 0;
        fewest = r->added > 0 && r->tokens < fewest ? r->tokens : fewest;
    }
    if (below)
        printf(
            "%lld of %lld matrices of experts were calibrated on other tokens too; the least used "
            "expert has %lld of its own\n",
            (long long)below, (long long)all, (long long)fewest);
}

static ptq_status print_text(const struct quantize *q)
{
    const struct matrix_report *worst = &q->run.reports[0];
    int64_t raised = 0, adjusted = 0, clamped = 0, kept = 0, bits = 0, group = 0;
    const struct choices choices = choices_of(q->run.reports, q->run.report_count);
    double damping = 0;
    PTQI_TRY(ptq_config_get_int(q->run.config, PTQ_PARAM_BITS, &bits));
    PTQI_TRY(ptq_config_get_int(q->run.config, PTQ_PARAM_GROUP, &group));
    PTQI_TRY(ptq_config_get_float(q->run.config, PTQ_PARAM_DAMPING, &damping));
    for (int64_t i = 0; i < q->run.report_count; i++) {
        const struct matrix_report *r = &q->run.reports[i];
        raised += r->damping > damping;
        adjusted += r->adjusted_groups;
        clamped += r->clamped_groups;
        kept += r->kept;
        if (q->run.windows ? r->output_error > worst->output_error
                           : r->weight_error > worst->weight_error)
            worst = r;
    }
    printf("%s: %lld matrices, %s, %lld bits, group %lld\n", q->run.path,
           (long long)(q->run.report_count - kept),
           ptq_method_name(ptq_config_method(q->run.config)), (long long)bits, (long long)group);
    if (kept)
        printf(
            "%lld more matrices are kept in F16: their rows are not whole blocks of 32 columns\n",
            (long long)kept);
    if (kept < q->run.report_count)
        printf("worst matrix %s: %s error %.3e\n", worst->name,
               q->run.windows ? "output" : "weight",
               q->run.windows ? worst->output_error : worst->weight_error);
    PTQI_TRY(print_schemes(q));
    choices_print(&choices, "chosen:");
    print_experts(q);
    if (adjusted)
        printf(
            "%lld groups have weights of one sign or a range below 1e-5, which AWQ's grid cannot "
            "represent; their grid contains 0\n",
            (long long)adjusted);
    if (clamped)
        printf("%lld groups are too small or too large for scales of their dtype and lost "
               "precision\n",
               (long long)clamped);
    if (raised)
        printf("%lld Hessians were not positive definite; their damping was raised\n",
               (long long)raised);
    printf("%.1f MB, %.1f s, peak memory %.0f MB\n", (double)q->run.bytes / 1e6,
           clock_seconds() - q->start, (double)report_peak_memory() / 1e6);
    return PTQ_OK;
}

static int finish(struct quantize *q, ptq_status status)
{
    int rc = 0;
    progress_end(&q->progress);
    if (!status)
        unused_print(&q->run.model->checkpoint->unused, q->run.model->checkpoint->path);
    if (!status)
        status = option_given(q->o, "json") ? print_json(q) : print_text(q);
    if (status)
        rc = report_failure(status);
    int64_t kept = quantize_free(&q->run, status != PTQ_OK);
    if (kept && !q->run.damaged)
        fprintf(stderr, "ptq: %lld finished blocks are kept in %s.partial; --resume continues\n",
                (long long)kept, q->run.path);
    windows_free(&q->windows);
    gguf_configs_free(q->gguf);
    model_free(q->run.model);
    return rc;
}

static int read_gguf_options(struct quantize *q)
{
    const char *type = option_text(q->o, "gguf-type"), *known;
    int i = 0;
    if (q->run.format != PTQ_FORMAT_GGUF)
        return type ? usage_error(q->o, "--gguf-type is for --format gguf") : 0;
    q->run.type = type ? type : "Q4_K";
    q->run.tokens.head = "Q6_K";
    while ((known = gguf_type_name(i)) && strcmp(known, q->run.type))
        i++;
    if (!known)
        return usage_error(q->o, "--gguf-type must be one that --help lists, not \"%s\"", type);
    return options_tokens(q->o, &q->run.tokens);
}

int command_quantize(int argc, char **argv)
{
    struct options o;
    struct quantize q = {.o = &o};
    int rc = options_parse(&o, "quantize", usage, table, argc, argv);
    if (rc)
        return rc;
    const char *method = option_text(&o, "method");
    if (o.positional_count > 1)
        return usage_error(&o, "one model at a time, not also %s", o.positional[1]);
    if (o.positional_count != 1 || !option_given(&o, "o"))
        return usage_error(&o, "needs a model and -o OUT");
    const char *fold = option_text(&o, "fold");
    if (fold && strcmp(fold, "on") && strcmp(fold, "off"))
        return usage_error(&o, "--fold must be on or off, not \"%s\"", fold);
    q.run.fold = fold && !strcmp(fold, "on") ? FOLD_WHERE_POSSIBLE : FOLD_NEVER;
    const char *weights = option_text(&o, "token-weights");
    q.run.token_weights = weights                             ? token_weights_from_name(weights)
                          : method && !strcmp(method, "auto") ? TOKENS_ATTENTION_HEADS
                                                              : TOKENS_UNIFORM;
    if (q.run.token_weights < 0)
        return usage_error(
            &o, "--token-weights must be uniform, attention or attention-heads, not \"%s\"",
            weights);
    q.run.path = option_text(&o, "o");
    q.run.resume = option_given(&o, "resume");
    q.run.progress = &q.progress;
    rc = options_format(&o, q.run.path, &q.run.format, &q.run.shard_size);
    if (!rc)
        rc = read_gguf_options(&q);
    if (!rc)
        rc = options_calibration(&o, &q.calibration);
    if (!rc)
        rc = options_context(&o, &q.run.context);
    if (!rc)
        rc = options_config(&o, q.run.context, &q.run.config);
    if (!rc) {
        if (quantize_needs_calibration(q.run.config) && !option_given(&o, "calib"))
            rc = usage_error(&o, "--method %s needs --calib TEXT", method);
    }
    if (!rc) {
        options_catch_signals(q.run.context);
        rc = finish(&q, run(&q));
        options_catch_signals(NULL);
    }
    ptq_config_free(q.run.config);
    ptq_context_free(q.run.context);
    return rc;
}
