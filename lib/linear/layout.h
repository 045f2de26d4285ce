/* The shape of a packed matrix, which does not depend on values. */
#ifndef PTQI_LAYOUT_H
#define PTQI_LAYOUT_H

#include "linear/linear.h"
#include "ptq/layout.h"

struct ptqi_shape {
    int64_t n, k, group_size;
    int32_t bits;
    int32_t activations, zeros, scales, scale_dtype; /* PTQ_LAYOUT_... */
    int32_t order, input_scale, levels, uneven;      /* flags */
};

/* pack.c: that of q; f16 scales if all are exact. */
struct ptqi_shape ptqi_shape_of(const struct ptq_qtensor *q);
int ptqi_scales_fit_half(const struct ptq_qtensor *q);
/* Whether panels can express it. */
int ptqi_shape_is_plain(const struct ptqi_shape *shape);
/* The header of a packed matrix with this shape, but for what _complete adds of q. */
ptq_status ptqi_shape_describe(ptq_context *context, const struct ptqi_shape *shape,
                               struct ptqi_packed *header);
ptq_status ptqi_shape_complete(ptq_context *context, const struct ptq_qtensor *q,
                               struct ptqi_packed *header);
/* linear.c: packs q by a header into memory, or, if that is NULL, into memory of the context. */
ptq_status ptqi_linear_create(const char *function, ptq_context *context,
                              const struct ptq_qtensor *q, struct ptqi_packed *header, void *memory,
                              int64_t bytes, ptq_linear **linear);

#endif
