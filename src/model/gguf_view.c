#include "model/gguf_view.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "model/architecture.h"
#include "model/gguf_config.h"
#include "model/gguf_names.h"
#include "model/gguf_rope.h"
#include "store/store.h"

struct view {
    const struct model *m;
    const ptq_store *file;
    ptq_store *store; /* being made */
    char *used;       /* [tensors of the file] */
};

/* What a tensor is, beyond its name. */
struct use {
    int64_t block;               /* -1: none */
    const struct matrix *matrix; /* whose weight or bias it is, or NULL */
    int is_norm;
    int is_token_matrix;
};

ptq_status gguf_open_config(struct checkpoint *c)
{
    struct ptqi_json_writer w;
    memset(&w, 0, sizeof w);
    w.context = c->context;
    ptq_status status = gguf_write_config(c->context, c->store, c->path, &w);
    if (!status)
        status = ptqi_json_parse(c->context, w.text, w.length, c->path, &c->document, &c->config);
    ptqi_json_end(&w);
    return status;
}

/* The rows of a matrix, or of its bias, in the order of the checkpoint. */
static ptq_status order_rows(const struct model *m, const struct matrix *matrix,
                             struct ptqi_entry *e)
{
    int64_t moved = 0;
    for (int64_t n = 0; n < matrix->n; n++)
        moved += gguf_row(&m->config, matrix->role, n) != n;
    if (!moved || !e->rank || e->shape[0] != matrix->n) /* a wrong shape is found on loading */
        return PTQ_OK;
    e->rows = ptqi_alloc(m->context, matrix->n, (int64_t)sizeof *e->rows);
    for (int64_t n = 0; e->rows && n < matrix->n; n++)
        e->rows[gguf_row(&m->config, matrix->role, n)] = n;
    return e->rows ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* Adds an f32 tensor of the same shape as another, whose values are still to be computed. */
static ptq_status add_floats(struct view *v, const char *name, const struct ptqi_entry *source,
                             float **values)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_describe(v->store, name, PTQ_DTYPE_F32, source->rank, source->shape, &e));
    e->data = e->owned = *values = ptqi_alloc(v->m->context, e->bytes, 1);
    return *values ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* The weight of a norm, to which 1 has been added. */
static ptq_status add_norm(struct view *v, const char *name, const struct ptqi_entry *source)
{
    ptq_tensor *t;
    float *values;
    PTQI_TRY(ptq_store_tensor(v->file, source->name, &t));
    ptq_status status = add_floats(v, name, source, &values);
    if (!status)
        status = ptq_tensor_to_f32(t, values);
    for (int64_t i = 0; !status && i < ptq_tensor_elements(t); i++)
        values[i] -= 1.0f;
    ptq_tensor_free(t);
    return status;
}

/* A router or positions in blocks, which this program reads as plain values. */
static ptq_status add_dequantized(struct view *v, const char *name, const struct ptqi_entry *source)
{
    ptq_qtensor *q;
    float *values;
    char prefix[MAX_GGUF_NAME];
    snprintf(prefix, sizeof prefix, "%.*s", (int)(strlen(source->name) - strlen(".weight")),
             source->name);
    PTQI_TRY(ptq_qtensor_read(v->m->context, PTQ_FORMAT_GGUF, v->file, prefix, &q));
    ptq_status status = add_floats(v, name, source, &values);
    if (!status)
        status = ptq_qtensor_dequantize(q, values);
    ptq_qtensor_free(q);
    return status;
}

static int is_quantized(const struct ptqi_entry *e)
{
    char prefix[MAX_GGUF_NAME];
    const size_t length = strlen(e->name), tail = strlen(".weight");
    return !e->dtype && e->rank == 2 && length > tail && length - tail < sizeof prefix &&
           !strcmp(e->name + length - tail, ".weight");
}

/* A matrix or a part of one, or its bias, as it is in the file. */
static ptq_status add_as_is(struct view *v, const char *name, const struct ptqi_entry *source,
                            const struct use *use)
{
    const int64_t expert = use->matrix ? use->matrix->expert : -1;
    struct ptqi_entry *e;
    if (expert >= 0 && (source->rank < 2 || source->shape[0] != v->m->config.experts))
        return ptqi_fail(v->m->context, PTQ_ERROR_SHAPE,
                         "%s: %s does not have a part for each "
                         "expert",
                         v->m->checkpoint->path, source->name);
    PTQI_TRY(ptqi_view_add(v->store, name, v->file, source, expert, &e));
    return use->matrix ? order_rows(v->m, use->matrix, e) : PTQ_OK;
}

/* Reads one row, so that a type that cannot be read is refused before any work. */
static ptq_status check_type(const struct view *v, const struct ptqi_entry *source)
{
    char prefix[MAX_GGUF_NAME];
    struct ptqi_entry *e;
    ptq_store *row;
    ptq_qtensor *q;
    if (source->dtype || source->rank < 2 || !source->bytes)
        return PTQ_OK;
    PTQI_TRY(ptqi_view_create(v->file, &row));
    ptq_status status = ptqi_view_add(row, source->name, v->file, source, -1, &e);
    if (!status) {
        e->shape[0] = 1;
        e->shape[1] = source->shape[source->rank - 1];
        e->rank = 2;
        snprintf(prefix, sizeof prefix, "%.*s", (int)(strlen(source->name) - strlen(".weight")),
                 source->name);
        status = ptq_qtensor_read(v->m->context, PTQ_FORMAT_GGUF, row, prefix, &q);
    }
    if (!status)
        ptq_qtensor_free(q);
    ptq_store_free(row);
    return status;
}

