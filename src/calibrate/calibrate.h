/*
 * Quantizing a model block by block: the calibration windows run through each block, the input of
 * every site is looked at, its matrices are quantized, and what they then compute is what the next
 * site sees (GPTQ's "true sequential").
 */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "calibrate/streams.h"
#include "model/model.h"
#include "console/progress.h"
#include "text/windows.h"

enum { MERGE_WINDOWS = 8 }; /* windows that share statistics before they are merged */

/* What a token weighs: --token-weights. */
enum {
    TOKENS_UNIFORM,
    TOKENS_ATTENTION,      /* v_proj is rounded against what attention makes of its input */
    TOKENS_ATTENTION_HEADS /* the same for each key/value head by itself */
};

struct calibration {
    struct model *model;
    const struct windows *windows; /* NULL: no data, as for RTN */
    ptq_config *config;            /* clip-except is set site by site */
    int fold;                      /* fold equalizations into the operation before */
    int64_t value_stats; /* 0: v is rounded against its input; else against what attention makes of
                          * it: 1 for all heads together, or one for each key/value head */
    struct progress *progress;
    struct workspace *workspace;
    struct streams streams;

    /* GPTAQ: the same windows through the unquantized model, and its current block; or NULL. */
    struct calibration *reference;
    struct block *reference_block;
};

/* What was lost in one matrix. */
struct matrix_report {
    char name[MAX_LAYER_NAME];
    double weight_error, output_error, damping;
    int32_t activations;     /* PTQ_ACTIVATIONS_... that it runs with */
    double activation_scale; /* static; 0: none */
    int equalized;           /* 1: input_scale kept; 2: folded */
    int candidate;           /* AWQ's, or -1 */
    int64_t adjusted_groups; /* whose grid is not AWQ's */
    int64_t clamped_groups;  /* whose scale its dtype cannot hold */
    int32_t equalize, rotation, symmetric;
    double plain_error, chosen_error; /* where auto chose; else NaN */
};

ptq_status calibration_create(struct model *model, const struct windows *windows,
                              ptq_config *config, int fold, int token_weights,
                              struct progress *progress, struct calibration **calibration);
void calibration_free(struct calibration *c);

/* Quantizes the matrices of a block, adds them to part, and takes the windows through the block.
 * reports [b->count] are filled in. */
ptq_status calibrate_block(struct calibration *c, struct block *b, ptq_store *part,
                           struct matrix_report *reports);
/* What became of a matrix; e may be NULL. */
void calibrate_report(const struct matrix *m, const ptq_qtensor *q, const ptq_equalization *e,
                      int folded, struct matrix_report *report);
/* Takes the windows through a block and fills in max |x| of the input of each site. */
ptq_status calibrate_ranges(struct calibration *c, const struct block *b, double absmax[SITES]);
/* Takes the windows through a block that is quantized already. */
ptq_status calibrate_pass(struct calibration *c, const struct block *b);

#endif
