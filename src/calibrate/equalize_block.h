/*
 * Equalization of a block: one full-precision pass observes the inputs of all four sites. Then a
 * scale is chosen for each site, and folded if requested, before anything is rounded.
 *
 * Experts are too many for one pass. They are equalized when the block has been rounded up to them:
 * SITE_MLP once for all of them and the router, since one norm precedes them, with all rows; the
 * SITE_DOWN of an expert just before that expert is rounded, with its own rows.
 */
#ifndef EQUALIZE_H
#define EQUALIZE_H

#include "calibrate/calibrate.h"

/* Creates e[site], which the caller frees; folded[site] tells whether its scale was folded. */
ptq_status equalize_block(struct calibration *c, struct block *b, ptq_equalization **e,
                          int *folded);
/* The same for an expert, whose rows are selected. Replaces e[SITE_DOWN]; for expert 0 it also
 * creates e[SITE_MLP]. */
ptq_status equalize_expert(struct calibration *c, struct block *b, int64_t expert,
                           ptq_equalization **e, int *folded);
/* Whether a config equalizes, or must see the input to quantize it. */
int equalize_is_needed(const ptq_config *config);
/* Whether a config has settings to be chosen by trial. */
int equalize_is_open(const ptq_config *config);

#endif
