/*
 * What differs between architectures: how config.json and the tensors are read, and how a block is
 * assembled. Each architecture has its own file with an entry for the table in architectures.c.
 */
#ifndef ARCHITECTURE_H
#define ARCHITECTURE_H

#include "checkpoint/config_reader.h"
#include "model/model.h"

/*
 * attention.c: causal softmax attention with grouped heads. Number i of head h of row t of q is at
 * q + t * q_row + h * q_head + i; v likewise, by key/value head. In k, numbers of a head are
 * k_column apart.
 */
struct attention_input {
    const float *q, *k, *v;
    int64_t q_row, q_head, k_row, k_column, k_head, v_row, v_head;
    const float *slopes; /* [heads]: ALiBi adds slope * (key position - query position); or NULL */
    int64_t window;      /* keys that a query sees, itself included; 0: all */
    int64_t position;    /* of row 0 of q; k and v begin at position 0 */
};
/* out [rows][heads * head_dim]; may be q itself if that has the same layout. */
ptq_status attention(ptq_context *context, const struct model_config *c,
                     const struct attention_input *input, int64_t rows, float *out);
/* out [rows / step, rounded up][width]: every step-th row of A_h x, starting with the first. x is
 * [rows][width], A_h are the probabilities of one head. */
ptq_status attention_mix(ptq_context *context, const struct model_config *c,
                         const struct attention_input *input, int64_t head, const float *x,
                         int64_t width, int64_t rows, int64_t step, float *out);

struct architecture {
    const char *type;   /* model_type of config.json */
    const char *prefix; /* "model."; some checkpoints leave it out */
    const char *blocks; /* "layers." */
    const char *embedding, *embedding_norm, *final_norm; /* embedding_norm may be NULL */
    const char *positions;                               /* learned positions, or NULL */
    const char *norms[NORMS];                            /* NULL: there is none */
    int norm_bias;                                       /* LayerNorm with bias; else RMSNorm */
    int norm_plus_one;                                   /* norms multiply by 1 + weight */
    int qkv_by_head; /* rows of a fused matrix: [heads][q, k, v]; else all of q, then k, then v */
    int transposed;  /* weights are stored as [K][N], except in GGUF files */
    const char *const *buffers; /* suffixes of block tensors that are computed, not read */
    const char *gguf;           /* name in GGUF files; NULL: llama.cpp does not know it */
    int gguf_pairs;     /* there, q and k rotate adjacent numbers, not those half a head apart */
    const char *router; /* of the experts of a block, or NULL: its MLPs are dense */
    int matrix_count;
    struct matrix_entry {
        const char *name; /* with a * for the number of an expert */
        enum role role;
    } matrices[MAX_MATRICES]; /* in the order of quantization */

    /* Reads config.json; errors are kept in the reader. */
    void (*read_config)(struct config_reader *r, struct model_config *c);
    /* Prepares what is needed once per model, or for windows of rows tokens. */
    ptq_status (*prepare)(struct model *m, int64_t rows);
    /* q, k and v from the input of SITE_ATTENTION, including position encoding */
    ptq_status (*project)(const struct model *m, const struct block *b, struct workspace *w,
                          const float *input, int64_t rows, struct attention_input *out);
    ptq_status (*mlp)(const struct model *m, const struct block *b, struct workspace *w,
                      const float *input, int64_t rows, float *output);
};

extern const struct architecture llama, mistral, mixtral, qwen2, qwen3, qwen3_moe, gemma2, gemma3,
    phi3, gpt2, opt, bloom;

/* roles.c: the site of a role, and the shape of its matrices. width: of the MLP's inner rows. */
enum site role_site(enum role role);
void role_shape(const struct model_config *c, enum role role, int64_t width, int64_t *n,
                int64_t *k);
/* The row of a matrix with ROLE_V or ROLE_QKV that produces a channel of v [kv_heads * head_dim];
 * and the channel that row n of it produces, -1 if none. */
int64_t role_value_row(const struct model_config *c, enum role role, int64_t channel);
int64_t role_value_channel(const struct model_config *c, enum role role, int64_t n);
/* Whether an architecture has a matrix of a role. */
int architecture_has(const struct architecture *a, enum role role);

/* cache.c: stores rows of k and v, and makes in refer to all rows so far. */
ptq_status cache_append(struct cache *cache, int64_t layer, int64_t position, int64_t rows,
                        const struct model_config *c, struct attention_input *in);

#define SITE_MATRICES 4 /* at most */
/* apply.c: y[i] [rows][n] = matrix i (x), for count matrices that share x. */
ptq_status matrices_apply(struct workspace *w, const struct matrix *const *m, int count,
                          const float *x, int64_t rows, float *const *y);
/* The same for one matrix, without a workspace. */
ptq_status matrix_run(ptq_context *context, const struct matrix *m, const float *x, int64_t rows,
                      float *y);
ptq_status matrix_apply(struct workspace *w, const struct matrix *m, const float *x, int64_t rows,
                        float *y);
/* block.c: q, k and v from the input of SITE_ATTENTION; they are stored in the workspace. */
ptq_status block_project(struct model *m, const struct block *b, struct workspace *w,
                         const float *input, int64_t rows, struct attention_input *out);

