/*
 * The rows of the calibration windows that each expert of a block is calibrated on: those of the
 * tokens that use it. If they are fewer than a floor of half the model's width, those of other
 * tokens are added up to the floor, from the largest probability of this expert downward, earlier
 * tokens first if probabilities are equal. So an expert that the calibration text hardly reaches is
 * calibrated on what most resembles its input.
 *
 * Two numbers for each token and expert are kept, for the current block.
 */
#ifndef EXPERT_ROWS_H
#define EXPERT_ROWS_H

#include "calibrate/calibrate.h"

struct expert_rows {
    ptq_context *context;
    int64_t experts, length, tokens; /* length: tokens in a window */
    float *probabilities, *shares;   /* [tokens][experts], of experts_route */
    int64_t floor;
    int64_t *selected;               /* [count], ascending */
    int64_t count, used;             /* used: how many of them use the expert */
    struct expert_candidate *others; /* [tokens]: scratch for choosing those that are added */
};

/* Before any other use of the site of matrix m. If it is the first site of an expert, selects the
 * expert's rows; if it is also the block's first expert, all windows pass on from attention to the
 * router (and those of the reference, whose rows are selected in the same way). */
ptq_status experts_enter(struct calibration *c, const struct block *b, const struct matrix *m);
/* Selects the rows of an expert; -1: all. */
void expert_rows_select(struct expert_rows *r, int64_t expert);
/* Copies the selected rows of window i from x [length][width] to out; returns how many there are.
 */
int64_t expert_rows_gather(const struct expert_rows *r, int64_t i, const float *x, int64_t width,
                           float *out);
void expert_rows_free(struct expert_rows *r);

#endif
