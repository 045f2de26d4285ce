/*
 * ptq/tensor.h - an element type, a shape and the data, owned or borrowed.
 *
 * Tensors are dense and row-major.
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
 * there are no elements.
 */
PTQ_API ptq_status ptq_tensor_create(ptq_context *context, int32_t dtype, int32_t rank,
                                     const int64_t *shape, ptq_tensor **tensor);
PTQ_API ptq_status ptq_tensor_borrow(ptq_context *context, int32_t dtype, int32_t rank,
                                     const int64_t *shape, void *data, ptq_tensor **tensor);
PTQ_API void ptq_tensor_free(ptq_tensor *tensor);

PTQ_API int32_t ptq_tensor_dtype(const ptq_tensor *tensor);
PTQ_API int32_t ptq_tensor_rank(const ptq_tensor *tensor);
/* Size along axis, counted from 0; 1 for an axis past the rank. */
PTQ_API int64_t ptq_tensor_size(const ptq_tensor *tensor, int32_t axis);
PTQ_API int64_t ptq_tensor_elements(const ptq_tensor *tensor);
PTQ_API int64_t ptq_tensor_bytes(const ptq_tensor *tensor);
/* The data. Must not be written if the tensor comes from a store, whose memory is read-only. */
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
