/*
 * One product, in the ways in which a call can make it: a call is created, run once and freed.
 */
#ifndef CALLS_H
#define CALLS_H

#include "ptq/ptq.h"

/* The product of rows of x, stored in y or added to it. scratch has scratch_size bytes, or is NULL.
 */
ptq_status forward(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                   int64_t ldx, void *y, int32_t y_dtype, int64_t ldy, void *scratch);
ptq_status accumulate(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                      int64_t ldx, void *y, int32_t y_dtype, int64_t ldy, void *scratch);

/* x prepared in memory of prepared_size bytes. */
ptq_status prepare(const ptq_linear *linear, const void *x, int32_t x_dtype, int64_t rows,
                   int64_t ldx, void *prepared);
/* The product of what is prepared. */
ptq_status forward_prepared(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                            int64_t ldy, void *scratch);
ptq_status accumulate_prepared(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                               int64_t ldy, void *scratch);
/* One part of it. scratch has part_scratch_size bytes, or is NULL. */
ptq_status forward_part(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                        int64_t ldy, void *scratch, int64_t part, int64_t parts);
ptq_status accumulate_part(const ptq_linear *linear, void *prepared, void *y, int32_t y_dtype,
                           int64_t ldy, void *scratch, int64_t part, int64_t parts);

int64_t prepared_size(const ptq_linear *linear, int64_t rows);
int64_t scratch_size(const ptq_linear *linear, int64_t rows);
int64_t part_scratch_size(const ptq_linear *linear, int64_t rows);

#endif
