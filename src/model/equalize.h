/*
 * Equalization of a block: one pass in full precision looks at the inputs of all four sites, then a
 * scale is chosen for each, and folded where that is asked for, before anything is rounded.
 */
#ifndef EQUALIZE_H
#define EQUALIZE_H

#include "model/calibrate.h"

/* Makes e[site], which the caller frees; folded[site] tells whether its scale was folded. */
ptq_status equalize_block(struct calibration *c, struct block *b, ptq_equalization **e,
                          int *folded);
/* Whether a config equalizes, or needs to see the input to quantize it. */
int equalize_is_needed(const ptq_config *config);
/* Whether a config leaves something to be chosen by trying. */
int equalize_is_open(const ptq_config *config);

/* fold.c: folds s of a site into the operation before: norm, v_proj or up_proj; what is stored in a
 * checkpoint's dtype is rounded to it first, and the matrices of the site take what was really
 * done. */
ptq_status fold_site(const struct model *m, struct block *b, enum site site, const float *scale);
/* Whether an operation is there that the scale of a site can be folded into. */
int fold_is_possible(const struct model *m, enum site site);
/* The channels of SITE_OUTPUT's input that come from one channel of v_proj, for grouped queries. */
void fold_ties(const struct model_config *config, int32_t *ties);

#endif
