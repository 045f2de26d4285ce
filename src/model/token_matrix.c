#include "model/token_matrix.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/half.h"
#include "model/weights.h"

/* The name of the quantized matrix that a tensor may be. */
static void matrix_name(const char *tensor, char name[MAX_LAYER_NAME])
{
    snprintf(name, MAX_LAYER_NAME, "%.*s", (int)(strlen(tensor) - strlen(".weight")), tensor);
}

static int32_t format_of(const struct model *m, const char *tensor, char name[MAX_LAYER_NAME])
{
    matrix_name(tensor, name);
    return ptq_format_find(m->checkpoint->store, name);
}

int token_matrix_exists(const struct model *m, const char *tensor)
{
    char name[MAX_LAYER_NAME];
    return ptq_store_has(m->checkpoint->store, tensor) || format_of(m, tensor, name);
}

ptq_status token_matrix_open(const struct model *m, const char *tensor, struct token_matrix *t)
{
    const struct model_config *c = &m->config;
    char name[MAX_LAYER_NAME];
    const int32_t format = format_of(m, tensor, name);
    if (!format) {
        PTQI_TRY(
            weights_find(m, m->checkpoint->store, tensor, c->vocabulary, c->hidden, &t->plain));
        return weights_check_rows(m, t->plain);
    }
    PTQI_TRY(ptq_qtensor_read(m->context, format, m->checkpoint->store, name, &t->quantized));
    if (ptq_qtensor_n(t->quantized) == c->vocabulary && ptq_qtensor_k(t->quantized) == c->hidden)
        return PTQ_OK;
    return ptqi_fail(m->context, PTQ_ERROR_SHAPE,
                     "%s: %s: its shape should be [%lld, %lld] by config.json", m->checkpoint->path,
                     name, (long long)c->vocabulary, (long long)c->hidden);
}

void token_matrix_free(struct token_matrix *t)
{
    ptq_tensor_free(t->plain);
    ptq_qtensor_free(t->quantized);
    t->plain = NULL;
    t->quantized = NULL;
}

ptq_status token_matrix_row(const struct token_matrix *t, int64_t id, float *x)
{
    if (t->quantized)
        return ptq_qtensor_dequantize_row(t->quantized, id, x);
    const int32_t dtype = ptq_tensor_dtype(t->plain);
    const int64_t columns = ptq_tensor_size(t->plain, 1);
    const char *rows = ptq_tensor_data(t->plain);
    ptqi_to_f32(x, rows + id * columns * ptq_dtype_size(dtype), dtype, columns);
    return PTQ_OK;
}

ptq_status token_matrix_to_f32(const struct token_matrix *t, float *out)
{
    return t->quantized ? ptq_qtensor_dequantize(t->quantized, out)
                        : ptq_tensor_to_f32(t->plain, out);
}

ptq_status token_matrix_compare(const struct model *m, const struct token_matrix *a,
                                const struct token_matrix *b, int *same)
{
    const int64_t columns = m->config.hidden;
    float *row = ptqi_alloc(m->context, 2 * columns, (int64_t)sizeof *row);
    ptq_status status = row ? PTQ_OK : PTQ_ERROR_MEMORY;
    *same = 1;
    for (int64_t i = 0; i < m->config.vocabulary && *same && !status; i++) {
        status = token_matrix_row(a, i, row);
        if (!status)
            status = token_matrix_row(b, i, row + columns);
        *same = !status && !memcmp(row, row + columns, (size_t)columns * sizeof *row);
    }
    ptqi_free(m->context, row);
    return status;
}
