/* The tensor from inside. */
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
    char *name; /* NULL: none */
};

/* Rows of the caller's, ld elements from one to the next, and how the header names all that. */
struct ptqi_block {
    const char *name, *ld_name, *columns_name; /* "x", "ldx", "K" */
    const void *data;                          /* may be NULL where there are no rows */
    int32_t dtype;
    int64_t rows, columns, ld;
};

/* Whether such rows can be: of floats, ld not below the columns, and all of it within what memory
 * there can be, so that nothing overflows on the way to an element. */
ptq_status ptqi_check_block(ptq_context *context, const char *function,
                            const struct ptqi_block *block);

/* PTQ_ERROR_NOT_FINITE, naming the place, where data, [rows][columns] of a float dtype with ld
 * elements from row to row, has an element that is not finite. */
ptq_status ptqi_check_finite(ptq_context *context, const char *name, const void *data,
                             int32_t dtype, int64_t rows, int64_t columns, int64_t ld);

#endif
