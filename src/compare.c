/*
 * ptq compare: every method side by side on one model, each evaluated with the arithmetic that it
 * is designed for.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "checkpoint/output.h"
#include "commands.h"
#include "console/clock.h"
#include "eval/perplexity.h"
#include "calibrate/quantize_run.h"
#include "checkpoint/unused.h"
#include "options.h"
#include "report/comparison.h"
#include "report/comparison_plan.h"
#include "report/json_report.h"

static const char usage[] =
    "usage: ptq compare MODEL --calib TEXT --text TEXT [options]\n"
    "\n"
    "Quantizes a Hugging Face model directory or a GGUF file with every method in turn, and\n"
    "measures perplexity on the text (with integer kernels if activations are int8), the size of\n"
    "the checkpoint, and the time that quantization took.\n";

static const struct option table[] = {
    CALIBRATION_OPTIONS,
    {"text", "FILE", "the text that perplexity is measured on"},
    {"window", "N", "tokens per window; default 2048, or the model's maximum if less"},
    {"max-windows", "N", "only the first N windows"},
    {"bits", "N", "2, 3 or 4: weights of the methods that are not W8A8; default 4"},
    {"group", "N", "columns that share a scale, a multiple of 32; 0: the whole row; default 128"},
    {"methods", "LIST", "only rows of these methods, such as gptq,fptq"},
    {"html", "FILE", "write a page with charts"},
    {"keep", "DIR", "keep the quantized models there; default: they are removed"},
    {"resume", NULL, "continue from what an interrupted run left in --keep DIR"},
    COMMON_OPTIONS,
};

struct compare {
    const struct options *o;
    ptq_context *context;
    struct model *model;
    struct calibration_request request;
    struct windows calibration, windows;
    int64_t window, max_windows, bits, group;
    char *work;       /* the directory of the quantized models */
    int made;         /* it did not exist before */
    int64_t finished; /* quantized rows */
    int64_t kept;     /* blocks of the next row that an interrupted run left */
    struct comparison result;
    struct divergence kl; /* from the model in full precision */
    struct progress progress;
};

/* Measures perplexity and, of quantized models, the divergence from full precision. */
static ptq_status evaluate(struct compare *c, struct model *m, struct comparison_row *row)
{
    struct perplexity p;
    struct divergence *kl = m == c->model ? NULL : &c->kl;
    const double start = clock_seconds(), before = c->kl.seconds;
    c->kl.reference = c->model;
    PTQI_TRY(perplexity_measure(m, &c->windows, -1, kl, &c->progress, &p));
    const double seconds = clock_seconds() - start - (c->kl.seconds - before);
    row->perplexity = p.perplexity;
    row->divergence = kl ? kl->mean : 0;
    row->divergence_p99 = kl ? kl->p99 : 0;
    row->same_first = kl ? divergence_same_first(kl) : 1;
    row->tokens_per_second = seconds > 0 ? (double)p.tokens / seconds : 0;
    return PTQ_OK;
}

/* Measures the unquantized model: perplexity, size, and the range of every input. */
static ptq_status measure_model(struct compare *c, struct comparison_row *row)
{
    struct comparison *r = &c->result;
    struct calibration *calibration;
    PTQI_TRY(evaluate(c, c->model, row));
    for (int64_t i = 0; i < ptq_store_count(c->model->checkpoint->store); i++)
        row->bytes += ptq_store_bytes(c->model->checkpoint->store, i);
    r->inputs = ptqi_alloc(c->context, c->model->config.layers * SITES, (int64_t)sizeof *r->inputs);
    if (!r->inputs)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(calibration_create(c->model, &c->calibration, NULL, 0, TOKENS_UNIFORM, &c->progress,
                                &calibration));
    ptq_status status = PTQ_OK;
    for (int64_t l = 0; l < c->model->config.layers && !status; l++) {
        struct block *b;
        double absmax[SITES];
        int quantized;
        status = model_load_block(c->model, NULL, l, ACTIVATIONS_OWN, &b, &quantized);
        if (status)
            break;
        status = calibrate_ranges(calibration, b, absmax);
        for (int site = 0, i = 0; site < SITES && !status; site++) {
            struct comparison_input *input = &r->inputs[r->input_count++];
            while (b->matrices[i].site != (enum site)site)
                i++;
            input->block = l;
            memcpy(input->name, b->matrices[i].name, sizeof input->name);
            input->absmax = absmax[site];
        }
        block_free(b);
        progress_show(&c->progress, 1, "ranges of block %lld", (long long)l + 1);
    }
    calibration_free(calibration);
    return status;
}

