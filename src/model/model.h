/*
 * A transformer checkpoint, run one block at a time, for calibration and evaluation.
 *
 * A block has four sites, each a place where one input feeds one or more matrices:
 *
 *     attention input -> q, k, v;   attention output -> o;
 *     mlp input -> gate, up;        mlp inner -> down
 *
 * (This is LLaMA; BLOOM has one fused matrix instead of q, k, v, and no gate.) In a mixture of
 * experts, every expert has its own gate, up and down, and takes only the rows that the router
 * sends to it: each expert has the last two sites for itself. The functions below compute the input
 * of each site from the output of the preceding site's matrices, so a caller can look at an input,
 * replace the matrices that take it, and continue. x, the residual stream, and all inputs are f32
 * [rows][...], one window of tokens at a time.
 */
#ifndef MODEL_H
#define MODEL_H

#include "checkpoint/checkpoint.h"

enum site { SITE_ATTENTION, SITE_OUTPUT, SITE_MLP, SITE_DOWN, SITES };
/* MAX_MATRICES: kinds of matrices, each with a name of its own in all blocks. */
enum { MAX_MATRICES = 12, MAX_LAYER_NAME = 160, MAX_EXPERTS = 1024 };

struct architecture;

/* The role of a matrix in its block. */
enum role {
    ROLE_Q,
    ROLE_K,
    ROLE_V,
    ROLE_QKV,
    ROLE_O,
    ROLE_GATE,
    ROLE_UP,
    ROLE_GATE_UP, /* rows of gate, then rows of up */
    ROLE_DOWN
};

enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_YARN, ROPE_LLAMA3, ROPE_LONGROPE };

/* Rotary positions, as in the rope_parameters of transformers. What a kind does not have is 0. */
struct rope {
    enum rope_kind kind;
    double theta, factor;
    double low_freq_factor, high_freq_factor;                              /* llama3 */
    double attention_factor, beta_fast, beta_slow, mscale, mscale_all_dim; /* yarn */
    double original_positions;                          /* llama3, yarn, longrope */
    int keep_fractions;                                 /* yarn: "truncate" is false */
    const struct ptqi_json *short_factor, *long_factor; /* longrope: [dimensions / 2] */
};

/* The norms of a block: before attention, before the MLP, of each head of q and of k, and of what
 * attention and the MLP add. */
enum norm_role {
    NORM_ATTENTION,
    NORM_MLP,
    NORM_Q,
    NORM_K,
    NORM_AFTER_ATTENTION,
    NORM_AFTER_MLP,
    NORMS
};

struct model_config {
    const struct architecture *architecture;
    int64_t hidden, intermediate, layers, heads, kv_heads, head_dim, vocabulary, max_positions;
    int64_t first_position; /* row of learned positions for the first token */
    int64_t evaluated;      /* tokens of an input that evaluation harnesses keep; 0: unspecified */
    float norm_epsilon;
    int64_t rope_dimensions;      /* of a head's first numbers that are rotated */
    struct rope rope, local_rope; /* the latter in layers with a window, if it has a theta */
    float embedding_scale, attention_scale; /* 0: 1, and 1 / sqrt(head_dim) */
    float attention_cap, final_cap;         /* x becomes cap tanh(x / cap); 0: there is none */
    int64_t experts;      /* of the MLP in blocks that have experts; 0: there are no such blocks */
    int64_t experts_used; /* by a token */
    int64_t expert_width; /* of the inner rows of an expert, as intermediate is of a dense MLP */
    int experts_normalized; /* the shares of the experts used are divided by their sum */
    char *has_experts;      /* [layers]: the MLP consists of experts; NULL: all are dense */
    int64_t *windows; /* [layers]: keys that a query sees, itself included; 0: all. NULL: all 0 */
    int tied;         /* config.json says that the head is the embedding */
    /* Biases of q, k and v, of o, and of the MLP. 1: there are; 0: there are none; -1: unspecified
     */
    int attention_bias, output_bias, mlp_bias;
    int quantized; /* at least one matrix is quantized by this library */
};

/* The weight of a norm, or a bias: as f32, with the dtype in which it is stored. */
struct vector {
    float *values; /* [length], or NULL if there is none */
    int64_t length;
    int32_t dtype;
};

/* One linear layer: in full precision, or quantized and packed. */
struct matrix {
    char name[MAX_LAYER_NAME]; /* "model.layers.3.self_attn.q_proj" */
    enum role role;
    enum site site;
    int64_t expert; /* that it belongs to; -1: none */
    int64_t n, k;
    float *weight;      /* [n][k], or NULL */
    struct vector bias; /* [n] */
    ptq_linear *linear; /* or NULL */
};

