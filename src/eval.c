/*
 * ptq eval: how well a model predicts a text, with the arithmetic that it is designed for.
 */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "commands.h"
#include "console/clock.h"
#include "eval/multiple_choice.h"
#include "eval/perplexity.h"
#include "checkpoint/unused.h"
#include "options.h"
#include "report/json_report.h"

static const char usage[] =
    "usage: ptq eval MODEL --text FILE [options]\n"
    "       ptq eval MODEL --choices FILE.jsonl [options]\n"
    "\n"
    "Measures the perplexity of a Hugging Face model directory, of the output of ptq quantize, or\n"
    "of a GGUF file: exp of the mean negative log-likelihood. The text is tokenized once and\n"
    "divided into windows. Or measures multiple choice: each line is {\"context\": TEXT,\n"
    "\"choices\": [TEXT, ...], \"answer\": INDEX}, and the choice with the largest\n"
    "log-likelihood (acc) or log-likelihood per character (acc_norm) is taken.\n";

static const struct option table[] = {
    {"text", "FILE", "the text, UTF-8; .jsonl: a {\"text\"} or {\"messages\"} on each line"},
    {"choices", "FILE", "multiple-choice items, one JSON object per line"},
    {"window", "N", "tokens per window; default 2048, or the model's maximum if less"},
    {"head-bits", "8", "quantize the head to 8 bits"},
    {"max-windows", "N", "only the first N windows"},
    {"stride", "N",
     "begin a window every N tokens, and score only tokens that no earlier one had;\n"
     "                         default: the window"},
    {"kl", "DIR",
     "also compares with this model (run with --activations own), token by\n"
     "                         token: KL divergence, first choices"},
    ACTIVATIONS_OPTION,
    COMMON_OPTIONS,
};

struct eval {
    const struct options *o;
    ptq_context *context;
    struct model *model;
    struct windows windows;
    int64_t window, max_windows, stride;
    int32_t activations;  /* or ACTIVATIONS_... of model.h */
    struct divergence kl; /* no reference: not wanted */
};

static void print_divergence(const struct eval *e)
{
    const struct divergence *d = &e->kl;
    if (d->reference)
        printf("KL divergence from %s: mean %.5f +- %.5f, median %.5f, 99 %% %.4f, 99.9 %% %.4f, "
               "max %.3f; same first choice %.2f %%\n",
               d->reference->checkpoint->path, d->mean, d->standard_error, d->median, d->p99,
               d->p999, d->max, 100 * divergence_same_first(d));
}

