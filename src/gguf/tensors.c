#include "gguf/tensors.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/half.h"
#include "format/gguf_encode.h"
#include "gguf/rope_factors.h"
#include "model/architecture.h"
#include "model/gguf_names.h"
#include "model/weights.h"
#include "store/store.h"

struct adding {
    const struct model *m;
    const ptq_store *from;
    int64_t block; /* -1: none */
    ptq_store *to;
};

/* Makes room for a tensor, which the checkpoint calls hf. */
static ptq_status make_room(const struct adding *a, const char *hf, const char *dtype, int32_t rank,
                            const int64_t *shape, int64_t bytes, void **data)
{
    char name[MAX_GGUF_NAME];
    if (!gguf_name_of(a->m, a->block, hf, name))
        return ptqi_fail(a->m->context, PTQ_ERROR_UNSUPPORTED, "%s: GGUF has no place for %s",
                         a->m->checkpoint->path, hf);
    return ptqi_store_put_raw(a->to, name, dtype, rank, shape, bytes, data);
}

/* A vector, or columns > 0 a matrix, that GGUF has in f32. */
static ptq_status put_floats(const struct adding *a, const char *hf, const float *values,
                             int64_t rows, int64_t columns)
{
    const int64_t shape[2] = {rows, columns};
    const int64_t bytes = rows * (columns ? columns : 1) * (int64_t)sizeof *values;
    void *data;
    PTQI_TRY(make_room(a, hf, "F32", columns ? 2 : 1, shape, bytes, &data));
    memcpy(data, values, (size_t)bytes);
    return PTQ_OK;
}

/* The weight or bias of a norm: GGUF has weights as they are applied. */
static ptq_status add_norm(const struct adding *a, const char *hf, int64_t length, int is_bias)
{
    struct vector v = {0};
    PTQI_TRY(weights_stored(a->m, a->from, hf, length, 0, &v));
    for (int64_t i = 0; i < length && !is_bias && a->m->config.architecture->norm_plus_one; i++)
        v.values[i] += 1.0f;
    const ptq_status status = put_floats(a, hf, v.values, length, 0);
    ptqi_free(a->m->context, v.values);
    return status;
}

static ptq_status add_bias(const struct adding *a, const struct matrix *matrix)
{
    char hf[MAX_LAYER_NAME + 8];
    struct vector v = {0};
    snprintf(hf, sizeof hf, "%s.bias", matrix->name);
    if (!ptq_store_has(a->from, hf))
        return PTQ_OK;
    PTQI_TRY(weights_stored(a->m, a->from, hf, matrix->n, 0, &v));
    float *ordered = ptqi_alloc(a->m->context, matrix->n, (int64_t)sizeof *ordered);
    for (int64_t n = 0; ordered && n < matrix->n; n++)
        ordered[n] = v.values[gguf_row(&a->m->config, matrix->role, n)];
    const ptq_status status = ordered ? put_floats(a, hf, ordered, matrix->n, 0) : PTQ_ERROR_MEMORY;
    ptqi_free(a->m->context, ordered);
    ptqi_free(a->m->context, v.values);
    return status;
}

/* A matrix, or those of all experts of a block with the same role. */
struct stack {
    struct matrix first;
    int64_t count;
    struct matrix *parts; /* [count] */
    ptq_qtensor **q;      /* [count] */
};

static void stack_name(const struct stack *s, char hf[MAX_LAYER_NAME + 8])
{
    snprintf(hf, MAX_LAYER_NAME + 8, "%s.weight", s->first.name);
}

static int32_t stack_shape(const struct stack *s, int64_t shape[3])
{
    const int stacked = s->first.expert >= 0;
    shape[0] = s->count;
    shape[stacked] = s->first.n;
    shape[stacked + 1] = s->first.k;
    return 2 + stacked;
}

static ptq_status put_quantized(const struct adding *a, const struct stack *s)
{
    char hf[MAX_LAYER_NAME + 8];
    const char *problem;
    int64_t shape[3];
    void *data;
    const struct ptqi_gguf_blocks *type =
        ptqi_gguf_choose_shared((const ptq_qtensor *const *)s->q, s->count, &problem);
    stack_name(s, hf);
    if (!type)
        return ptqi_fail(a->m->context, PTQ_ERROR_UNSUPPORTED, "%s: %s", s->first.name, problem);
    const int64_t row = s->first.k / type->values * type->bytes, rows = s->count * s->first.n;
    const int32_t rank = stack_shape(s, shape);
    PTQI_TRY(make_room(a, hf, type->name, rank, shape, rows * row, &data));
    for (int64_t i = 0; i < rows; i++)
        ptqi_gguf_encode_row(s->q[i / s->first.n], type,
                             gguf_row(&a->m->config, s->first.role, i % s->first.n),
                             (uint8_t *)data + i * row);
    return PTQ_OK;
}

