#include "convert/target.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/matrix_part.h"
#include "gguf/gguf_file.h"
#include "gguf/tensors.h"
#include "model/architecture.h"
#include "model/token_matrix.h"

static const struct ptqi_json *source_of(const struct target *t)
{
    const struct ptqi_json *own = t->model->checkpoint->quantization;
    const struct ptqi_json *kept = ptqi_json_get(own, "source");
    return kept ? kept : own;
}

/* Whether the checkpoint, or the one that it was converted from, has the target's format. */
static int is_own_format(const struct target *t)
{
    const char *method = ptqi_json_string(ptqi_json_get(source_of(t), "quant_method"));
    return t->format != PTQ_FORMAT_PTQ && method && ptq_format_from_name(method) == t->format;
}

static int64_t group_of(const ptq_qtensor *q)
{
    const int64_t group = ptq_qtensor_group(q);
    return group < ptq_qtensor_k(q) ? group : 0;
}

/* Whether one config can describe both. Groups as long as a row are like one group per row. */
static int agree(const ptq_qtensor *a, const ptq_qtensor *b)
{
    return ptq_qtensor_bits(a) == ptq_qtensor_bits(b) &&
           ptq_qtensor_activations(a) == ptq_qtensor_activations(b) &&
           (group_of(a) == group_of(b) || !group_of(a) || !group_of(b));
}

static ptq_status check_agreement(const struct target *t, const char *name, const ptq_qtensor *q)
{
    const int each_has_its_own = t->format == PTQ_FORMAT_PTQ || t->format == PTQ_FORMAT_GGUF;
    if (!t->example || each_has_its_own || is_own_format(t) || agree(q, t->example))
        return PTQ_OK;
    return ptqi_fail(t->model->context, PTQ_ERROR_UNSUPPORTED,
                     "%s and %s differ in bits, group or activations: the format %s needs one form "
                     "for all",
                     name, t->example_name, ptq_format_name(t->format));
}

/* Keeps a matrix as the example if it is the first, or the first with zero points or with a group
 * that is shorter than a row. */
static void consider(struct target *t, const char *name, ptq_qtensor *q)
{
    const int better =
        t->example && ((!ptq_qtensor_symmetric(q) && ptq_qtensor_symmetric(t->example)) ||
                       (group_of(q) && !group_of(t->example)));
    if (t->example && !better) {
        ptq_qtensor_free(q);
        return;
    }
    ptq_qtensor_free(t->example);
    t->example = q;
    snprintf(t->example_name, sizeof t->example_name, "%s", name);
}

/* Current readers of compressed-tensors refuse its act-order, so only a checkpoint that had it
 * keeps it. */
static ptq_status check_order(const struct target *t, const char *name, const ptq_qtensor *q)
{
    if (t->format != PTQ_FORMAT_COMPRESSED_TENSORS || is_own_format(t) || !ptq_qtensor_has_order(q))
        return PTQ_OK;
    return ptqi_fail(t->model->context, PTQ_ERROR_UNSUPPORTED,
                     "%s: readers of compressed-tensors know no act-order; quantize with "
                     "--static-groups",
                     name);
}

static ptq_status examine_quantized(struct target *t, const ptq_store *from, int32_t format,
                                    const char *name)
{
    ptq_qtensor *q;
    PTQI_TRY(ptq_qtensor_read(t->model->context, format, from, name, &q));
    ptq_status status = ptq_format_can_hold(t->format, q);
    if (status)
        status = ptqi_fail_at(t->model->context, status, name);
    if (!status)
        status = check_order(t, name, q);
    if (!status)
        status = check_agreement(t, name, q);
    if (status) {
        ptq_qtensor_free(q);
        return status;
    }
    t->quantized++;
    consider(t, name, q);
    return PTQ_OK;
}

static ptq_status note_plain(struct target *t, const char *name)
{
    ptq_context *context = t->model->context;
    PTQI_TRY(ptqi_grow(context, (void **)&t->plain_names, t->plain, &t->plain_capacity,
                       t->plain + 1, (int64_t)sizeof *t->plain_names));
    t->plain_names[t->plain] = ptqi_copy_text(context, name, (int64_t)strlen(name));
    return t->plain_names[t->plain++] ? PTQ_OK : PTQ_ERROR_MEMORY;
}

ptq_status target_examine(struct target *t, const ptq_store *from, int64_t block)
{
    struct matrix matrix;
    for (int i = 0; model_describe_matrix(t->model, block, i, &matrix); i++) {
        const int32_t format = ptq_format_find(from, matrix.name);
        PTQI_TRY(format ? examine_quantized(t, from, format, matrix.name)
                        : note_plain(t, matrix.name));
    }
    return PTQ_OK;
}

