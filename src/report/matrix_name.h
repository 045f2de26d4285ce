/* What the names of matrices say: "model.layers.3.self_attn.q_proj". */
#ifndef MATRIX_NAME_H
#define MATRIX_NAME_H

#include <stdint.h>

/* The part of a matrix's name behind its layer's number, and the number; NULL where there is none.
 */
const char *matrix_in_block(const char *name, int64_t *block);
/* Which of the kinds, such as "self_attn.q_proj", a matrix is; -1: none. *block as above. */
int matrix_kind(const char *const *kinds, int count, const char *name, int64_t *block);
/* What stands behind the last dot. */
const char *matrix_last_part(const char *name);

#endif
