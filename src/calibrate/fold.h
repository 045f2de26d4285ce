/* Folds the scale of an equalization into the preceding operation. */
#ifndef FOLD_H
#define FOLD_H

#include "model/model.h"

/* Folds the scale of a site into the preceding operation: a norm, v_proj or up_proj. Values stored
 * in a checkpoint's dtype are rounded to it first, and the matrices of the site are multiplied by
 * the factor that was really applied. A router is too, and from then on stored in f32. SITE_DOWN is
 * folded for one expert, or for none (-1); SITE_MLP for all of them (-1). */
ptq_status fold_site(const struct model *m, struct block *b, enum site site, int64_t expert,
                     const float *scale);
/* Whether the scale of a site can be folded into a preceding operation. */
int fold_is_possible(const struct model *m, enum site site);
/* Groups the channels of SITE_OUTPUT's input that come from one channel of v_proj, for
 * grouped-query attention. */
void fold_ties(const struct model_config *config, int32_t *ties);

#endif