/* The list of modules that are not quantized, by its name in the format. */
static void add_plain(const struct target *t, struct ptqi_json_writer *w)
{
    const int names = t->format == PTQ_FORMAT_COMPRESSED_TENSORS || t->plain > 0;
    if (!names)
        return;
    ptqi_json_open(
        w, t->format == PTQ_FORMAT_COMPRESSED_TENSORS ? "ignore" : "modules_to_not_convert", '[');
    ptqi_json_add_text(w, NULL, "lm_head");
    for (int64_t i = 0; i < t->plain; i++)
        ptqi_json_add_text(w, NULL, t->plain_names[i]);
    ptqi_json_close(w, ']');
}

static ptq_status make_config(struct target *t, const char *text, struct ptqi_json_writer *w)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    PTQI_TRY(ptqi_json_parse(t->model->context, text, (int64_t)strlen(text), "config", &document,
                             &root));
    ptqi_json_open(w, NULL, '{');
    for (const struct ptqi_json *m = root->first; m; m = m->next)
        ptqi_json_add_value(w, m->name, m);
    add_plain(t, w);
    ptqi_json_close(w, '}');
    ptqi_json_free(document);
    return PTQ_OK;
}

ptq_status target_describe(struct target *t)
{
    ptq_context *context = t->model->context;
    struct ptqi_json_writer w;
    char text[4096];
    ptq_status status = PTQ_OK;
    const int from_source = is_own_format(t);
    if (t->format == PTQ_FORMAT_PTQ || t->format == PTQ_FORMAT_GGUF)
        return PTQ_OK;
    ptqi_json_begin(&w, context);
    if (from_source) {
        ptqi_json_add_value(&w, NULL, source_of(t));
    } else {
        ptq_format_config(t->format, t->example, text, (int64_t)sizeof text);
        status = make_config(t, text, &w);
    }
    if (!status)
        status = ptqi_json_finish(&w);
    if (!status)
        t->config = ptqi_copy_text(context, w.text, w.length);
    ptqi_json_end(&w);
    return !status && !t->config ? PTQ_ERROR_MEMORY : status;
}

static ptq_status rewrite_matrix(const struct target *t, const ptq_store *from, const char *name,
                                 ptq_store *to)
{
    ptq_qtensor *q;
    PTQI_TRY(ptq_qtensor_read(t->model->context, ptq_format_find(from, name), from, name, &q));
    const ptq_status status = ptq_qtensor_write(q, t->format, to, name);
    ptq_qtensor_free(q);
    return status;
}

/* Writes a block's tensors from one store to another, its matrices in the target format. */
static ptq_status rewrite(const struct target *t, const ptq_store *from, int64_t block,
                          ptq_store *to)
{
    const struct checkpoint *c = t->model->checkpoint;
    if (t->config)
        PTQI_TRY(ptq_store_set_quantization(to, t->config));
    for (int64_t i = 0; i < ptq_store_count(from); i++) {
        const char *name = ptq_store_name(from, i);
        struct matrix matrix;
        enum matrix_part part = PART_NONE;
        if (from == c->store && c->places[i].block != block)
            continue;
        if (model_find_matrix(t->model, block, name, &matrix))
            part = matrix_part(from, matrix.name, name + strlen(matrix.name));
        if (part == PART_NONE)
            PTQI_TRY(ptq_store_copy(to, from, name));
        if (part == PART_FIRST)
            PTQI_TRY(rewrite_matrix(t, from, matrix.name, to));
        PTQI_TRY(ptqi_check_cancelled(t->model->context));
    }
    return PTQ_OK;
}

/* Of the ptq format, with the config of the tool that quantized the model. */
static void add_own_config(const struct target *t, struct ptqi_json_writer *w)
{
    const struct ptqi_json *source = source_of(t);
    ptqi_json_open(w, "quantization_config", '{');
    ptqi_json_add_text(w, "quant_method", "ptq");
    ptqi_json_add_integer(w, "version", 1);
    if (source)
        ptqi_json_add_value(w, "source", source);
    ptqi_json_close(w, '}');
}

