/* Checked access to tensors of a checkpoint by name. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "model/model.h"

/* Finds a tensor, which must have this shape (columns 0: a vector) and hold floats. */
ptq_status weights_find(const struct model *m, const ptq_store *store, const char *name,
                        int64_t rows, int64_t columns, ptq_tensor **tensor);
/* The same as f32, allocated; all values must be finite. */
ptq_status weights_floats(const struct model *m, const ptq_store *store, const char *name,
                          int64_t rows, int64_t columns, float **out);
/* The same for a matrix that is not quantized, as [n][k] even if the model has it as [k][n]. */
ptq_status weights_matrix(const struct model *m, const ptq_store *store,
                          const struct matrix *matrix, float **out);
/* out [columns][rows] of in [rows][columns] */
void weights_transpose(const float *in, int64_t rows, int64_t columns, float *out);
/* A tensor of floats with the dtype in which it is stored. */
ptq_status weights_stored(const struct model *m, const ptq_store *store, const char *name,
                          int64_t rows, int64_t columns, struct vector *v);
ptq_status weights_vector(const struct model *m, const ptq_store *store, const char *name,
                          int64_t length, struct vector *v);
/* Checks that a matrix that stays mapped in its dtype has only finite values. */
ptq_status weights_check_rows(const struct model *m, const ptq_tensor *tensor);
/* Sets norm->applied if the architecture adds 1: after loading, and after the weight has changed.
 */
ptq_status norm_apply_one(const struct model *m, struct norm *norm);
/* Frees the loaded parts of a norm. */
void norm_free(ptq_context *context, struct norm *norm);

#endif
