/* Tensor internals. */
#ifndef PTQI_TENSOR_H
#define PTQI_TENSOR_H

#include "base/context.h"
#include "ptq/tensor.h"

struct ptq_tensor {
    ptq_context *context;
    int32_t dtype, rank;
    int64_t shape[PTQ_MAX_RANK];
    int64_t elements, bytes;
    void *data;
    int owned;
    char *name; /* or NULL */
};

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
