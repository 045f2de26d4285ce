/*
 * ptq/tensor.h - an element type, a shape and the data, owned or borrowed.
 *
 * Tensors are row-major, and dense except for ptq_tensor_borrow_rows.
 * Thread safety: a tensor may be read by many threads at once.
 */
#ifndef PTQ_TENSOR_H
#define PTQ_TENSOR_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_tensor ptq_tensor;

enum {
    PTQ_DTYPE_F32 = 1,
    PTQ_DTYPE_F16 = 2,  /* IEEE 754 binary16 */
    PTQ_DTYPE_BF16 = 3, /* the upper half of an f32 */
    PTQ_DTYPE_I8 = 4,
    PTQ_DTYPE_U8 = 5,
    PTQ_DTYPE_I32 = 6
};
#define PTQ_MAX_RANK 8

/* Size of one element in bytes, 0 for an unknown dtype; and its name ("f32"), NULL if unknown. */
PTQ_API int64_t ptq_dtype_size(int32_t dtype);
PTQ_API const char *ptq_dtype_name(int32_t dtype);

/*
 * Creates a tensor of the given shape (rank 0 to PTQ_MAX_RANK, each size at least 0). shape may be
 * NULL for rank 0. _create allocates zeroed memory, which the tensor owns. _borrow refers to the
 * caller's data, which must be aligned for its dtype and outlive the tensor, and may be NULL if
 * there are no elements. The library never writes to it, so it may be constant. _borrow_rows is the
 * same for a matrix [rows][columns] whose rows begin ld >= columns elements apart, such as some
 * columns of a larger one. ptq_quantize, ptq_equalize and ptq_tensor_to_f32 take such matrices;
 * ptq_store_add returns PTQ_ERROR_UNSUPPORTED unless ld is columns or rows is at most 1.
 */
PTQ_API ptq_status ptq_tensor_create(ptq_context *context, int32_t dtype, int32_t rank,
                                     const int64_t *shape, ptq_tensor **tensor);
PTQ_API ptq_status ptq_tensor_borrow(ptq_context *context, int32_t dtype, int32_t rank,
                                     const int64_t *shape, const void *data, ptq_tensor **tensor);
PTQ_API ptq_status ptq_tensor_borrow_rows(ptq_context *context, int32_t dtype, int64_t rows,
                                          int64_t columns, int64_t ld, const void *data,
                                          ptq_tensor **tensor);
PTQ_API void ptq_tensor_free(ptq_tensor *tensor);

PTQ_API int32_t ptq_tensor_dtype(const ptq_tensor *tensor);
PTQ_API int32_t ptq_tensor_rank(const ptq_tensor *tensor);
/* Size along axis, counted from 0; 1 for an axis past the rank. */
PTQ_API int64_t ptq_tensor_size(const ptq_tensor *tensor, int32_t axis);
/* Number of elements, and their size in bytes, without gaps between rows. */
PTQ_API int64_t ptq_tensor_elements(const ptq_tensor *tensor);
PTQ_API int64_t ptq_tensor_bytes(const ptq_tensor *tensor);
/* Distance in elements between indices along the first axis: ld of ptq_tensor_borrow_rows, else the
 * product of the other sizes. */
PTQ_API int64_t ptq_tensor_row_stride(const ptq_tensor *tensor);
/* The data. Must not be written if the tensor comes from a store, whose memory is read-only, or
 * borrows read-only memory. */
PTQ_API void *ptq_tensor_data(const ptq_tensor *tensor);

/* A name for messages ("model.layers.3.mlp.down_proj.weight"); copied. Tensors read from a store
 * have one. */
PTQ_API ptq_status ptq_tensor_set_name(ptq_tensor *tensor, const char *name);
/* The name, "" if there is none; valid until the tensor is freed or renamed. */
PTQ_API const char *ptq_tensor_name(const ptq_tensor *tensor);

/* Copies a tensor of dtype f32, f16 or bf16 into out[elements] as f32. */
PTQ_API ptq_status ptq_tensor_to_f32(const ptq_tensor *tensor, float *out);

#ifdef __cplusplus
}
#endif
#endif