/* An RMSNorm, or a LayerNorm if the architecture has biases. */
struct norm {
    struct vector weight, bias; /* [hidden], or of q and k [head_dim]; bias is optional */
    float *applied;             /* weight + 1, if the architecture adds 1; else NULL */
};

struct block {
    ptq_context *context;
    int64_t index;
    struct matrix *matrices;  /* [count]: in the order of their sites, then expert by expert */
    int count, plain;         /* plain: those that belong to no expert, which come first */
    int64_t experts;          /* 0: the MLP is dense */
    struct norm norms[NORMS]; /* those that the architecture has */
    struct vector router;     /* [experts][hidden]; no values: the MLP is dense */
};

struct model {
    ptq_context *context;
    struct checkpoint *checkpoint;
    struct model_config config;
    const char *prefix; /* "model.": prefix of all tensor names except the head's */
    int transposed;     /* weights are stored as [K][N] */
    struct token_matrix {
        ptq_tensor *plain;      /* in its dtype; or NULL */
        ptq_qtensor *quantized; /* or NULL */
    } embedding, own_head;
    const struct token_matrix *head; /* the embedding if tied */
    ptq_tensor *positions;           /* learned, or NULL */
    struct norm embedding_norm;      /* has no weight if there is none */
    struct norm final_norm;
    struct matrix head_matrix; /* in f32, made when first needed; or quantized */
    struct rope_table {
        float *cos, *sin; /* [rows][rope_dimensions / 2] */
        int64_t rows;
        int64_t length; /* of the window that it was made for, if that matters */
    } rope, local_rope;
    float *slopes; /* BLOOM: [heads], of ALiBi */
};

/* Keys and values of the rows of a text so far, in each layer. Each is stored as the right operand
 * of its product with few rows: scores = q k, output = probabilities v. */
struct cache {
    ptq_context *context;
    int64_t capacity; /* rows */
    int64_t k_column; /* >= capacity, chosen so that columns of k do not evict each other */
    float *k;         /* [layers][kv_heads][head_dim][k_column] */
    float *v;         /* [layers][kv_heads][capacity][head_dim] */
};

/* Working memory for one window. */
struct workspace {
    ptq_context *context;
    int64_t rows;
    int64_t position;      /* of the first row in its text; 0 without a cache */
    struct cache *cache;   /* keys and values of earlier rows, or NULL */
    float *normed;         /* [rows][hidden] */
    float *q, *k, *v;      /* [rows][heads or kv_heads * head_dim] */
    float *fused;          /* the product of a matrix that holds several: q, k, v; gate, up */
    float *gate, *up;      /* [rows][intermediate] */
    float *out;            /* [rows][hidden] */
    float *probabilities;  /* [rows][experts], of the router */
    float *shares;         /* [rows][experts]: of each expert in a row; 0: it is not used */
    float *gathered;       /* [rows][hidden]: the rows of one expert */
    float *mixed;          /* [rows][hidden]: the sum over experts */
    double linear_seconds; /* time spent in the block's matrices, including quantization of their
                              inputs */
};

/* architectures.c: reads config.json; adds what it does not use to the checkpoint's unused list. */
ptq_status model_read_config(struct checkpoint *checkpoint, struct model_config *config);

/* contents.c: checks that every tensor either is used by the model or does not affect it. Adds the
 * latter to the checkpoint's unused list, with their places. */
ptq_status model_check_contents(const struct model *m);
/* Whether any matrix of a block is quantized. */
int model_has_quantized(const struct model *m);

/* model.c: opens a model directory or a GGUF file. */
ptq_status model_open(ptq_context *context, const char *path, struct model **model);
void model_free(struct model *model);
/* Activations that a block is run with: the checkpoint's; for calibration, the same, but f32
 * instead of 16 bits or 8 bits by group, so that the speed at which a model will run does not
 * change its codes; and by default, the same, but 8 bits by group for the weight-only matrices of
 * foreign formats, which leave the choice to the program that runs them, if that is faster. */
enum { ACTIVATIONS_OWN = -1, ACTIVATIONS_CALIBRATION = -2, ACTIVATIONS_DEFAULT = -3 };
/* load_block.c: sets one of these, or PTQ_ACTIVATIONS_..., in a matrix read from a format. */
ptq_status model_set_activations(ptq_qtensor *q, int32_t format, int32_t activations);
/* load_block.c: PTQ_ERROR_CONFLICT if a scheme was asked for and no matrix is quantized. */
ptq_status model_check_activations(const struct model *m, int32_t activations);
/* load_block.c: loads a block from store (NULL: the model's own). activations (one of these, or
 * PTQ_ACTIVATIONS_...) applies to its quantized matrices, which *quantized counts. */