/* The path of a row's directory: "GPTQ W4A16 asym" becomes "gptq-w4a16-asym". */
static char *row_path(const struct compare *c, const struct comparison_row *row)
{
    char name[sizeof row->name];
    size_t n = 0;
    for (const char *s = row->name; *s; s++) {
        if (*s != ' ' && *s != '+')
            name[n++] = (char)(*s >= 'A' && *s <= 'Z' ? *s + ('a' - 'A') : *s);
        else if (n && name[n - 1] != '-')
            name[n++] = '-';
    }
    name[n] = 0;
    return ptqi_join_path(c->context, c->work, name);
}

static struct quantize_run run_of(struct compare *c, const struct comparison_row *row,
                                  const char *path)
{
    const int keep = option_given(c->o, "keep");
    return (struct quantize_run){.context = c->context,
                                 .model = c->model,
                                 .windows = &c->calibration,
                                 .config = row->config,
                                 .token_weights = row->token_weights,
                                 .path = path,
                                 .resume = option_given(c->o, "resume"),
                                 .keep_run = keep,
                                 .progress = &c->progress};
}

/* Moves the results of a run to its row. */
static void take_results(struct quantize_run *run, struct comparison_row *row)
{
    row->bytes = run->bytes;
    row->reports = run->reports;
    row->report_count = run->report_count;
    run->reports = NULL;
}

static ptq_status quantize_row(struct compare *c, struct comparison_row *row, const char *path)
{
    double start = clock_seconds();
    struct quantize_run run = run_of(c, row, path);
    ptq_status status = quantize_model(&run);
    row->seconds = run.resumed ? (double)NAN : clock_seconds() - start;
    take_results(&run, row);
    const int64_t kept = quantize_free(&run, status && option_given(c->o, "keep"));
    c->kept = run.damaged ? 0 : kept;
    return status;
}

/* Reads the results of a row that an earlier run finished. */
static ptq_status recall_row(struct compare *c, struct comparison_row *row, const char *path,
                             const struct model *made)
{
    struct quantize_run run = run_of(c, row, path);
    ptq_status status = quantize_recall(&run, made);
    row->seconds = (double)NAN;
    take_results(&run, row);
    quantize_free(&run, 0);
    return status;
}

static ptq_status make_row(struct compare *c, struct comparison_row *row, const char *path,
                           struct model **made)
{
    const int there = option_given(c->o, "resume") && ptqi_is_directory(path);
    if (!there)
        PTQI_TRY(quantize_row(c, row, path));
    c->finished++;
    PTQI_TRY(model_open(c->context, path, made));
    return there ? recall_row(c, row, path, *made) : PTQ_OK;
}

static ptq_status measure_row(struct compare *c, struct comparison_row *row)
{
    struct model *quantized = NULL;
    char *path = row_path(c, row);
    ptq_status status = path ? make_row(c, row, path, &quantized) : PTQ_ERROR_MEMORY;
    if (!status)
        status = evaluate(c, quantized, row);
    model_free(quantized);
    if (path && !option_given(c->o, "keep"))
        output_remove(c->context, path);
    ptqi_free(c->context, path);
    return status;
}

/* Creates the directory of --keep, or a temporary one. */
static ptq_status make_work(struct compare *c)
{
    const char *keep = option_text(c->o, "keep"), *temporary = getenv("TMPDIR");
    if (keep && !*keep)
        return ptqi_fail(c->context, PTQ_ERROR_ARGUMENT, "the name of the output is empty");
    c->work =
        keep ? ptqi_copy_text(c->context, keep, (int64_t)strlen(keep))
             : ptqi_join_path(c->context, temporary ? temporary : "/tmp", "ptq-compare-XXXXXX");
    if (!c->work)
        return PTQ_ERROR_MEMORY;
    c->made = !keep || !ptqi_is_directory(keep);
    if (!keep && !mkdtemp(c->work))
        return ptqi_fail_io(c->context, c->work, "make a temporary directory");
    if (keep && c->made && mkdir(keep, 0777)) {
        c->made = 0;
        return ptqi_fail_io(c->context, keep, "make the directory");
    }
    return PTQ_OK;
}

