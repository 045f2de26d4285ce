/*
 * The weight matrices of one call. They share an input, so all have the same width.
 */
#ifndef PTQI_MATRICES_H
#define PTQI_MATRICES_H

#include "base/context.h"
#include "ptq/tensor.h"

struct ptqi_weight {
    const float *w; /* [n][k] */
    int64_t n;
    const char *name; /* or NULL */
    float *widened;   /* owns w; NULL: w belongs to the caller */
};

struct ptqi_matrices {
    int64_t count, k;
    struct ptqi_weight *weights; /* [count] */
};

/* Fails unless the tensors are non-empty float matrices of one width. */
ptq_status ptqi_check_shapes(ptq_context *context, const ptq_tensor *const *tensors, int64_t count);

/*
 * Checks that all weights are finite and widens them to f32. Matrices that are f32 and dense
 * are not copied. The tensors must outlive m. On failure m holds nothing.
 */
ptq_status ptqi_load_matrices(ptq_context *context, const ptq_tensor *const *tensors, int64_t count,
                              struct ptqi_matrices *m);
void ptqi_free_matrices(ptq_context *context, struct ptqi_matrices *m);

/* The name of a matrix in messages. */
static inline const char *ptqi_weight_label(const struct ptqi_weight *weight)
{
    return weight->name ? weight->name : "weight";
}

#endif
