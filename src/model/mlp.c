/*
 * The activation functions between the matrices of an MLP.
 */
#include "model/architecture.h"
#include "base/context.h"
#include "rows/rows.h"

ptq_status mlp_swiglu_by(struct workspace *w, const struct matrix *gate, const struct matrix *up,
                         const float *input, int64_t rows, float *output)
{
    const struct matrix *matrices[] = {gate, up};
    float *const products[] = {w->gate, w->up};
    PTQI_TRY(matrices_apply(w, matrices, 2, input, rows, products));
    row_silu_multiply(w->context, w->gate, w->up, output, rows * gate->n);
    return PTQ_OK;
}

ptq_status mlp_swiglu(const struct model *m, const struct block *b, struct workspace *w,
                      const float *input, int64_t rows, float *output)
{
    (void)m;
    return mlp_swiglu_by(w, block_matrix(b, ROLE_GATE, -1), block_matrix(b, ROLE_UP, -1), input,
                         rows, output);
}

ptq_status mlp_swiglu_fused(const struct model *m, const struct block *b, struct workspace *w,
                            const float *input, int64_t rows, float *output)
{
    const int64_t width = m->config.intermediate;
    PTQI_TRY(matrix_apply(w, block_matrix(b, ROLE_GATE_UP, -1), input, rows, w->fused));
    for (int64_t t = 0; t < rows; t++) {
        const float *gate = w->fused + 2 * t * width;
        row_silu_multiply(w->context, gate, gate + width, output + t * width, width);
    }
    return PTQ_OK;
}

ptq_status mlp_relu(const struct model *m, const struct block *b, struct workspace *w,
                    const float *input, int64_t rows, float *output)
{
    PTQI_TRY(matrix_apply(w, block_matrix(b, ROLE_UP, -1), input, rows, output));
    for (int64_t i = 0; i < rows * m->config.intermediate; i++)
        output[i] = output[i] > 0 ? output[i] : 0;
    return PTQ_OK;
}

ptq_status mlp_geglu(const struct model *m, const struct block *b, struct workspace *w,
                     const float *input, int64_t rows, float *output)
{
    const struct matrix *matrices[] = {block_matrix(b, ROLE_GATE, -1),
                                       block_matrix(b, ROLE_UP, -1)};
    float *const products[] = {w->gate, w->up};
    const int64_t count = rows * m->config.intermediate;
    PTQI_TRY(matrices_apply(w, matrices, 2, input, rows, products));
    row_gelu(w->context, w->gate, count);
    for (int64_t i = 0; i < count; i++)
        output[i] = w->gate[i] * w->up[i];
    return PTQ_OK;
}

ptq_status mlp_gelu(const struct model *m, const struct block *b, struct workspace *w,
                    const float *input, int64_t rows, float *output)
{
    PTQI_TRY(matrix_apply(w, block_matrix(b, ROLE_UP, -1), input, rows, output));
    row_gelu(m->context, output, rows * m->config.intermediate);
    return PTQ_OK;
}
