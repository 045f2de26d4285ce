/* The tensors of a matrix: names, and checked access. */
#ifndef PTQI_PART_H
#define PTQI_PART_H

#include "format/bits.h"
#include "qtensor.h"
#include "store/store.h"

#define PTQI_MAX_PREFIX 480

struct ptqi_name {
    char text[512];
};

/* Prefix and ending. A prefix that is too long is truncated, and so is not found. */
struct ptqi_name ptqi_part_name(const char *prefix, const char *ending);
/* The entry of a part, NULL if there is none. */
const struct ptqi_entry *ptqi_part(const ptq_store *store, const char *prefix, const char *ending);
/* The entry of a part that must have this dtype and shape: sets *data, possibly unaligned. */
ptq_status ptqi_part_view(const ptq_store *store, const char *prefix, const char *ending,
                          int32_t dtype, int64_t rows, int64_t columns, const void **data);
/* Adds a part [rows][columns] of 32-bit words. */
ptq_status ptqi_part_put_words(ptq_store *store, const char *prefix, const char *ending,
                               int64_t rows, int64_t columns, const void *words);
/* Adds a part with bit streams of values, as for ptqi_pack_streams. */
ptq_status ptqi_part_put_streams(ptq_context *context, const struct ptqi_streams *s,
                                 const uint8_t *values, int64_t stride_s, int64_t stride_i,
                                 ptq_store *store, const char *prefix, const char *ending);
/* A part with unsuitable contents. */
ptq_status ptqi_part_fail(const ptq_store *store, const char *prefix, const char *ending,
                          const char *problem);

/* Sets the scales of q from a part of a float dtype with this shape, [groups][N] if transposed,
 * else [N][groups]. */
ptq_status ptqi_part_scales(const ptq_store *store, const char *prefix, const char *ending,
                            int transposed, ptq_qtensor *q);
/* Adds a part with the scales of q in a dtype that represents them exactly, [groups][N] if
 * transposed. */
ptq_status ptqi_part_put_scales(const ptq_qtensor *q, int32_t dtype, int transposed,
                                ptq_store *store, const char *prefix, const char *ending);
/* Whether a float dtype represents all scales of q. */
int ptqi_scales_fit(const ptq_qtensor *q, int32_t dtype);
/* What of q, besides codes, plain scales, zero points and an order, the foreign formats cannot
 * hold; NULL if nothing. _weights: and besides weights with scales of f16. */
const char *ptqi_beyond_zero_points(const ptq_qtensor *q);
const char *ptqi_beyond_weights(const ptq_qtensor *q);
/* The group of a matrix with k columns, 0 if it is a whole row. */
static inline int64_t ptqi_group_of(int64_t group, int64_t k)
{
    return group < k ? group : 0;
}
/* Sets zeros [N][groups], unless all are in the middle. */
ptq_status ptqi_part_zeros(ptq_qtensor *q, const uint8_t *zeros);
/* Sets the group of each column from an I32 part [K]; nothing if it is what even groups in order
 * have. */
ptq_status ptqi_part_group_index(const ptq_store *store, const char *prefix, const char *ending,
                                 ptq_qtensor *q);

#endif
