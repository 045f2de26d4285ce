/*
 * The results of ptq compare, shown as a table, JSON or an HTML page.
 */
#ifndef COMPARISON_H
#define COMPARISON_H

#include <stddef.h>
#include "calibrate/calibrate.h"

/* One way to quantize the model, and its results. */
struct comparison_row {
    char name[48];        /* "GPTQ W4A16", "full precision" */
    ptq_config *config;   /* NULL: full precision */
    int token_weights;    /* TOKENS_... */
    char activations[16]; /* "f32", "int8-token", "fptq", ... */
    int weight_bits,
        activation_bits; /* as written in the literature; full precision is 16 and 16 */
    int64_t group;       /* 0: one scale per row */
    double perplexity;
    double divergence, divergence_p99; /* KL from full precision: mean, 99th percentile, in nats */
    double same_first;                 /* share of tokens with the same first choice */
    int64_t bytes;                     /* size of the checkpoint */
    double seconds;                /* quantization time; NaN: an earlier run did part of the work */
    double tokens_per_second;      /* during evaluation */
    struct matrix_report *reports; /* one per matrix, in model order; or NULL */
    int64_t report_count;
};

/* An input of linear layers, in full precision. */
struct comparison_input {
    int64_t block;
    char name[MAX_LAYER_NAME]; /* name of the first matrix that takes it */
    double absmax;             /* max |x| over the calibration text */
};

struct comparison {
    ptq_context *context;
    const char *model, *text, *calibration; /* paths as given */
    int64_t windows, window;                /* number of windows in the text, and their tokens */
    int64_t calibration_windows, calibration_window;
    double v0, v1; /* FPTQ's thresholds: static up to v0, LAE between, per token from v1 on */
    struct comparison_row *rows;
    int64_t row_count;
    struct comparison_input *inputs; /* block by block, in site order */
    int64_t input_count;
};

/* The report of the matrix with the largest output error (or weight error, if that is all there
 * is). */
const struct matrix_report *comparison_worst(const struct comparison_row *row);
/* "model.layers.3.self_attn.q_proj" as "3 q_proj". */
void comparison_short_name(const char *name, char *text, size_t capacity);
void comparison_print(const struct comparison *c);
ptq_status comparison_print_json(const struct comparison *c);
/* page.c: writes one self-contained page, atomically. */
ptq_status comparison_write_page(const struct comparison *c, const char *path);

#endif
