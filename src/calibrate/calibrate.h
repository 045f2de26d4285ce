/*
 * Quantizing a model block by block. The calibration windows run through each block: the input of
 * every site is observed and its matrices are quantized, and the next site sees the output of the
 * quantized matrices (GPTQ's "true sequential").
 */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "calibrate/streams.h"
#include "model/model.h"
#include "console/progress.h"
#include "corpus/windows.h"

enum { MERGE_WINDOWS = 8 }; /* windows per statistics object before merging */

/* Token weights: --token-weights. */
enum {
    TOKENS_UNIFORM,
    TOKENS_ATTENTION,      /* v_proj is rounded with the Hessian of attention's output */
    TOKENS_ATTENTION_HEADS /* the same, separately for each key/value head */
};

/* What becomes of the scale of an equalization. */
enum {
    FOLD_NEVER, /* it is kept as an input scale */
    FOLD_WHERE_POSSIBLE,
    FOLD_ALWAYS /* where it is not possible, there is no scale */
};

/* Which config a matrix is quantized with, if not all have the same. NULL: the matrices of its site
 * stay in full precision, rounded to f16. */
struct matrix_configs {
    ptq_config *(*of)(const struct matrix_configs *self, int64_t block, const struct matrix *m);
};

struct calibration {
    struct model *model;
    const struct windows *windows;        /* NULL: no data, for RTN */
    ptq_config *config;                   /* clip-except is set site by site */
    const struct matrix_configs *configs; /* or NULL: config for all */
    int fold;            /* FOLD_...: equalizations, into the preceding operation */
    int64_t value_stats; /* 0: v is rounded with the statistics of its input; else of attention's
                            output: 1 for all heads together, or one per key/value head */
    struct progress *progress;
    struct workspace *workspace;
    struct streams streams;
    struct expert_rows *experts; /* of the current block; NULL: it has none yet */

    /* GPTAQ: the same windows in the unquantized model, with its current block; or NULL. */
    struct calibration *reference;
    struct block *reference_block;
};

/* The errors and choices of one matrix. */
struct matrix_report {
    char name[MAX_LAYER_NAME];
    double weight_error, output_error, damping;
    int32_t activations;     /* PTQ_ACTIVATIONS_... used at run time */
    double activation_scale; /* static; 0: none */
    int equalized;           /* 1: input_scale kept; 2: folded */
    int candidate;           /* index of AWQ's candidate, or -1 */
    int64_t adjusted_groups; /* groups whose grid is not AWQ's */
    int64_t clamped_groups;  /* groups whose scale does not fit its dtype */
    int32_t equalize, rotation, symmetric;
    double plain_error, chosen_error; /* if auto chose; else NaN */
    int64_t tokens, added; /* of an expert: those that use it, and others that it is calibrated on;
                              else 0 */
    int kept;              /* it is not quantized; nothing but its name is known */
};

ptq_status calibration_create(struct model *model, const struct windows *windows,
                              ptq_config *config, int fold, int token_weights,
                              struct progress *progress, struct calibration **calibration);
void calibration_free(struct calibration *c);

/* Quantizes the matrices of a block, adds them to part, and passes the windows through the block.
 * Fills in reports [b->count]. */
ptq_status calibrate_block(struct calibration *c, struct block *b, ptq_store *part,
                           struct matrix_report *reports);
/* Reports on a matrix; e may be NULL. */
void calibrate_report(const struct matrix *m, const ptq_qtensor *q, const ptq_equalization *e,
                      int folded, struct matrix_report *report);
/* Reports on one that is not quantized. */
void calibrate_report_kept(const struct matrix *m, struct matrix_report *report);
/* Passes the windows through a block and stores max |x| of the input of each site. */
ptq_status calibrate_ranges(struct calibration *c, const struct block *b, double absmax[SITES]);
/* Passes the windows through a block that is already quantized. */
ptq_status calibrate_pass(struct calibration *c, const struct block *b);

#endif
