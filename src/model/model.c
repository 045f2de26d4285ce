/*
 * Opening a checkpoint, loading its blocks, embedding and head.
 */
#include "model/architecture.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/exact.h"
#include "base/file.h"
#include "base/half.h"
#include "linalg/matmul.h"
#include "model/unused.h"

int64_t architecture_width(const struct model_config *c, enum width width)
{
    const int64_t heads = c->heads * c->head_dim;
    switch (width) {
    case WIDTH_HIDDEN:
        return c->hidden;
    case WIDTH_HEADS:
        return heads;
    case WIDTH_KV:
        return c->kv_heads * c->head_dim;
    case WIDTH_FUSED:
        return 3 * heads;
    default:
        return c->intermediate;
    }
}

void model_block_prefix(const struct model *m, int64_t block, char *name)
{
    snprintf(name, MAX_LAYER_NAME, "%s%s%lld.", m->prefix, m->config.architecture->blocks,
             (long long)block);
}

int model_describe_matrix(const struct model *m, int64_t block, int number, struct matrix *matrix)
{
    const struct architecture *a = m->config.architecture;
    char prefix[MAX_LAYER_NAME / 2];
    if (number < 0 || number >= a->matrix_count)
        return 0;
    memset(matrix, 0, sizeof *matrix);
    snprintf(prefix, sizeof prefix, "%s%s", m->prefix, a->blocks);
    snprintf(matrix->name, sizeof matrix->name, "%s%lld.%s", prefix, (long long)block,
             a->matrices[number].name);
    matrix->site = a->matrices[number].site;
    matrix->n = architecture_width(&m->config, a->matrices[number].n);
    matrix->k = architecture_width(&m->config, a->matrices[number].k);
    return 1;
}

void model_norm_name(const struct model *m, int64_t block, int number, int bias, char *name)
{
    const struct architecture *a = m->config.architecture;
    snprintf(name, MAX_LAYER_NAME, "%s%s%lld.%s.%s", m->prefix, a->blocks, (long long)block,
             a->norms[number], bias ? "bias" : "weight");
}

/* A tensor by name that must have this shape (columns 0: a vector) and hold floats. */
static ptq_status find_tensor(const struct model *m, const ptq_store *store, const char *name,
                              int64_t rows, int64_t columns, ptq_tensor **tensor)
{
    PTQI_TRY(ptq_store_tensor(store, name, tensor));
    int32_t rank = columns ? 2 : 1, dtype = ptq_tensor_dtype(*tensor);
    ptq_status status = PTQ_OK;
    if (ptq_tensor_rank(*tensor) != rank || ptq_tensor_size(*tensor, 0) != rows ||
        (columns && ptq_tensor_size(*tensor, 1) != columns))
        status = ptqi_fail(m->context, PTQ_ERROR_SHAPE,
                           "%s: %s: its shape should be [%lld%s%.0lld] by config.json", m->path,
                           name, (long long)rows, columns ? ", " : "", (long long)columns);
    else if (dtype != PTQ_F32 && dtype != PTQ_F16 && dtype != PTQ_BF16)
        status =
            ptqi_fail(m->context, PTQ_ERROR_DTYPE, "%s: %s: not f32, f16 or bf16", m->path, name);
    if (status) {
        ptq_tensor_free(*tensor);
        *tensor = NULL;
    }
    return status;
}

/* count values as f32, width of them a row; they must be finite. */
static ptq_status check_values(const struct model *m, const char *name, const float *values,
                               int64_t count, int64_t width)
{
    for (int64_t i = 0; i < count; i++)
        if (values[i] - values[i] != 0)
            return ptqi_fail(m->context, PTQ_ERROR_NOT_FINITE, "%s: %s[%lld][%lld] is %s", m->path,
                             name, (long long)(i / width), (long long)(i % width),
                             values[i] != values[i] ? "NaN" : "infinite");
    return PTQ_OK;
}

static ptq_status load_floats(const struct model *m, const ptq_store *store, const char *name,
                              int64_t rows, int64_t columns, float **out)
{
    ptq_tensor *tensor;
    PTQI_TRY(find_tensor(m, store, name, rows, columns, &tensor));
    int64_t count = ptq_tensor_elements(tensor);
    *out = ptqi_alloc(m->context, count, (int64_t)sizeof **out);
    ptq_status status = *out ? ptq_tensor_to_f32(tensor, *out) : PTQ_ERROR_MEMORY;
    ptq_tensor_free(tensor);
    if (!status)
        status = check_values(m, name, *out, count, columns ? columns : rows);
    if (status) {
        ptqi_free(m->context, *out);
        *out = NULL;
    }
    return status;
}

/* Embedding and head stay in their dtype, mapped; a look at each row, so that no NaN hides in them.
 */