static ptq_status read_quantized(const struct adding *a, struct stack *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        const char *name = s->parts[i].name;
        const int32_t format = ptq_format_find(a->from, name);
        if (!format)
            return ptqi_fail(a->m->context, PTQ_ERROR_UNSUPPORTED,
                             "%s: is not quantized, but other experts of the block are", name);
        PTQI_TRY(ptq_qtensor_read(a->m->context, format, a->from, name, &s->q[i]));
    }
    return put_quantized(a, s);
}

/* Copies the values of a plain matrix in the order of GGUF's rows. */
static ptq_status copy_plain(const struct adding *a, const struct matrix *matrix, int32_t dtype,
                             char *out)
{
    float *values;
    const int64_t row = matrix->k * ptq_dtype_size(dtype);
    PTQI_TRY(weights_matrix(a->m, a->from, matrix, &values));
    for (int64_t n = 0; n < matrix->n; n++)
        ptqi_from_f32(out + n * row, dtype,
                      values + gguf_row(&a->m->config, matrix->role, n) * matrix->k, matrix->k);
    ptqi_free(a->m->context, values);
    return PTQ_OK;
}

/* The dtype of the plain matrices of a stack; if they differ, f32, which can hold them all. */
static ptq_status find_dtype(const struct adding *a, const struct stack *s, int32_t *dtype)
{
    for (int64_t i = 0; i < s->count; i++) {
        char hf[MAX_LAYER_NAME + 8];
        ptq_tensor *tensor;
        snprintf(hf, sizeof hf, "%s.weight", s->parts[i].name);
        PTQI_TRY(ptq_store_tensor(a->from, hf, &tensor));
        const int32_t own = ptq_tensor_dtype(tensor);
        *dtype = !i || own == *dtype ? own : PTQ_DTYPE_F32;
        ptq_tensor_free(tensor);
    }
    return PTQ_OK;
}

static ptq_status put_plain(const struct adding *a, const struct stack *s)
{
    char hf[MAX_LAYER_NAME + 8];
    int64_t shape[3];
    int32_t dtype = PTQ_DTYPE_F32;
    void *data;
    PTQI_TRY(find_dtype(a, s, &dtype));
    stack_name(s, hf);
    const int32_t rank = stack_shape(s, shape);
    const int64_t bytes = s->first.n * s->first.k * ptq_dtype_size(dtype);
    PTQI_TRY(make_room(a, hf, ptqi_store_dtype_name(dtype), rank, shape, s->count * bytes, &data));
    for (int64_t i = 0; i < s->count; i++)
        PTQI_TRY(copy_plain(a, &s->parts[i], dtype, (char *)data + i * bytes));
    return PTQ_OK;
}

/* Finds the matrices of a stack. */
static ptq_status collect(const struct adding *a, struct stack *s)
{
    const int64_t most = s->first.expert < 0 ? 1 : a->m->config.experts;
    struct matrix other;
    s->parts = ptqi_alloc(a->m->context, most, (int64_t)sizeof *s->parts);
    s->q = ptqi_alloc_zero(a->m->context, most, (int64_t)sizeof *s->q);
    if (!s->parts || !s->q)
        return PTQ_ERROR_MEMORY;
    for (int i = 0; model_describe_matrix(a->m, a->block, i, &other); i++)
        if (other.role == s->first.role && s->count < most)
            s->parts[s->count++] = other;
    return PTQ_OK;
}

static ptq_status add_stack(const struct adding *a, const struct matrix *first)
{
    struct stack s = {.first = *first};
    ptq_status status = collect(a, &s);
    if (!status)
        status = ptq_format_find(a->from, first->name) ? read_quantized(a, &s) : put_plain(a, &s);
    for (int64_t i = 0; i < s.count; i++)
        ptq_qtensor_free(s.q[i]);
    ptqi_free(a->m->context, s.parts);
    ptqi_free(a->m->context, s.q);
    return status;
}

static ptq_status add_router(const struct adding *a)
{
    const int64_t experts = model_experts(a->m, a->block);
    char hf[MAX_LAYER_NAME];
    struct vector v = {0};
    if (!model_router_name(a->m, a->block, hf))
        return PTQ_OK;
    PTQI_TRY(weights_stored(a->m, a->from, hf, experts, a->m->config.hidden, &v));
    const ptq_status status = put_floats(a, hf, v.values, experts, a->m->config.hidden);
    ptqi_free(a->m->context, v.values);
    return status;
}

