/*
 * What ptq compare found out, and how it is shown: a table, JSON, an HTML page.
 */
#ifndef COMPARISON_H
#define COMPARISON_H

#include <stddef.h>
#include "calibrate/calibrate.h"

/* One way to quantize the model, and what came of it. */
struct comparison_row {
    char name[48];                    /* "GPTQ W4A16", "full precision" */
    ptq_config *config;               /* NULL: full precision */
    int token_weights;                /* TOKENS_... */
    char activations[16];             /* "f32", "int8-token", "fptq", ... */
    int weight_bits, activation_bits; /* as the literature writes them; full precision 16 and 16 */
    int64_t group;                    /* 0: one scale a row */
    double perplexity;
    int64_t bytes;                 /* of the checkpoint */
    double seconds;                /* that quantizing took; NaN: an earlier run did a part of it */
    double tokens_per_second;      /* while evaluating */
    struct matrix_report *reports; /* one for each matrix, in the order of the model; or NULL */
    int64_t report_count;
};

/* An input of linear layers of the model in full precision. */
struct comparison_input {
    int64_t block;
    char name[MAX_LAYER_NAME]; /* of the first matrix that takes it */
    double absmax;             /* max |x| over the calibration text */
};

struct comparison {
    ptq_context *context;
    const char *model, *text, *calibration; /* paths as given */
    int64_t windows, window;                /* of the text: how many, of how many tokens */
    int64_t calibration_windows, calibration_window;
    double v0, v1; /* FPTQ's thresholds: static up to v0, LAE between, per token from v1 on */
    struct comparison_row *rows;
    int64_t row_count;
    struct comparison_input *inputs; /* block by block, in the order of the block's sites */
    int64_t input_count;
};

/* The report of the matrix with the largest output error (weight error where there is no other). */
const struct matrix_report *comparison_worst(const struct comparison_row *row);
/* "model.layers.3.self_attn.q_proj" as "3 q_proj". */
void comparison_short_name(const char *name, char *text, size_t capacity);
void comparison_print(const struct comparison *c);
ptq_status comparison_print_json(const struct comparison *c);
/* page.c: one self-contained page, written whole or not at all. */
ptq_status comparison_write_page(const struct comparison *c, const char *path);

#endif
