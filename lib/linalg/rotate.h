/*
 * Block rotation: x B, B block-diagonal with a normalised Hadamard matrix of Sylvester's kind,
 * which is symmetric and its own inverse, on every `block` columns. What is left at the end takes
 * the largest power of two that fits, and so on down.
 */
#ifndef PTQI_ROTATE_H
#define PTQI_ROTATE_H

#include "base/context.h"

/* x [rows][k] in place; block a power of two. */
void ptqi_rotate(const ptq_context *context, float *x, int64_t rows, int64_t k, int32_t block);

#endif