static ptq_status check_rows(const struct model *m, const ptq_tensor *tensor)
{
    const int32_t dtype = ptq_tensor_dtype(tensor);
    const int64_t rows = ptq_tensor_size(tensor, 0), k = ptq_tensor_size(tensor, 1);
    const char *data = ptq_tensor_data(tensor);
    float *row = ptqi_alloc(m->context, k, (int64_t)sizeof *row);
    ptq_status status = row ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < rows && !status; i++) {
        ptqi_to_f32(row, data + i * k * ptq_dtype_size(dtype), dtype, k);
        for (int64_t j = 0; j < k; j++)
            if (row[j] - row[j] != 0)
                status = ptqi_fail(m->context, PTQ_ERROR_NOT_FINITE, "%s: %s[%lld][%lld] is %s",
                                   m->path, ptq_tensor_name(tensor), (long long)i, (long long)j,
                                   row[j] != row[j] ? "NaN" : "infinite");
    }
    ptqi_free(m->context, row);
    return status;
}

static ptq_status load_vector(const struct model *m, const ptq_store *store, const char *name,
                              int64_t length, struct vector *v)
{
    ptq_tensor *tensor;
    PTQI_TRY(find_tensor(m, store, name, length, 0, &tensor));
    v->length = length;
    v->dtype = ptq_tensor_dtype(tensor);
    ptq_tensor_free(tensor);
    return load_floats(m, store, name, length, 0, &v->values);
}

static ptq_status load_norm(const struct model *m, const char *name, struct norm *norm)
{
    char whole[MAX_LAYER_NAME];
    snprintf(whole, sizeof whole, "%s%s.weight", m->prefix, name);
    PTQI_TRY(load_vector(m, m->store, whole, m->config.hidden, &norm->weight));
    if (!m->config.architecture->norm_bias)
        return PTQ_OK;
    snprintf(whole, sizeof whole, "%s%s.bias", m->prefix, name);
    return load_vector(m, m->store, whole, m->config.hidden, &norm->bias);
}

static void free_norm(ptq_context *context, struct norm *norm)
{
    ptqi_free(context, norm->weight.values);
    ptqi_free(context, norm->bias.values);
}

/* Whether two matrices of the same shape have the same values, whatever their dtypes. */
static ptq_status same_values(const struct model *m, const ptq_tensor *a, const ptq_tensor *b,
                              int *same)
{
    const ptq_tensor *both[2] = {a, b};
    const int64_t rows = ptq_tensor_size(a, 0), k = ptq_tensor_size(a, 1);
    float *row = ptqi_alloc(m->context, 2 * k, (int64_t)sizeof *row);
    if (!row)
        return PTQ_ERROR_MEMORY;
    *same = 1;
    for (int64_t i = 0; i < rows && *same; i++) {
        for (int j = 0; j < 2; j++) {
            const int32_t dtype = ptq_tensor_dtype(both[j]);
            const char *data = ptq_tensor_data(both[j]);
            ptqi_to_f32(row + j * k, data + i * k * ptq_dtype_size(dtype), dtype, k);
        }
        *same = !memcmp(row, row + k, (size_t)k * sizeof *row);
    }
    ptqi_free(m->context, row);
    return PTQ_OK;
}

/* The head: lm_head, or the embedding where they are tied. A checkpoint that says so and has a head
 * with other values was trained on untied; like transformers 5, we take what is there. */
static ptq_status load_head(struct model *m)
{
    static const char name[] = "lm_head.weight";
    const struct model_config *c = &m->config;
    int same = 1;
    m->head = m->embedding;
    if (c->tied && !ptq_store_has(m->store, name))
        return PTQ_OK;
    ptq_tensor *own;
    PTQI_TRY(find_tensor(m, m->store, name, c->vocabulary, c->hidden, &own));
    m->head = own;
    PTQI_TRY(check_rows(m, own));
    if (c->tied)
        PTQI_TRY(same_values(m, own, m->embedding, &same));
    if (c->tied && same) {
        ptq_tensor_free(own);
        m->head = m->embedding;
    }
    return PTQ_OK;
}

static ptq_status load_model(struct model *m)
{
    const struct model_config *c = &m->config;
    const struct architecture *a = c->architecture;
    char name[MAX_LAYER_NAME];
    PTQI_TRY(ptq_store_open(m->context, m->path, &m->store));
    m->prefix = a->prefix;
    if (ptq_store_has(m->store, a->embedding))
        m->prefix = ""; /* saved without the head around it, as the published BLOOM is */
    snprintf(name, sizeof name, "%s%s", m->prefix, a->embedding);
    PTQI_TRY(find_tensor(m, m->store, name, c->vocabulary, c->hidden, &m->embedding));
    PTQI_TRY(check_rows(m, m->embedding));
    PTQI_TRY(load_head(m));
    if (a->embedding_norm)
        PTQI_TRY(load_norm(m, a->embedding_norm, &m->embedding_norm));
    PTQI_TRY(load_norm(m, a->final_norm, &m->final_norm));
    return model_check_contents(m);
}

