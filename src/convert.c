/*
 * ptq convert: a checkpoint in another format, without quantizing again.
 */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "checkpoint/output.h"
#include "commands.h"
#include "console/progress.h"
#include "convert/target.h"
#include "gguf/gguf_file.h"
#include "options.h"
#include "report/json_report.h"

static const char usage[] =
    "usage: ptq convert MODEL -o OUT --format NAME [options]\n"
    "\n"
    "Writes a quantized model in another format. Codes, scales and zero points stay what they "
    "are.\n"
    "What the format cannot hold is named before anything is written. A model that is not\n"
    "quantized can be written as a GGUF file.\n";

static const struct option table[] = {
    {"o", "OUT", "the directory to write"},
    FORMAT_OPTIONS,
    COMMON_OPTIONS,
};

struct convert {
    const struct options *o;
    ptq_context *context;
    const char *path;
    struct model *model;
    struct target target;
    struct output *output;
    struct progress progress;
    int64_t shard_size, bytes;
};

/* An embedding or a head that is quantized stays what it is. */
static ptq_status check_tokens(const struct convert *c)
{
    const struct model *m = c->model;
    if (!c->target.tokens.embedding || (!m->embedding.quantized && !m->head->quantized))
        return PTQ_OK;
    return ptqi_fail(c->context, PTQ_ERROR_CONFLICT,
                     "%s: the %s is quantized already, so --head-bits has nothing to act on",
                     m->checkpoint->path, m->head->quantized ? "head" : "embedding");
}

static ptq_status examine(struct convert *c)
{
    const struct checkpoint *source = c->model->checkpoint;
    const int64_t layers = c->model->config.layers;
    if (c->target.format == PTQ_FORMAT_GGUF)
        PTQI_TRY(gguf_file_check(c->model));
    else if (!c->model->config.quantized)
        return ptqi_fail(c->context, PTQ_ERROR_CONFLICT,
                         "%s: not quantized; ptq quantize --format does both", source->path);
    for (int64_t b = 0; b < layers; b++) {
        PTQI_TRY(target_examine(&c->target, source->store, b));
        PTQI_TRY(ptqi_check_cancelled(c->context));
        progress_show(&c->progress, 0.5 * (double)b / (double)layers, "examining block %lld",
                      (long long)b + 1);
    }
    return target_describe(&c->target);
}

static ptq_status begin(struct convert *c)
{
    struct ptqi_json_writer w;
    workdir_begin_description(&w, c->context);
    ptqi_json_add_text(&w, "converted", c->model->checkpoint->path);
    ptqi_json_close(&w, '}');
    ptq_status status = ptqi_json_finish(&w);
    if (!status)
        status = output_begin(c->model->checkpoint, c->path, w.text, 0, c->model->config.layers,
                              &c->output);
    ptqi_json_end(&w);
    return status;
}

static ptq_status write_all(struct convert *c)
{
    const int64_t layers = c->model->config.layers;
    c->output->shard_size = c->shard_size;
    target_begin(&c->target, c->output);
    PTQI_TRY(target_convert_outside(&c->target, c->output));
    for (int64_t b = 0; b < layers; b++) {
        PTQI_TRY(target_convert_block(&c->target, c->model->checkpoint->store, b, c->output));
        progress_show(&c->progress, 0.5 + 0.5 * (double)b / (double)layers, "block %lld",
                      (long long)b + 1);
    }
    return target_finish(&c->target, c->output, 0, &c->bytes);
}

static ptq_status run(struct convert *c)
{
    const char *const inputs[] = {c->o->positional[0]};
    progress_begin(&c->progress, 0);
    PTQI_TRY(model_open(c->context, c->o->positional[0], &c->model));
    c->target.model = c->model;
    PTQI_TRY(output_check(c->model->checkpoint, inputs, 1, c->path, 0));
    PTQI_TRY(check_tokens(c));
    PTQI_TRY(examine(c));
    PTQI_TRY(begin(c));
    return write_all(c);
}

static ptq_status print(const struct convert *c)
{
    struct ptqi_json_writer w;
    const char *format = ptq_format_name(c->target.format);
    if (!option_given(c->o, "json")) {
        printf("%s: %lld matrices, %s\n%.1f MB\n", c->path, (long long)c->target.quantized, format,
               (double)c->bytes / 1e6);
        return PTQ_OK;
    }
    ptqi_json_begin(&w, c->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_add_text(&w, "format", format);
    ptqi_json_add_integer(&w, "matrices", c->target.quantized);
    ptqi_json_add_integer(&w, "bytes", c->bytes);
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

int command_convert(int argc, char **argv)
{
    struct options o;
    struct convert c = {.o = &o};
    int rc = options_parse(&o, "convert", usage, table, argc, argv);
    if (rc)
        return rc;
    if (o.positional_count != 1 || !option_given(&o, "o"))
        return usage_error(&o, "needs a model and -o OUT");
    c.path = option_text(&o, "o");
    rc = options_format(&o, c.path, &c.target.format, &c.shard_size);
    if (!rc && !option_given(&o, "format") && c.target.format != PTQ_FORMAT_GGUF)
        rc = usage_error(&o, "needs --format NAME");
    if (!rc && c.target.format == PTQ_FORMAT_GGUF)
        rc = options_tokens(&o, &c.target.tokens);
    if (!rc)
        rc = options_context(&o, &c.context);
    if (rc)
        return rc;
    options_catch_signals(c.context);
    ptq_status status = run(&c);
    progress_end(&c.progress);
    if (!status)
        status = print(&c);
    rc = status ? report_failure(status) : 0;
    options_catch_signals(NULL);
    output_free(c.output, 0);
    target_free(&c.target);
    model_free(c.model);
    ptq_context_free(c.context);
    return rc;
}