/* Pieces that architectures share. */

/* projection.c: q, k and v from separate matrices, each with its biases. */
ptq_status project_separately(const struct model *m, const struct block *b, struct workspace *w,
                              const float *input, int64_t rows, struct attention_input *out);
/* projection.c: from one matrix with ROLE_QKV. */
ptq_status project_fused(const struct model *m, const struct block *b, struct workspace *w,
                         const float *input, int64_t rows, struct attention_input *out);

/* llama.c: what the relatives of LLaMA have in common. */
void llama_read_config(struct config_reader *r, struct model_config *c, int64_t head_dim);
/* The same without RoPE and the activation function. */
void llama_read_sizes(struct config_reader *r, struct model_config *c, int64_t head_dim);
ptq_status llama_project(const struct model *m, const struct block *b, struct workspace *w,
                         const float *input, int64_t rows, struct attention_input *out);
extern const char *const llama_buffers[];
/* clang-format off */
#define LLAMA_ATTENTION                                                                            \
    {"self_attn.k_proj", ROLE_K}, {"self_attn.v_proj", ROLE_V}, {"self_attn.q_proj", ROLE_Q},      \
    {"self_attn.o_proj", ROLE_O}
#define LLAMA_MLP                                                                                  \
    {"mlp.up_proj", ROLE_UP}, {"mlp.gate_proj", ROLE_GATE}, {"mlp.down_proj", ROLE_DOWN}
/* Without the matrices. */
#define LLAMA_FRAME                                                                                \
    .prefix = "model.",                                                                            \
    .blocks = "layers.",                                                                           \
    .embedding = "embed_tokens.weight",                                                            \
    .final_norm = "norm",                                                                          \
    .buffers = llama_buffers,                                                                      \
    .prepare = rope_prepare,                                                                       \
    .project = llama_project
#define LLAMA_MEMBERS                                                                              \
    LLAMA_FRAME,                                                                                   \
    .matrix_count = 7,                                                                             \
    .matrices = {LLAMA_ATTENTION, LLAMA_MLP}
/* clang-format on */

/* gemma2.c: what Gemma 2 and 3 have in common. */
void gemma_read_config(struct config_reader *r, struct model_config *c);

/* window.c: which layers see only a window of keys: all, or those that layer_types or, without it,
 * max_window_layers names. */
void window_of_all(struct config_reader *r, struct model_config *c, int64_t fallback);
void window_by_layer(struct config_reader *r, struct model_config *c, int64_t fallback,
                     int64_t first);
/* All but every pattern-th layer, unless there are layer_types. */
void window_by_pattern(struct config_reader *r, struct model_config *c, int64_t fallback,
                       int64_t pattern);

/* rope_config.c reads the settings of rotary positions, in all spellings of transformers. rope.c
 * prepares the tables for at least rows positions, and rotates x [rows][heads][head_dim]. */
/* The fraction of a head that is rotated, where rope_parameters says so; and the numbers of a head
 * that a fraction is, 0 if it exceeds 1. */
double rope_partial_factor(struct config_reader *r);
int64_t rope_rotated(const struct model_config *c, double factor);
void rope_read_config(struct config_reader *r, struct model_config *c, double theta);
/* The same for models in which layers with a window have settings of their own. */
void rope_read_layered(struct config_reader *r, struct model_config *c, double theta,
                       double local_theta);
/* Llama 3's frequency in place of one: long wavelengths are divided by the factor, short ones kept,
 * and those in between interpolated. */
double rope_llama3(const struct rope *rope, double frequency);
ptq_status rope_prepare(struct model *m, int64_t rows);
void rope_apply(const struct model *m, const struct block *b, int64_t position, float *x,
                int64_t rows, int64_t heads, int64_t row_stride);

/* experts.c: the MLP of a block with experts. */
/* Reads how many experts there are and how many a token uses, and gives them to every block. width:
 * of an expert's inner rows. */
void experts_read_config(struct config_reader *r, struct model_config *c, const char *width);

/* mlp.c: silu(gate(x)) * up(x); and gelu(up(x)), with the tanh approximation. */
ptq_status mlp_swiglu(const struct model *m, const struct block *b, struct workspace *w,
                      const float *input, int64_t rows, float *output);
/* The same with these matrices. */
ptq_status mlp_swiglu_by(struct workspace *w, const struct matrix *gate, const struct matrix *up,
                         const float *input, int64_t rows, float *output);
/* The same as mlp_swiglu with ROLE_GATE_UP. */
ptq_status mlp_swiglu_fused(const struct model *m, const struct block *b, struct workspace *w,
                            const float *input, int64_t rows, float *output);
/* max(up(x), 0) */
ptq_status mlp_relu(const struct model *m, const struct block *b, struct workspace *w,
                    const float *input, int64_t rows, float *output);
/* gelu(gate(x)) * up(x) */
ptq_status mlp_geglu(const struct model *m, const struct block *b, struct workspace *w,
                     const float *input, int64_t rows, float *output);
ptq_status mlp_gelu(const struct model *m, const struct block *b, struct workspace *w,
                    const float *input, int64_t rows, float *output);

#endif
