/* Internals of layouts, and the creation of linears from them. */
#ifndef PTQI_LAYOUT_H
#define PTQI_LAYOUT_H

#include "linear/linear.h"
#include "ptq/layout.h"

/* shape.c: the shape of q, with f16 scales if all are exact. */
struct ptqi_shape ptqi_shape_of(const struct ptq_qtensor *q);
/* Whether the scales of these rows are all exact in f16. */
int ptqi_scales_fit_half(const struct ptq_qtensor *q, int64_t first, int64_t rows);
/* Whether panels can hold such a matrix. */
int ptqi_shape_is_plain(const struct ptqi_shape *shape);
/* The header of a packed matrix with this shape, except for what _complete takes from q. */
ptq_status ptqi_shape_describe(ptq_context *context, const struct ptqi_shape *shape,
                               struct ptqi_packed *header);
ptq_status ptqi_shape_complete(ptq_context *context, const struct ptq_qtensor *q,
                               struct ptqi_packed *header);
/* PTQ_ERROR_CONFLICT if q has a part that the shape has no room for; the number of rows does not
 * matter. _values checks the scales of some rows. */
ptq_status ptqi_shape_check_fits(ptq_context *context, const struct ptqi_shape *shape,
                                 const struct ptq_qtensor *q);
ptq_status ptqi_shape_check_values(ptq_context *context, const struct ptqi_shape *shape,
                                   const struct ptq_qtensor *q, int64_t first, int64_t rows);

/* linear.c: creates a linear in memory or, if that is NULL, in memory from the context. It has what
 * all rows of q share, but no rows. _finish completes it. */
ptq_status ptqi_linear_begin(ptq_context *context, const struct ptqi_shape *shape,
                             const struct ptq_qtensor *q, struct ptqi_packed *header, void *memory,
                             ptq_linear **linear);
void ptqi_linear_finish(struct ptq_linear *linear);
/* The same with all rows of q, complete. */
ptq_status ptqi_linear_create(const char *function, ptq_context *context,
                              const struct ptqi_shape *shape, const struct ptq_qtensor *q,
                              struct ptqi_packed *header, void *memory, int64_t bytes,
                              ptq_linear **linear);

#endif
