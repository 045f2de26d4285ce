/*
 * ptq/layout.h - the shape of a packed matrix, before there are data: for engines that first
 * allocate memory or look for packed files.
 *
 * The size of a packed matrix follows from its layout and the context's instruction set alone,
 * never from values. Thread safety: many threads may use a layout at once, as long as none sets
 * anything in it.
 */
#ifndef PTQ_LAYOUT_H
#define PTQ_LAYOUT_H

#include "linear.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_layout ptq_layout;

/* What a layout has room for, and its default. Flags are 0 or 1. */
enum {
    PTQ_LAYOUT_ACTIVATIONS = 1, /* PTQ_ACTIVATIONS_... but FPTQ, f32 */
    PTQ_LAYOUT_ZEROS = 2,       /* PTQ_ZEROS_..., none */
    PTQ_LAYOUT_SCALES = 3,      /* PTQ_SCALES_PLAIN, the default, or _TWO_LEVEL (not by group) */
    PTQ_LAYOUT_SCALE_DTYPE = 4, /* PTQ_DTYPE_F32, the default, or _F16 (int8, int16) */
    PTQ_LAYOUT_ORDER = 5,       /* flag: columns have an order */
    PTQ_LAYOUT_INPUT_SCALE = 6, /* flag: the input is divided by a scale */
    PTQ_LAYOUT_LEVELS = 7,      /* flag: codes index levels */
    PTQ_LAYOUT_UNEVEN = 8       /* flag: groups consist of arbitrary columns */
};
enum { PTQ_ZEROS_NONE = 0, PTQ_ZEROS_INTEGER = 1, PTQ_ZEROS_MINIMA = 2 };

/* Creates the layout of an [N][K] matrix; the numbers are as for ptq_qtensor_create. Every layout
 * has room for a bias. */
PTQ_API ptq_status ptq_layout_create(ptq_context *context, int64_t n, int64_t k, int32_t bits,
                                     int64_t group, ptq_layout **layout);
/* Creates the layout that ptq_linear_create gives q; it has f16 scales if all scales are exact in
 * f16. */
PTQ_API ptq_status ptq_layout_of(ptq_context *context, const ptq_qtensor *q, ptq_layout **layout);
PTQ_API void ptq_layout_free(ptq_layout *layout);
PTQ_API ptq_status ptq_layout_set(ptq_layout *layout, int32_t parameter, int32_t value);
PTQ_API ptq_status ptq_layout_get(const ptq_layout *layout, int32_t parameter, int32_t *value);

/* Bytes of a packed matrix with this layout, a multiple of PTQ_ALIGNMENT; 0, with a message, if
 * there can be none: settings that contradict each other, or a matrix that is too large. */
PTQ_API int64_t ptq_layout_packed_bytes(const ptq_layout *layout);
/*
 * Identifies a packed form: the same matrix packed by layouts of equal identity gives equal bytes,
 * on any machine and in any version of the library. It can therefore be part of the name of a cache
 * file. Copied like ptq_last_message. "" if the layout is contradictory.
 */
PTQ_API int64_t ptq_layout_identity(const ptq_layout *layout, char *buffer, int64_t capacity);

/*
 * Packs q by a layout into memory of ptq_layout_packed_bytes bytes, as ptq_linear_create_in does;
 * if memory is NULL, it comes from the context. Parts that the layout has room for but q does not
 * have are filled in: zeros 2^(bits-1), the order 0 .. K-1, the input scale 1. PTQ_ERROR_CONFLICT
 * if q has parts that the layout has no room for, or scales that are not exact in f16.
 */
PTQ_API ptq_status ptq_linear_create_with(const ptq_layout *layout, const ptq_qtensor *q,
                                          void *memory, int64_t bytes, ptq_linear **linear);

/*
 * The same by parts: as rows arrive, or from an engine's own threads.
 *
 * _begin creates a linear without rows. q says what all rows share: column order and groups, input
 * scale, rotation, levels, activations and their scale. It needs no codes or scales, and its number
 * of rows does not matter. Until _finish, the linear can only be packed or freed.
 *
 * _pack_rows packs rows `from` .. from + count - 1 of q as rows first .. of the linear, on the
 * calling thread alone. It may run on several threads at once, each with rows of its own. q may be
 * the whole matrix or hold only some of its rows; what all rows share must be as _begin was told,
 * else PTQ_ERROR_CONFLICT. It allocates only if codes are borrowed.
 *
 * _finish completes the linear once every row was packed, once; PTQ_ERROR_MISSING if some are left.
 */
PTQ_API ptq_status ptq_linear_begin(const ptq_layout *layout, const ptq_qtensor *q, void *memory,
                                    int64_t bytes, ptq_linear **linear);
PTQ_API ptq_status ptq_linear_pack_rows(ptq_linear *linear, const ptq_qtensor *q, int64_t from,
                                        int64_t first, int64_t count);
PTQ_API ptq_status ptq_linear_finish(ptq_linear *linear);

#ifdef __cplusplus
}
#endif
#endif
