/*
 * Equalization of a block: one full-precision pass observes the inputs of all four sites. Then a
 * scale is chosen for each site, and folded if requested, before anything is rounded.
 */
#ifndef EQUALIZE_H
#define EQUALIZE_H

#include "calibrate/calibrate.h"

/* Creates e[site], which the caller frees; folded[site] tells whether its scale was folded. */
ptq_status equalize_block(struct calibration *c, struct block *b, ptq_equalization **e,
                          int *folded);
/* Whether a config equalizes, or must see the input to quantize it. */
int equalize_is_needed(const ptq_config *config);
/* Whether a config has settings to be chosen by trial. */
int equalize_is_open(const ptq_config *config);

#endif