ptq_status gguf_add_block(const struct model *m, const ptq_store *from, int64_t block,
                          ptq_store *to)
{
    const struct adding a = {m, from, block, to};
    struct matrix matrix;
    char hf[MAX_LAYER_NAME];
    for (int i = 0; i < 2 * NORMS; i++) {
        const int64_t length = model_norm_name(m, block, i / 2, i % 2, hf);
        if (length)
            PTQI_TRY(add_norm(&a, hf, length, i % 2));
    }
    for (int i = 0; model_describe_matrix(m, block, i, &matrix); i++) {
        if (matrix.expert > 0)
            continue;
        PTQI_TRY(add_stack(&a, &matrix));
        PTQI_TRY(add_bias(&a, &matrix));
        PTQI_TRY(ptqi_check_cancelled(m->context));
    }
    return add_router(&a);
}

/* A matrix in a dtype. */
static ptq_status put_tensor(const struct adding *a, const char *hf, const ptq_tensor *t,
                             int32_t dtype)
{
    const int64_t rows = ptq_tensor_size(t, 0), k = ptq_tensor_size(t, 1);
    const int64_t from = k * ptq_dtype_size(ptq_tensor_dtype(t)), to = k * ptq_dtype_size(dtype);
    const int64_t shape[2] = {rows, k};
    void *data;
    PTQI_TRY(make_room(a, hf, ptqi_store_dtype_name(dtype), 2, shape, rows * to, &data));
    float *row = ptqi_alloc(a->m->context, k, (int64_t)sizeof *row);
    for (int64_t i = 0; row && i < rows; i++) {
        ptqi_to_f32(row, (const char *)ptq_tensor_data(t) + i * from, ptq_tensor_dtype(t), k);
        ptqi_from_f32((char *)data + i * to, dtype, row, k);
    }
    ptqi_free(a->m->context, row);
    return row ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static ptq_status add_token_matrix(const struct adding *a, const char *hf, const char *type,
                                   const struct token_matrix *t)
{
    const struct model_config *c = &a->m->config;
    ptq_qtensor *made = NULL;
    if (!t->quantized && !type)
        return put_tensor(a, hf, t->plain, ptq_tensor_dtype(t->plain));
    if (!t->quantized && !gguf_form_for(gguf_form(type), c->hidden))
        return put_tensor(a, hf, t->plain, PTQ_DTYPE_F16);
    if (!t->quantized)
        PTQI_TRY(gguf_round_tokens(a->m, type, t->plain, &made));
    struct stack s = {.first = {.role = ROLE_O, .expert = -1, .n = c->vocabulary, .k = c->hidden},
                      .count = 1};
    ptq_qtensor *one = made ? made : t->quantized;
    s.q = &one;
    snprintf(s.first.name, sizeof s.first.name, "%.*s", (int)(strlen(hf) - strlen(".weight")), hf);
    const ptq_status status = put_quantized(a, &s);
    ptq_qtensor_free(made);
    return status;
}

static ptq_status add_norms(const struct adding *a)
{
    const struct architecture *arch = a->m->config.architecture;
    const char *const norms[] = {arch->embedding_norm, arch->final_norm};
    static const char *const endings[] = {"weight", "bias"};
    char hf[MAX_LAYER_NAME];
    for (int i = 0; i < 4; i++) {
        if (!norms[i / 2] || (i % 2 && !arch->norm_bias))
            continue;
        snprintf(hf, sizeof hf, "%s%s.%s", a->m->prefix, norms[i / 2], endings[i % 2]);
        PTQI_TRY(add_norm(a, hf, a->m->config.hidden, i % 2));
    }
    return PTQ_OK;
}

ptq_status gguf_add_outside(const struct model *m, struct gguf_token_types types, int factors,
                            ptq_store *to)
{
    const struct adding a = {m, m->checkpoint->store, -1, to};
    const struct architecture *arch = m->config.architecture;
    char hf[MAX_LAYER_NAME];
    snprintf(hf, sizeof hf, "%s%s", m->prefix, arch->embedding);
    PTQI_TRY(add_token_matrix(&a, hf, types.embedding, &m->embedding));
    if (m->head != &m->embedding)
        PTQI_TRY(add_token_matrix(&a, "lm_head.weight", types.head, m->head));
    if (m->positions) {
        struct vector v = {0};
        const int64_t rows = ptq_tensor_size(m->positions, 0);
        snprintf(hf, sizeof hf, "%s%s", m->prefix, arch->positions);
        PTQI_TRY(weights_stored(m, m->checkpoint->store, hf, rows, m->config.hidden, &v));
        const ptq_status status = put_floats(&a, hf, v.values, rows, m->config.hidden);
        ptqi_free(m->context, v.values);
        PTQI_TRY(status);
    }
    PTQI_TRY(add_norms(&a));
    return factors ? gguf_add_rope_factors(m, to) : PTQ_OK;
}