static ptq_status print(const struct eval *e, const struct perplexity *p, double seconds)
{
    struct ptqi_json_writer w;
    double speed = seconds > 0 ? (double)p->tokens / seconds : 0;
    if (!option_given(e->o, "json")) {
        printf("perplexity %.4f +- %.4f  (%lld windows of %lld tokens, %lld quantized matrices, "
               "%.1f s, "
               "linear layers %.1f s of it, %.0f tokens/s)\n",
               p->perplexity, p->standard_error, (long long)p->windows,
               (long long)e->windows.length, (long long)p->quantized, seconds, p->linear_seconds,
               speed);
        print_divergence(e);
        return PTQ_OK;
    }
    ptqi_json_begin(&w, e->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_add_number(&w, "perplexity", p->perplexity, 9);
    ptqi_json_add_number(&w, "standard_error", p->standard_error, 9);
    if (e->kl.reference)
        divergence_add_json(&e->kl, &w);
    ptqi_json_add_integer(&w, "tokens", p->tokens);
    ptqi_json_add_integer(&w, "text_tokens", e->windows.tokens);
    ptqi_json_add_integer(&w, "windows", p->windows);
    ptqi_json_add_integer(&w, "window", e->windows.length);
    ptqi_json_add_integer(&w, "quantized_matrices", p->quantized);
    ptqi_json_add_number(&w, "seconds", seconds, 6);
    ptqi_json_add_number(&w, "linear_seconds", p->linear_seconds, 6);
    ptqi_json_add_number(&w, "tokens_per_second", speed, 6);
    ptqi_json_add_integer(&w, "peak_rss_bytes", report_peak_memory());
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

static ptq_status print_choices(const struct eval *e, const struct choices_result *c,
                                double seconds)
{
    struct ptqi_json_writer w;
    if (!option_given(e->o, "json")) {
        printf("acc %.4f +- %.4f  acc_norm %.4f +- %.4f  (%lld items, %lld quantized matrices, "
               "%.1f s)\n",
               c->acc, c->acc_stderr, c->acc_norm, c->acc_norm_stderr, (long long)c->items,
               (long long)c->quantized, seconds);
        return PTQ_OK;
    }
    ptqi_json_begin(&w, e->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_add_number(&w, "acc", c->acc, 9);
    ptqi_json_add_number(&w, "acc_stderr", c->acc_stderr, 9);
    ptqi_json_add_number(&w, "acc_norm", c->acc_norm, 9);
    ptqi_json_add_number(&w, "acc_norm_stderr", c->acc_norm_stderr, 9);
    ptqi_json_add_integer(&w, "items", c->items);
    ptqi_json_add_integer(&w, "tokens", c->tokens);
    ptqi_json_add_integer(&w, "quantized_matrices", c->quantized);
    ptqi_json_add_number(&w, "seconds", seconds, 6);
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

static ptq_status run_choices(struct eval *e)
{
    struct progress progress;
    struct choices_result result;
    double start = clock_seconds();
    progress_begin(&progress, 0);
    ptq_status status =
        choices_measure(e->model, option_text(e->o, "choices"), e->activations, &progress, &result);
    progress_end(&progress);
    if (!status)
        unused_print(&e->model->checkpoint->unused, e->model->checkpoint->path);
    return status ? status : print_choices(e, &result, clock_seconds() - start);
}

static ptq_status run_text(struct eval *e)
{
    struct progress progress;
    struct perplexity result;
    PTQI_TRY(perplexity_window(e->model, &e->window));
    if (e->stride > e->window)
        return ptqi_fail(e->context, PTQ_ERROR_BOUNDS, "a stride of %lld exceeds the window, %lld",
                         (long long)e->stride, (long long)e->window);
    PTQI_TRY(windows_load(e->context, e->o->positional[0], option_text(e->o, "text"), e->window,
                          e->stride, e->max_windows, &e->windows));
    double start = clock_seconds();
    progress_begin(&progress, 0);
    ptq_status status = perplexity_measure(e->model, &e->windows, e->activations,
                                           e->kl.reference ? &e->kl : NULL, &progress, &result);
    progress_end(&progress);
    if (!status && result.perplexity - result.perplexity != 0)
        status = ptqi_fail(e->context, PTQ_ERROR_NUMERIC,
                           "%s: the perplexity is not finite: numbers overflow in this model",
                           e->model->checkpoint->path);
    if (!status)
        unused_print(&e->model->checkpoint->unused, e->model->checkpoint->path);
    return status ? status : print(e, &result, clock_seconds() - start);
}

static ptq_status run(struct eval *e)
{
    PTQI_TRY(model_open(e->context, e->o->positional[0], &e->model));
    PTQI_TRY(model_check_activations(e->model, e->activations));
    if (option_given(e->o, "head-bits"))
        PTQI_TRY(model_quantize_head(e->model));
    if (option_given(e->o, "kl"))
        PTQI_TRY(model_open(e->context, option_text(e->o, "kl"), &e->kl.reference));
    return option_given(e->o, "choices") ? run_choices(e) : run_text(e);
}

int command_eval(int argc, char **argv)
{
    struct options o;
    struct eval e = {.o = &o};
    int rc = options_parse(&o, "eval", usage, table, argc, argv);
    if (rc)
        return rc;
    if (o.positional_count != 1 || option_given(&o, "text") == option_given(&o, "choices"))
        return usage_error(&o, "needs a model and either --text or --choices");
    if (option_given(&o, "kl") && option_given(&o, "choices"))
        return usage_error(&o, "--kl needs --text");
    rc = options_activations(&o, &e.activations);
    if (!rc)
        rc = option_integer(&o, "window", 2, 1 << 20, &e.window);
    if (!rc)
        rc = option_integer(&o, "max-windows", 1, 1 << 30, &e.max_windows);
    int64_t bits;
    if (!rc)
        rc = option_integer(&o, "head-bits", 8, 8, &bits);
    if (!rc)
        rc = option_integer(&o, "stride", 1, 1 << 20, &e.stride);
    if (!rc)
        rc = options_context(&o, &e.context);
    if (!rc) {
        ptq_status status = run(&e);
        rc = status ? report_failure(status) : 0;
    }
    windows_free(&e.windows);
    divergence_free(&e.kl);
    model_free(e.kl.reference);
    model_free(e.model);
    ptq_context_free(e.context);
    return rc;
}
