/* Tensor internals. */
#ifndef PTQI_TENSOR_H
#define PTQI_TENSOR_H

#include "base/context.h"
#include "ptq/tensor.h"

struct ptq_tensor {
    ptq_context *context;
    atomic_llong references; /* the user's, and one for each store being written that it is in */
    int32_t dtype, rank;
    int64_t shape[PTQ_MAX_RANK];
    int64_t elements, bytes;
    int64_t row_stride; /* elements from one index along the first axis to the next */
    void *data;
    int owned;
    struct ptq_store *store; /* that data belong to, held; or NULL */
    char *name;              /* or NULL */
};

/* Whether there are gaps between the rows. */
static inline int ptqi_tensor_has_gaps(const ptq_tensor *t)
{
    return t->elements && t->rank > 0 && t->shape[0] > 1 &&
           t->row_stride != t->elements / t->shape[0];
}

/* References, from any thread; the last one to be released frees the tensor. */
void ptqi_tensor_hold(const ptq_tensor *tensor);
void ptqi_tensor_release(ptq_tensor *tensor);

/* The caller's rows, with row stride ld, and their names in the header. */
struct ptqi_block {
    const char *name, *ld_name, *columns_name; /* "x", "ldx", "K" */
    const void *data;                          /* may be NULL if rows is 0 */
    int32_t dtype;
    int64_t rows, columns, ld;
};

/* Checks that such rows are valid: a float dtype, ld not below columns, and all of it within the
 * address space, so that computing the address of an element cannot overflow. */
ptq_status ptqi_check_block(ptq_context *context, const char *function,
                            const struct ptqi_block *block);

/* PTQ_ERROR_NOT_FINITE, with the position, if an element of data is not finite. data is
 * [rows][columns] of a float dtype with row stride ld. */
ptq_status ptqi_check_finite(ptq_context *context, const char *name, const void *data,
                             int32_t dtype, int64_t rows, int64_t columns, int64_t ld);

#endif