/* The page must not replace a row's directory (or its .partial) nor be inside it. */
static ptq_status check_page(const struct compare *c, const char *parent, const char *row)
{
    const char *html = option_text(c->o, "html"), *slash = strrchr(html, '/');
    const char *const name = slash ? slash + 1 : html, *const row_name = strrchr(row, '/') + 1;
    const size_t length = strlen(row_name);
    const int is_row =
        !strncmp(name, row_name, length) && (!name[length] || !strcmp(name + length, ".partial"));
    char *partial = ptqi_alloc(c->context, (int64_t)strlen(row) + 9, 1);
    if (!partial)
        return PTQ_ERROR_MEMORY;
    sprintf(partial, "%s.partial", row);
    const int clash = (is_row && ptqi_same_file(parent, c->work)) || ptqi_same_file(parent, row) ||
                      ptqi_same_file(parent, partial);
    ptqi_free(c->context, partial);
    return clash ? ptqi_fail(c->context, PTQ_ERROR_CONFLICT,
                             "%s: is where a quantized model is kept; choose another page", html)
                 : PTQ_OK;
}

static ptq_status check_row(struct compare *c, const struct comparison_row *row, const char *path,
                            const char *const *inputs, int count)
{
    const char *html = option_text(c->o, "html");
    const int resume = option_given(c->o, "resume");
    if (html) {
        char *parent = ptqi_parent_path(c->context, html);
        ptq_status status = parent ? check_page(c, parent, path) : PTQ_ERROR_MEMORY;
        ptqi_free(c->context, parent);
        PTQI_TRY(status);
    }
    if (!resume || !ptqi_is_directory(path))
        PTQI_TRY(workdir_check(c->context, path, inputs, count, resume));
    if (!resume)
        return PTQ_OK;
    const struct quantize_run run = run_of(c, row, path);
    return quantize_check_same(&run);
}

/* Checks before the work begins that the page can be written, and that nothing is in the way of the
 * models to be kept. */
static ptq_status check_outputs(struct compare *c)
{
    const char *const inputs[] = {c->o->positional[0], option_text(c->o, "text"), c->request.text};
    PTQI_TRY(options_check_output(c->context, option_text(c->o, "html"), inputs, 3));
    for (int64_t i = 1; i < c->result.row_count && option_given(c->o, "keep"); i++) {
        char *path = row_path(c, &c->result.rows[i]);
        ptq_status status =
            path ? check_row(c, &c->result.rows[i], path, inputs, 3) : PTQ_ERROR_MEMORY;
        ptqi_free(c->context, path);
        if (status)
            return status;
    }
    return PTQ_OK;
}

static ptq_status load(struct compare *c)
{
    PTQI_TRY(model_open(c->context, c->o->positional[0], &c->model));
    PTQI_TRY(perplexity_window(c->model, &c->window));
    PTQI_TRY(windows_load(c->context, c->model->checkpoint->path, option_text(c->o, "text"),
                          c->window, 0, c->max_windows, &c->windows));
    return quantize_load_calibration(c->model, &c->request, &c->calibration);
}

static ptq_status describe(struct compare *c)
{
    struct comparison *r = &c->result;
    r->model = c->o->positional[0];
    r->text = option_text(c->o, "text");
    r->calibration = c->request.text;
    r->windows = c->windows.count;
    r->window = c->windows.length;
    r->calibration_windows = c->calibration.count;
    r->calibration_window = c->calibration.length;
    for (int64_t i = 1; i < r->row_count; i++)
        if (ptq_config_method(r->rows[i].config) == PTQ_METHOD_FPTQ || i == 1) {
            PTQI_TRY(ptq_config_get_float(r->rows[i].config, PTQ_PARAM_V0, &r->v0));
            PTQI_TRY(ptq_config_get_float(r->rows[i].config, PTQ_PARAM_V1, &r->v1));
        }
    return PTQ_OK;
}

/* Prints the numbers first, so they are not lost if the page cannot be written. */
static ptq_status show(const struct compare *c)
{
    if (option_given(c->o, "json"))
        PTQI_TRY(comparison_print_json(&c->result));
    else
        comparison_print(&c->result);
    return option_given(c->o, "html") ? comparison_write_page(&c->result, option_text(c->o, "html"))
                                      : PTQ_OK;
}