ptq_status model_open(ptq_context *context, const char *directory, struct model **model)
{
    *model = NULL;
    if (!ptqi_is_directory(directory))
        return ptqi_fail(context, PTQ_ERROR_IO,
                         "%s: no such directory (a Hugging Face model directory is needed)",
                         directory);
    struct model *m = ptqi_alloc_zero(context, 1, (int64_t)sizeof *m);
    if (!m)
        return PTQ_ERROR_MEMORY;
    m->context = context;
    m->path = ptqi_copy_text(context, directory, (int64_t)strlen(directory));
    m->unused = ptqi_alloc_zero(context, 1, (int64_t)sizeof *m->unused);
    ptq_status status = m->path && m->unused
                            ? model_read_config(context, directory, &m->config, m->unused)
                            : PTQ_ERROR_MEMORY;
    if (!status)
        status = load_model(m);
    if (status) {
        model_free(m);
        return status;
    }
    *model = m;
    return PTQ_OK;
}

void model_free(struct model *m)
{
    if (!m)
        return;
    if (m->head != m->embedding)
        ptq_tensor_free(m->head);
    ptq_tensor_free(m->embedding);
    free_norm(m->context, &m->embedding_norm);
    free_norm(m->context, &m->final_norm);
    ptqi_free(m->context, m->head_f32);
    ptqi_free(m->context, m->rope_cos);
    ptqi_free(m->context, m->rope_sin);
    ptqi_free(m->context, m->slopes);
    ptq_store_free(m->store);
    ptqi_free(m->context, m->path);
    ptqi_free(m->context, m->unused);
    ptqi_free(m->context, m);
}

/* A quantized matrix, read and packed. */
static ptq_status load_quantized(const struct model *m, const ptq_store *store, int32_t activations,
                                 struct matrix *matrix)
{
    ptq_qtensor *q;
    PTQI_TRY(ptq_qtensor_read(m->context, store, matrix->name, &q));
    ptq_status status = PTQ_OK;
    if (ptq_qtensor_n(q) != matrix->n || ptq_qtensor_k(q) != matrix->k)
        status = ptqi_fail(m->context, PTQ_ERROR_SHAPE,
                           "%s: %s: its shape should be [%lld, %lld] by config.json", m->path,
                           matrix->name, (long long)matrix->n, (long long)matrix->k);
    if (!status && activations >= 0)
        status = ptq_qtensor_set_activations(q, activations);
    if (!status)
        status = ptq_linear_create(m->context, q, &matrix->linear);
    if (!status && matrix->bias.values)
        status = ptq_linear_set_bias(matrix->linear, matrix->bias.values);
    ptq_qtensor_free(q);
    return status;
}

static ptq_status load_matrix(const struct model *m, const ptq_store *store, int32_t activations,
                              struct matrix *matrix, int *quantized)
{
    char name[MAX_LAYER_NAME + 16];
    snprintf(name, sizeof name, "%s.bias", matrix->name);
    if (ptq_store_has(store, name))
        PTQI_TRY(load_vector(m, store, name, matrix->n, &matrix->bias));
    if (ptq_store_metadata(store, matrix->name)) {
        ++*quantized;
        return load_quantized(m, store, activations, matrix);
    }
    snprintf(name, sizeof name, "%s.weight", matrix->name);
    return load_floats(m, store, name, matrix->n, matrix->k, &matrix->weight);
}

static ptq_status load_block(const struct model *m, const ptq_store *store, int32_t activations,
                             struct block *b, int *quantized)
{
    char name[MAX_LAYER_NAME];
    *quantized = 0;
    while (model_describe_matrix(m, b->index, b->count, &b->matrices[b->count])) {
        struct matrix *matrix = &b->matrices[b->count++];
        PTQI_TRY(load_matrix(m, store, activations, matrix, quantized));
    }
    for (int i = 0; i < 2; i++) {
        model_norm_name(m, b->index, i, 0, name);
        PTQI_TRY(load_vector(m, store, name, m->config.hidden, &b->norms[i].weight));
        model_norm_name(m, b->index, i, 1, name);
        if (m->config.architecture->norm_bias)
            PTQI_TRY(load_vector(m, store, name, m->config.hidden, &b->norms[i].bias));
    }
    return PTQ_OK;
}