ptq_status model_load_block(const struct model *model, const ptq_store *store, int64_t index,
                            int32_t activations, struct block **block, int *quantized);
void block_free(struct block *block);
/* The matrix with a role, of an expert or of none (-1); NULL if there is none. Like strchr, this
 * drops const. */
struct matrix *block_matrix(const struct block *block, enum role role, int64_t expert);
/* The number of matrices, from index first on, that belong to its site (and to its expert). */
int block_site_count(const struct block *block, int first);
/* The number of experts in a block's MLP; 0 if it is dense. */
int64_t model_experts(const struct model *model, int64_t block);
int model_matrix_count(const struct model *model, int64_t block);
/* Fills in the tensor name of a matrix, without ".weight", and its site and shape. */
int model_describe_matrix(const struct model *model, int64_t block, int number,
                          struct matrix *matrix);
/* The same for the matrix whose name and a dot a tensor's name begins with; 0 if there is none. */
int model_find_matrix(const struct model *model, int64_t block, const char *tensor,
                      struct matrix *matrix);
/* Tensor names: the prefix of a block, "model.layers.3."; and the weight or bias of a norm, whose
 * length is returned; 0 if the architecture does not have it; and the router's weight, 0 if the
 * block has none. */
void model_block_prefix(const struct model *model, int64_t block, char *name);
int64_t model_norm_name(const struct model *model, int64_t block, enum norm_role role, int bias,
                        char *name);
int model_router_name(const struct model *model, int64_t block, char *name);
/* The first of the ids is at a position in its text. */
ptq_status model_embed(const struct model *model, const int32_t *ids, int64_t position,
                       int64_t count, float *x);
/* head.c: quantizes the head, and with it a tied embedding, to 8 bits with a scale for each row.
 * The head then takes int8 activations per token. */
ptq_status model_quantize_head(struct model *model);
/* logits [rows][vocabulary] */
ptq_status model_logits(struct model *model, const float *x, int64_t rows, float *logits);

/* cache.c: a cache for a text of up to capacity tokens. A workspace with a cache runs rows that
 * follow those before workspace->position. */
ptq_status cache_create(const struct model *model, int64_t capacity, struct cache **cache);
void cache_free(struct cache *cache);

/* workspace.c */
ptq_status workspace_create(const struct model *model, int64_t rows, struct workspace **w);
void workspace_free(struct workspace *w);

/* block.c: the inputs of the four sites, and the application of their matrices. */
ptq_status block_attention_input(const struct model *m, const struct block *b, const float *x,
                                 int64_t rows, float *input);
/* input of SITE_ATTENTION -> input of SITE_OUTPUT, [rows][heads * head_dim] */
ptq_status block_attention(struct model *m, const struct block *b, struct workspace *w,
                           const float *input, int64_t rows, float *output);
/* x += o(input) */
ptq_status block_attention_output(const struct model *m, const struct block *b, struct workspace *w,
                                  const float *input, int64_t rows, float *x);
ptq_status block_mlp_input(const struct model *m, const struct block *b, const float *x,
                           int64_t rows, float *input);
/* input of SITE_MLP -> input of SITE_DOWN, [rows][intermediate] */
ptq_status block_mlp(const struct model *m, const struct block *b, struct workspace *w,
                     const float *input, int64_t rows, float *output);
/* x += down(input) */
ptq_status block_mlp_output(const struct model *m, const struct block *b, struct workspace *w,
                            const float *input, int64_t rows, float *x);
/* experts.c, for a block with experts. probabilities [rows][experts] are those of the router;
 * shares [rows][experts] are what the experts that a row uses contribute, and 0 for the others. */
ptq_status experts_route(const struct model *m, const struct block *b, const float *input,
                         int64_t rows, float *probabilities, float *shares);
/* The rows of SITE_MLP's input that an expert takes -> input of its SITE_DOWN, [rows][expert_width]
 */
ptq_status experts_inner(const struct block *b, struct workspace *w, int64_t expert,
                         const float *input, int64_t rows, float *output);
/* x += the experts' outputs, by their shares, for all rows of SITE_MLP's input */
ptq_status experts_output(const struct model *m, const struct block *b, struct workspace *w,
                          const float *input, int64_t rows, float *x);
/* The whole block: x is replaced by its output. */
ptq_status block_forward(struct model *m, const struct block *b, struct workspace *w, float *x,
                         int64_t rows);
/* Applies a norm to rows of its length; may be in place. */
void norm_rows(const struct model *m, const struct norm *norm, const float *x, int64_t rows,
               float *out);

#endif
