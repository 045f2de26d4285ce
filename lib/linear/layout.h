/* Layouts from inside, and how linears are made from them. */
#ifndef PTQI_LAYOUT_H
#define PTQI_LAYOUT_H

#include "linear/linear.h"
#include "ptq/layout.h"

/* shape.c: that of q; f16 scales if all are exact. */
struct ptqi_shape ptqi_shape_of(const struct ptq_qtensor *q);
/* Whether the scales of so many rows are all exact in f16. */
int ptqi_scales_fit_half(const struct ptq_qtensor *q, int64_t first, int64_t rows);
/* Whether panels can express it. */
int ptqi_shape_is_plain(const struct ptqi_shape *shape);
/* The header of a packed matrix with this shape, but for what _complete adds of q. */
ptq_status ptqi_shape_describe(ptq_context *context, const struct ptqi_shape *shape,
                               struct ptqi_packed *header);
ptq_status ptqi_shape_complete(ptq_context *context, const struct ptq_qtensor *q,
                               struct ptqi_packed *header);
/* PTQ_ERROR_CONFLICT if the shape has no room for something that q has, but for the number of rows.
 * _values does the same for the scales of some rows. */
ptq_status ptqi_shape_check_fits(ptq_context *context, const struct ptqi_shape *shape,
                                 const struct ptq_qtensor *q);
ptq_status ptqi_shape_check_values(ptq_context *context, const struct ptqi_shape *shape,
                                   const struct ptq_qtensor *q, int64_t first, int64_t rows);

/* linear.c: creates a linear by a header in memory, or, if that is NULL, in memory of the context;
 * with what all rows of q share, but no rows. _finish completes it. */
ptq_status ptqi_linear_begin(ptq_context *context, const struct ptqi_shape *shape,
                             const struct ptq_qtensor *q, struct ptqi_packed *header, void *memory,
                             ptq_linear **linear);
void ptqi_linear_finish(struct ptq_linear *linear);
/* All of q. */
ptq_status ptqi_linear_create(const char *function, ptq_context *context,
                              const struct ptqi_shape *shape, const struct ptq_qtensor *q,
                              struct ptqi_packed *header, void *memory, int64_t bytes,
                              ptq_linear **linear);

#endif