static ptq_status run(struct compare *c)
{
    struct comparison *r = &c->result;
    progress_begin(&c->progress, 0);
    r->context = c->context;
    PTQI_TRY(comparison_plan(r, option_text(c->o, "methods"), c->bits, c->group));
    PTQI_TRY(load(c));
    PTQI_TRY(describe(c));
    PTQI_TRY(make_work(c));
    PTQI_TRY(check_outputs(c));
    PTQI_TRY(quantize_check_model(c->model, &c->progress));
    unused_print(&c->model->checkpoint->unused, c->model->checkpoint->path);
    options_say_windows(c->o, &c->request, &c->calibration);
    for (int64_t i = 0; i < r->row_count; i++) {
        double share = 1.0 / (double)r->row_count;
        progress_part(&c->progress, (double)i * share, share, r->rows[i].name);
        PTQI_TRY(i ? measure_row(c, &r->rows[i]) : measure_model(c, &r->rows[0]));
    }
    progress_end(&c->progress);
    return show(c);
}

/* Reports what an interrupted or failed run leaves for --resume. */
static void say_kept(const struct compare *c)
{
    char blocks[64] = "";
    if (!option_given(c->o, "keep") || !(c->finished || c->kept))
        return;
    if (c->kept)
        snprintf(blocks, sizeof blocks, " and %lld blocks of the next", (long long)c->kept);
    fprintf(stderr, "ptq: %lld quantized models%s are kept in %s; --resume continues\n",
            (long long)c->finished, blocks, c->work);
}

static void free_all(struct compare *c)
{
    for (int64_t i = 0; i < c->result.row_count; i++) {
        ptq_config_free(c->result.rows[i].config);
        ptqi_free(c->context, c->result.rows[i].reports);
    }
    if (c->context) {
        ptqi_free(c->context, c->result.rows);
        ptqi_free(c->context, c->result.inputs);
        if (c->made)
            rmdir(c->work); /* only if it is empty */
        ptqi_free(c->context, c->work);
    }
    windows_free(&c->windows);
    windows_free(&c->calibration);
    divergence_free(&c->kl);
    model_free(c->model);
    ptq_context_free(c->context);
}

static int check_methods(const struct options *o)
{
    const char *list = option_text(o, "methods");
    char name[32];
    for (const char *s = list; s && *s;) {
        size_t length = strcspn(s, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < 31 ? length : 31), s);
        if (!ptq_method_from_name(name))
            return usage_error(o, "--methods: there is no method \"%s\"", name);
        s += length + (s[length] == ',');
    }
    return 0;
}

int command_compare(int argc, char **argv)
{
    struct options o;
    struct compare c = {.o = &o, .bits = 4, .group = 128};
    int rc = options_parse(&o, "compare", usage, table, argc, argv);
    if (rc)
        return rc;
    if (o.positional_count != 1 || !option_given(&o, "calib") || !option_given(&o, "text"))
        return usage_error(&o, "needs a model, --calib and --text");
    if (option_given(&o, "resume") && !option_given(&o, "keep"))
        return usage_error(&o,
                           "--resume needs --keep DIR, where the interrupted run left its models");
    rc = check_methods(&o);
    if (!rc)
        rc = options_calibration(&o, &c.request);
    if (!rc)
        rc = option_integer(&o, "window", 2, 1 << 20, &c.window);
    if (!rc)
        rc = option_integer(&o, "max-windows", 1, 1 << 30, &c.max_windows);
    if (!rc)
        rc = option_integer(&o, "bits", 2, 4, &c.bits);
    if (!rc)
        rc = option_integer(&o, "group", 0, 1 << 20, &c.group);
    if (!rc && c.group % 32)
        rc = usage_error(&o, "--group must be a multiple of 32, or 0 for one per row");
    if (!rc)
        rc = options_context(&o, &c.context);
    if (!rc) {
        options_catch_signals(c.context);
        ptq_status status = run(&c);
        progress_end(&c.progress);
        rc = status ? report_failure(status) : 0;
        if (status)
            say_kept(&c);
        options_catch_signals(NULL);
    }
    free_all(&c);
    return rc;
}
