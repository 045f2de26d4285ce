/*
 * What differs between architectures: the names of their tensors, the shapes and sites of their
 * matrices, and two functions. llama.c and bloom.c have one each.
 */
#ifndef ARCHITECTURE_H
#define ARCHITECTURE_H

#include "model/model.h"

struct config_reader;

/* The widths of matrices, by config.json. */
enum width { WIDTH_HIDDEN, WIDTH_HEADS, WIDTH_KV, WIDTH_FUSED, WIDTH_INTERMEDIATE };

/*
 * attention.c: causal softmax attention with grouped heads. Head h of row t of q is at
 * q + t * q_row + h * q_head, k and v alike by key/value head.
 */
struct attention_input {
    const float *q, *k, *v;
    int64_t q_row, q_head, kv_row, kv_head;
    const float *slopes; /* [heads]: ALiBi adds slope * (key position - query position); or NULL */
};
/* out [rows][heads * head_dim]; it may be q itself where that is laid out so. */
ptq_status attention(ptq_context *context, const struct model_config *c,
                     const struct attention_input *input, int64_t rows, float *out);
/* out [rows / step, rounded up][width]: every step-th row of A_h x from the first on, x
 * [rows][width], A_h the probabilities of one head. */
ptq_status attention_mix(ptq_context *context, const struct model_config *c,
                         const struct attention_input *input, int64_t head, const float *x,
                         int64_t width, int64_t rows, int64_t step, float *out);

struct architecture {
    const char *type;   /* model_type of config.json */
    const char *prefix; /* "model."; some checkpoints leave it out */
    const char *blocks; /* "layers." */
    const char *embedding, *embedding_norm, *final_norm; /* embedding_norm may be NULL */
    const char *norms[2];                                /* before attention, before the MLP */
    int norm_bias;                                       /* LayerNorm with bias; else RMSNorm */
    const char *const *buffers; /* endings of tensors in a block that are computed, not read */
    const char *before_output, *before_down; /* matrices that the scales of these sites can be
                                              * folded into; NULL: none */
    int matrix_count;
    struct {
        const char *name;
        enum site site;
        enum width n, k;
    } matrices[MAX_MATRICES]; /* in the order in which they are quantized */

    /* Reads config.json; mistakes stay in the reader. */
    void (*read_config)(struct config_reader *r, struct model_config *c);
    /* What is needed once for the model, or for windows of rows tokens. */
    ptq_status (*prepare)(struct model *m, int64_t rows);
    /* q, k and v of the input of SITE_ATTENTION, with what positions do to them */
    ptq_status (*project)(const struct model *m, const struct block *b, struct workspace *w,
                          const float *input, int64_t rows, struct attention_input *out);
    ptq_status (*mlp)(const struct model *m, const struct block *b, struct workspace *w,
                      const float *input, int64_t rows, float *output);
};

extern const struct architecture llama, bloom;

int64_t architecture_width(const struct model_config *c, enum width width);

/* block.c: y [rows][n] = matrix(x); *prepared tells whether the workspace holds x prepared already.
 */
ptq_status matrix_apply(struct workspace *w, const struct matrix *m, const float *x, int64_t rows,
                        float *y, int *prepared);
/* block.c: q, k and v of the input of SITE_ATTENTION; they live in the workspace. */
ptq_status block_project(struct model *m, const struct block *b, struct workspace *w,
                         const float *input, int64_t rows, struct attention_input *out);

#endif
