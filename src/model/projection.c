/*
 * Computes q, k and v from the input of attention.
 */
#include "base/context.h"
#include "model/architecture.h"

ptq_status project_separately(const struct model *m, const struct block *b, struct workspace *w,
                              const float *input, int64_t rows, struct attention_input *out)
{
    const struct model_config *c = &m->config;
    const int64_t d = c->head_dim;
    *out = (struct attention_input){.q = w->q,
                                    .k = w->k,
                                    .v = w->v,
                                    .q_row = c->heads * d,
                                    .q_head = d,
                                    .k_row = c->kv_heads * d,
                                    .k_column = 1,
                                    .k_head = d,
                                    .v_row = c->kv_heads * d,
                                    .v_head = d};
    const struct matrix *matrices[] = {block_matrix(b, ROLE_Q, -1), block_matrix(b, ROLE_K, -1),
                                       block_matrix(b, ROLE_V, -1)};
    float *const products[] = {w->q, w->k, w->v};
    return matrices_apply(w, matrices, 3, input, rows, products);
}

ptq_status project_fused(const struct model *m, const struct block *b, struct workspace *w,
                         const float *input, int64_t rows, struct attention_input *out)
{
    const struct model_config *c = &m->config;
    const int64_t d = c->head_dim, width = (c->heads + 2 * c->kv_heads) * d;
    const int by_head = c->architecture->qkv_by_head;
    const int64_t head = by_head ? 3 * d : d, k = by_head ? d : c->heads * d;
    *out = (struct attention_input){.q = w->fused,
                                    .k = w->fused + k,
                                    .v = w->fused + k + (by_head ? d : c->kv_heads * d),
                                    .q_row = width,
                                    .q_head = head,
                                    .k_row = width,
                                    .k_column = 1,
                                    .k_head = head,
                                    .v_row = width,
                                    .v_head = head};
    return matrix_apply(w, block_matrix(b, ROLE_QKV, -1), input, rows, w->fused);
}
