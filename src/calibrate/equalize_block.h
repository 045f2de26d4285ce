/*
 * Equalization of a block: one pass in full precision looks at the inputs of all four sites, then a
 * scale is chosen for each, and folded where that is asked for, before anything is rounded.
 */
#ifndef EQUALIZE_H
#define EQUALIZE_H

#include "calibrate/calibrate.h"

/* Makes e[site], which the caller frees; folded[site] tells whether its scale was folded. */
ptq_status equalize_block(struct calibration *c, struct block *b, ptq_equalization **e,
                          int *folded);
/* Whether a config equalizes, or needs to see the input to quantize it. */
int equalize_is_needed(const ptq_config *config);
/* Whether a config leaves something to be chosen by trying. */
int equalize_is_open(const ptq_config *config);

#endif