/* Adds a tensor under its name in a checkpoint, if the file has it. */
static ptq_status add(struct view *v, const char *name, const struct use *use)
{
    char other[MAX_GGUF_NAME];
    const int64_t i =
        gguf_name_of(v->m, use->block, name, other) ? ptq_store_find(v->file, other) : -1;
    if (i < 0)
        return PTQ_OK;
    const struct ptqi_entry *source = &v->file->entries[i];
    if (!v->used[i])
        PTQI_TRY(check_type(v, source));
    v->used[i] = 1;
    if (use->is_norm && v->m->config.architecture->norm_plus_one)
        return add_norm(v, name, source);
    if (!use->matrix && !use->is_token_matrix && is_quantized(source))
        return add_dequantized(v, name, source);
    return add_as_is(v, name, source, use);
}

/* Adds name.weight and name.bias. */
static ptq_status add_both(struct view *v, const char *name, const struct use *use)
{
    static const char *const endings[] = {"weight", "bias"};
    char whole[MAX_LAYER_NAME + 8];
    for (int i = 0; i < 2; i++) {
        snprintf(whole, sizeof whole, "%s.%s", name, endings[i]);
        PTQI_TRY(add(v, whole, use));
    }
    return PTQ_OK;
}

static ptq_status add_outside(struct view *v)
{
    const struct architecture *a = v->m->config.architecture;
    const char *const tensors[] = {a->embedding, a->positions};
    const char *const norms[] = {a->embedding_norm, a->final_norm};
    const struct use norm = {-1, NULL, 1, 0}, head = {-1, NULL, 0, 1};
    char name[MAX_LAYER_NAME];
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", v->m->prefix, tensors[i] ? tensors[i] : "");
        const struct use use = {-1, NULL, 0, !i};
        PTQI_TRY(tensors[i] ? add(v, name, &use) : PTQ_OK);
        snprintf(name, sizeof name, "%s%s", v->m->prefix, norms[i] ? norms[i] : "");
        PTQI_TRY(norms[i] ? add_both(v, name, &norm) : PTQ_OK);
    }
    return add(v, "lm_head.weight", &head);
}

static ptq_status add_block(struct view *v, int64_t block)
{
    char name[MAX_LAYER_NAME];
    struct matrix matrix;
    const struct use plain = {block, NULL, 0, 0}, norm = {block, NULL, 1, 0};
    for (int i = 0; model_describe_matrix(v->m, block, i, &matrix); i++) {
        const struct use use = {block, &matrix, 0, 0};
        PTQI_TRY(add_both(v, matrix.name, &use));
    }
    for (int i = 0; i < 2 * NORMS; i++)
        if (model_norm_name(v->m, block, i / 2, i % 2, name))
            PTQI_TRY(add(v, name, &norm));
    return model_router_name(v->m, block, name) ? add(v, name, &plain) : PTQ_OK;
}

/* A tensor that is left over takes part in what another program computes. */
static ptq_status check_used(const struct view *v)
{
    for (int64_t i = 0; i < ptq_store_count(v->file); i++)
        if (!v->used[i] && !gguf_is_rope_tensor(ptq_store_name(v->file, i)))
            return ptqi_fail(v->m->context, PTQ_ERROR_UNSUPPORTED,
                             "%s: %.200s is a tensor that this architecture does not use",
                             v->m->checkpoint->path, ptq_store_name(v->file, i));
    return PTQ_OK;
}

static ptq_status add_all(struct view *v)
{
    if (v->m->config.layers > ptq_store_count(v->file)) /* of which each block has some */
        return ptqi_fail(v->m->context, PTQ_ERROR_MISSING,
                         "%s: block_count is %lld, but there are "
                         "%lld tensors",
                         v->m->checkpoint->path, (long long)v->m->config.layers,
                         (long long)ptq_store_count(v->file));
    PTQI_TRY(add_outside(v));
    for (int64_t b = 0; b < v->m->config.layers; b++)
        PTQI_TRY(add_block(v, b));
    return check_used(v);
}

ptq_status gguf_open_tensors(struct model *m)
{
    struct checkpoint *c = m->checkpoint;
    struct view v = {m, c->store, NULL, NULL};
    m->prefix = m->config.architecture->prefix;
    v.used = ptqi_alloc_zero(m->context, ptq_store_count(c->store), 1);
    ptq_status status = v.used ? ptqi_view_create(c->store, &v.store) : PTQ_ERROR_MEMORY;
    if (!status)
        status = add_all(&v);
    ptqi_free(m->context, v.used);
    if (status) {
        ptq_store_free(v.store);
        return status;
    }
    ptq_store_free(c->store); /* the view keeps it open */
    return checkpoint_set_store(c, v.store);
}
