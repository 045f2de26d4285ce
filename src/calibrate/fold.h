/* Folding the scale of an equalization into the operation before. */
#ifndef FOLD_H
#define FOLD_H

#include "model/model.h"

/* Folds s of a site into the operation before: norm, v_proj or up_proj; what is stored in a
 * checkpoint's dtype is rounded to it first, and the matrices of the site take what was really
 * done. */
ptq_status fold_site(const struct model *m, struct block *b, enum site site, const float *scale);
/* Whether an operation is there that the scale of a site can be folded into. */
int fold_is_possible(const struct model *m, enum site site);
/* The channels of SITE_OUTPUT's input that come from one channel of v_proj, for grouped queries. */
void fold_ties(const struct model_config *config, int32_t *ties);

#endif
