/*
 * Block rotation x B. B is block diagonal: a normalized Sylvester-Hadamard matrix, which is
 * symmetric and its own inverse, on every `block` columns. The columns that remain at the end are
 * covered by blocks of decreasing powers of two, largest first.
 */
#ifndef PTQI_ROTATE_H
#define PTQI_ROTATE_H

#include "base/context.h"

/* Rotates x [rows][k] in place; block is a power of two. */
void ptqi_rotate(const ptq_context *context, float *x, int64_t rows, int64_t k, int32_t block);

#endif