ptq_status model_load_block(const struct model *m, const ptq_store *store, int64_t index,
                            int32_t activations, struct block **block, int *quantized)
{
    struct block *b = ptqi_alloc_zero(m->context, 1, (int64_t)sizeof *b);
    *block = NULL;
    if (!b)
        return PTQ_ERROR_MEMORY;
    b->context = m->context;
    b->index = index;
    ptq_status status = load_block(m, store ? store : m->store, activations, b, quantized);
    if (status) {
        block_free(b);
        return status;
    }
    *block = b;
    return PTQ_OK;
}

void block_free(struct block *b)
{
    if (!b)
        return;
    for (int i = 0; i < b->count; i++) {
        ptqi_free(b->context, b->matrices[i].weight);
        ptqi_free(b->context, b->matrices[i].bias.values);
        ptq_linear_free(b->matrices[i].linear);
    }
    for (int i = 0; i < 2; i++)
        free_norm(b->context, &b->norms[i]);
    ptqi_free(b->context, b);
}

struct matrix *block_find(const struct block *b, const char *ending)
{
    size_t length = strlen(ending);
    for (int i = 0; i < b->count; i++) {
        size_t n = strlen(b->matrices[i].name);
        if (n >= length && !strcmp(b->matrices[i].name + n - length, ending))
            return (struct matrix *)(uintptr_t)&b->matrices[i];
    }
    return NULL;
}

int block_site_count(const struct block *b, int first)
{
    int count = 1;
    while (first + count < b->count && b->matrices[first + count].site == b->matrices[first].site)
        count++;
    return count;
}

ptq_status model_embed(const struct model *m, const int32_t *ids, int64_t count, float *x)
{
    const int64_t hidden = m->config.hidden;
    const int32_t dtype = ptq_tensor_dtype(m->embedding);
    const char *rows = ptq_tensor_data(m->embedding);
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= m->config.vocabulary)
            return ptqi_fail(m->context, PTQ_ERROR_BOUNDS,
                             "%s: the tokenizer gives id %d, beyond vocab_size %lld", m->path,
                             ids[i], (long long)m->config.vocabulary);
        ptqi_to_f32(x + i * hidden, rows + ids[i] * hidden * ptq_dtype_size(dtype), dtype, hidden);
    }
    if (m->embedding_norm.weight.values)
        norm_rows(m, &m->embedding_norm, x, count, x);
    return PTQ_OK;
}

ptq_status model_logits(struct model *m, const float *x, int64_t rows, float *logits)
{
    const struct model_config *c = &m->config;
    if (!m->head_f32) {
        m->head_f32 = ptqi_alloc(m->context, ptq_tensor_elements(m->head), 4);
        if (!m->head_f32)
            return PTQ_ERROR_MEMORY;
        PTQI_TRY(ptq_tensor_to_f32(m->head, m->head_f32));
    }
    float *normed = ptqi_alloc(m->context, rows * c->hidden, (int64_t)sizeof *normed);
    if (!normed)
        return PTQ_ERROR_MEMORY;
    norm_rows(m, &m->final_norm, x, rows, normed);
    ptq_status status =
        ptqi_matmul_linear(m->context, rows, c->vocabulary, c->hidden, normed, m->head_f32, logits);
    ptqi_free(m->context, normed);
    return status;
}

ptq_status workspace_create(const struct model *m, int64_t rows, struct workspace **out)
{
    const struct model_config *c = &m->config;
    const int fused = c->architecture->matrices[0].n == WIDTH_FUSED;
    struct workspace *w = ptqi_alloc_zero(m->context, 1, (int64_t)sizeof *w);
    *out = w;
    if (!w)
        return PTQ_ERROR_MEMORY;
    w->context = m->context;
    w->rows = rows;
    struct {
        float **buffer;
        int64_t width;
    } wanted[] = {
        {&w->normed, c->hidden},
        {&w->q, c->heads * c->head_dim},
        {&w->k, fused ? 0 : c->kv_heads * c->head_dim},
        {&w->v, fused ? 0 : c->kv_heads * c->head_dim},
        {&w->fused, fused ? architecture_width(c, WIDTH_FUSED) : 0},
        {&w->gate, c->intermediate},
        {&w->up, c->architecture->before_down ? c->intermediate : 0},
        {&w->out, c->hidden},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        int64_t count;
        if (wanted[i].width == 0)
            continue;
        if (!ptqi_multiply(rows, wanted[i].width, &count) ||
            !(*wanted[i].buffer = ptqi_alloc(m->context, count, (int64_t)sizeof(float)))) {
            workspace_free(w);
            *out = NULL;
            return PTQ_ERROR_MEMORY;
        }
    }
    return PTQ_OK;
}

void workspace_free(struct workspace *w)
{
    if (!w)
        return;
    float *buffers[] = {w->normed, w->q, w->k, w->v, w->fused, w->gate, w->up, w->out};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        ptqi_free(w->context, buffers[i]);
    ptqi_free(w->context, w->prepared);
    ptqi_free(w->context, w);
}
