/* The embedding and the head: matrices with a row for each token of the vocabulary. */
#ifndef TOKEN_MATRIX_H
#define TOKEN_MATRIX_H

#include "model/model.h"

/* Opens one of [vocabulary][hidden]; tensor is its name with ".weight", under which it may also be
 * quantized. */
ptq_status token_matrix_open(const struct model *m, const char *tensor, struct token_matrix *t);
void token_matrix_free(struct token_matrix *t);
/* Whether the model has it. */
int token_matrix_exists(const struct model *m, const char *tensor);
/* x [hidden] = the row of a token. */
ptq_status token_matrix_row(const struct token_matrix *t, int64_t id, float *x);
/* out [vocabulary][hidden] */
ptq_status token_matrix_to_f32(const struct token_matrix *t, float *out);
/* Whether both have the same values, whatever their types. */
ptq_status token_matrix_compare(const struct model *m, const struct token_matrix *a,
                                const struct token_matrix *b, int *same);

#endif