/* The text of config.json. */
static ptq_status model_config(const struct target *t, struct ptqi_json_writer *w)
{
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *root = NULL, *config = t->model->checkpoint->config;
    ptqi_json_begin(w, t->model->context);
    if (t->config)
        PTQI_TRY(ptqi_json_parse(t->model->context, t->config, (int64_t)strlen(t->config), "config",
                                 &document, &root));
    ptqi_json_open(w, NULL, '{');
    for (const struct ptqi_json *m = config->first; m; m = m->next)
        if (strcmp(m->name, "quantization_config"))
            ptqi_json_add_value(w, m->name, m);
    if (root)
        ptqi_json_add_value(w, "quantization_config", root);
    else
        add_own_config(t, w);
    ptqi_json_close(w, '}');
    ptqi_json_free(document);
    return ptqi_json_finish(w);
}

void target_begin(const struct target *t, struct output *o)
{
    if (t->format == PTQ_FORMAT_GGUF)
        o->ending = ".gguf";
}

ptq_status target_convert_block(const struct target *t, const ptq_store *from, int64_t block,
                                const struct output *o)
{
    struct part part;
    ptq_status status = part_replace(o, block, &part);
    if (!status)
        status = t->format == PTQ_FORMAT_GGUF ? gguf_add_block(t->model, from, block, part.store)
                                              : rewrite(t, from, block, part.store);
    if (!status)
        status = ptq_store_commit(part.store);
    part_free(o, &part);
    return status;
}

/* An embedding or head: the ptq format has it quantized, and others in f32. */
static ptq_status rewrite_token_matrix(const struct target *t, const struct output *o,
                                       const char *name, const struct token_matrix *m,
                                       struct part *part)
{
    const struct model_config *c = &t->model->config;
    char tensor[MAX_LAYER_NAME + 8];
    if (t->format == PTQ_FORMAT_PTQ)
        return ptq_qtensor_write(m->quantized, t->format, part->store, name);
    float *values =
        ptqi_alloc(t->model->context, c->vocabulary * c->hidden, (int64_t)sizeof *values);
    ptq_status status = values ? token_matrix_to_f32(m, values) : PTQ_ERROR_MEMORY;
    snprintf(tensor, sizeof tensor, "%s.weight", name);
    if (!status)
        status = part_add(o, part, tensor, PTQ_DTYPE_F32, values, c->vocabulary, c->hidden);
    ptqi_free(t->model->context, values);
    return status;
}

static ptq_status rewrite_outside(const struct target *t, const struct output *o, struct part *part)
{
    const struct model *m = t->model;
    const char *embedding = m->config.architecture->embedding;
    char name[MAX_LAYER_NAME];
    snprintf(name, sizeof name, "%s%.*s", m->prefix, (int)(strlen(embedding) - strlen(".weight")),
             embedding);
    if (m->embedding.quantized)
        PTQI_TRY(rewrite_token_matrix(t, o, name, &m->embedding, part));
    if (m->own_head.quantized)
        PTQI_TRY(rewrite_token_matrix(t, o, "lm_head", &m->own_head, part));
    return ptq_store_commit(part->store);
}

ptq_status target_convert_outside(const struct target *t, const struct output *o)
{
    struct part part;
    if (t->format == PTQ_FORMAT_GGUF ||
        (!t->model->embedding.quantized && !t->model->own_head.quantized))
        return PTQ_OK;
    ptq_status status = part_replace(o, o->blocks, &part);
    if (!status)
        status = rewrite_outside(t, o, &part);
    part_free(o, &part);
    return status;
}

/* A directory: with a config of the model and, for GPTQ, one of the quantization. */
static ptq_status finish_directory(const struct target *t, struct output *o, int keep_run,
                                   int64_t *bytes)
{
    struct ptqi_json_writer config;
    o->foreign = t->format != PTQ_FORMAT_PTQ;
    ptq_status status = model_config(t, &config);
    if (!status && t->format == PTQ_FORMAT_GPTQ)
        status = output_write(o, "quantize_config.json", t->config);
    if (!status)
        status = output_finish(o, config.text, keep_run, bytes);
    ptqi_json_end(&config);
    return status;
}

ptq_status target_finish(const struct target *t, struct output *o, int keep_run, int64_t *bytes)
{
    if (t->format == PTQ_FORMAT_GGUF)
        return gguf_file_finish(t->model, o, t->tokens, bytes);
    return finish_directory(t, o, keep_run, bytes);
}

void target_free(struct target *t)
{
    if (!t->model)
        return;
    ptq_qtensor_free(t->example);
    for (int64_t i = 0; i < t->plain; i++)
        ptqi_free(t->model->context, t->plain_names[i]);
    ptqi_free(t->model->context, t->plain_names);
    ptqi_free(t->model->context, t->config);
}
