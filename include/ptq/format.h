/*
 * ptq/format.h - how a quantized matrix lies in a checkpoint.
 *
 * A format spreads the parts of a matrix over tensors and metadata of a store, under names that
 * begin with a prefix, such as "model.layers.3.mlp.down_proj".
 */
#ifndef PTQ_FORMAT_H
#define PTQ_FORMAT_H

#include "qtensor.h"
#include "store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /* The library's own: "<prefix>.codes", packed; ".scales" f16 where exact, else f32; ".zeros",
     * ".order", ".input_scale", ".row_scales" where present; settings as metadata. Nothing is lost
     * but NaN for errors that are not known. */
    PTQ_FORMAT_PTQ = 1
};

/* Formats by name ("ptq"): 0 for an unknown name, NULL for an unknown format. */
PTQ_API int32_t ptq_format_from_name(const char *name);
PTQ_API const char *ptq_format_name(int32_t format);
/* Enumeration: format number index; 0 beyond the last. */
PTQ_API int32_t ptq_format(int32_t index);
/* What the names of a matrix's tensors may end in: ending number index (".codes"); NULL beyond the
 * last. */
PTQ_API const char *ptq_format_ending(int32_t format, int32_t index);

/* PTQ_OK where the format can hold q; else PTQ_ERROR_UNSUPPORTED, and the message says in a
 * sentence what the format cannot express. */
PTQ_API ptq_status ptq_format_can_hold(int32_t format, const ptq_qtensor *q);
/* The format in which a store holds a quantized matrix of this prefix; 0 where it holds none. */
PTQ_API int32_t ptq_format_find(const ptq_store *store, const char *prefix);

/* Adds the parts of q to a store being written. q may be freed before the store is committed. */
PTQ_API ptq_status ptq_qtensor_write(const ptq_qtensor *q, int32_t format, ptq_store *store,
                                     const char *prefix);
/* Reads them back. PTQ_ERROR_UNKNOWN where the store has no matrix of this prefix in this format.
 */
PTQ_API ptq_status ptq_qtensor_read(ptq_context *context, int32_t format, const ptq_store *store,
                                    const char *prefix, ptq_qtensor **q);

#ifdef __cplusplus
}
#endif
#endif
