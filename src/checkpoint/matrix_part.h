/* Which tensors of a store are parts of a quantized matrix. */
#ifndef MATRIX_PART_H
#define MATRIX_PART_H

#include "ptq/ptq.h"

enum matrix_part {
    PART_NONE,
    PART_FIRST, /* that of the first ending of the format that the matrix has */
    PART_OTHER
};

/* What the tensor named matrix + ending is. */
enum matrix_part matrix_part(const ptq_store *store, const char *matrix, const char *ending);

#endif
