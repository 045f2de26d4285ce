/*
 * Quantizing a model block by block: the calibration windows run through each block, the input of
 * every site is looked at, its matrices are quantized, and what they then compute is what the next
 * site sees (GPTQ's "true sequential").
 */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "model/model.h"
#include "report/progress.h"
#include "text/windows.h"

struct calibration {
    struct model *model;
    const struct windows *windows; /* NULL: no data, as for RTN */
    const ptq_config *config;
    struct progress *progress;
    struct workspace *workspace;
    float *x;         /* [windows][length][hidden]: the residual streams before the next block */
    float *attention; /* [windows][length][heads * head_dim]: inputs of SITE_OUTPUT */
    float *inner;     /* [windows][length][intermediate]: inputs of SITE_DOWN; NULL: computed anew */
};

/* What was lost in one matrix. */
struct matrix_report {
    char name[MAX_LAYER_NAME];
    double weight_error, output_error, damping;
};

ptq_status calibration_create(struct model *model, const struct windows *windows,
                              const ptq_config *config, struct progress *progress,
                              struct calibration **calibration);
void calibration_free(struct calibration *c);

/* Quantizes the matrices of a block, adds them to part, and takes the windows through the block.
 * reports [b->count] are filled in. */
ptq_status calibrate_block(struct calibration *c, struct block *b, ptq_store *part,
                           struct matrix_report *reports);
/* Takes the windows through a block that is quantized already. */
ptq_status calibrate_pass(struct calibration *c, const struct block *b);

#endif
