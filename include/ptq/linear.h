/*
 * ptq/linear.h - a quantized matrix packed for this CPU, ready to run. ptq/call.h runs it.
 *
 * Thread safety: any number of threads may use a linear at once, except that ptq_linear_set_bias
 * must not overlap with anything else.
 */
#ifndef PTQ_LINEAR_H
#define PTQ_LINEAR_H

#include "qtensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_linear ptq_linear;

/*
 * Packs q, which may be freed afterwards. Packing runs on the library's threads, or on the calling
 * thread alone if the context has a parallel_for, since an engine with its own threads packs
 * several matrices at once. ptq_linear_create_in does the same, but allocates only the handle. If
 * 8-bit codes have zero points or minima and activations are int8 or int16, a group of more than
 * 66311 columns gives PTQ_ERROR_UNSUPPORTED, because its sums might not fit in 32 bits. So does a
 * group of more than 32896 columns if activations are uint8. ptq_linear_open rejects such a matrix
 * too.
 */
PTQ_API ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q,
                                     ptq_linear **linear);
/* Calls keep a reference: the memory is freed with the last of them. NULL is allowed. */
PTQ_API void ptq_linear_free(ptq_linear *linear);
PTQ_API int64_t ptq_linear_n(const ptq_linear *linear);
PTQ_API int64_t ptq_linear_k(const ptq_linear *linear);
/* Bytes of the packed weights, scales, zeros and minima. */
PTQ_API int64_t ptq_linear_bytes(const ptq_linear *linear);
/* Bits of the codes as packed, 4 or 8; columns of a full group; PTQ_ACTIVATIONS_...; the
 * instruction set that runs it, PTQ_ISA_...; 1 if scales are two-level; 1 if it has a bias, else 0.
 */
PTQ_API int32_t ptq_linear_bits(const ptq_linear *linear);
PTQ_API int64_t ptq_linear_group(const ptq_linear *linear);
PTQ_API int32_t ptq_linear_activations(const ptq_linear *linear);
PTQ_API int32_t ptq_linear_isa(const ptq_linear *linear);
PTQ_API int32_t ptq_linear_two_level(const ptq_linear *linear);
PTQ_API int32_t ptq_linear_has_bias(const ptq_linear *linear);
/* 1 if both prepare their input in the same way, so that one call can run them, else 0. Matrices
 * made by one ptq_quantize do. */
PTQ_API int32_t ptq_linear_shares_input(const ptq_linear *linear, const ptq_linear *other);
/* bias [N] is copied and added to every row of y; NULL removes it. Allocates only if the linear was
 * opened with ptq_linear_open. */
PTQ_API ptq_status ptq_linear_set_bias(ptq_linear *linear, const float *bias);
/* bias [N], copied out; PTQ_ERROR_MISSING if there is none. */
PTQ_API ptq_status ptq_linear_bias(const ptq_linear *linear, float *bias);
/* Creates the quantized matrix that a linear was packed from, to pack it for another instruction
 * set or to store it. Errors are unknown in it, and of codes whose levels are equal it has the
 * first. */
PTQ_API ptq_status ptq_linear_unpack(const ptq_linear *linear, ptq_qtensor **q);

/*
 * The packed form in the caller's memory or in a file, so that an engine can skip packing at later
 * startups. It is a single block of bytes without pointers that holds everything a linear needs,
 * including its bias.
 *
 * _packed_bytes returns the number of bytes that q takes when packed for the context's instruction
 * set. It is a multiple of PTQ_ALIGNMENT, so packed matrices can be placed end to end. It is 0,
 * with a message, if q cannot be packed.
 *
 * _create_in packs into memory, which must be aligned to PTQ_ALIGNMENT, hold at least that many
 * bytes, and outlive the linear. Afterwards, even after ptq_linear_set_bias, the bytes may be
 * written to a file. If it fails, the contents of memory are undefined.
 *
 * _open runs from these bytes, whether read or mapped. It only reads memory, which must outlive the
 * linear and must not change. A bias that is set later is kept outside memory.
 *
 * The bytes are in host byte order, which is little endian on all supported machines. They are the
 * same for the same q and the same panel layout, which several instruction sets may share. _open
 * returns PTQ_ERROR_LAYOUT if they were packed for another layout or by another version (pack the
 * matrix again), and PTQ_ERROR_FORMAT if they are not a packed linear or are damaged. It checks
 * everything that could make a product access memory out of bounds, so the worst that a hostile
 * file can do is cause wrong results. Changed weights are not detected.
 */
PTQ_API int64_t ptq_linear_packed_bytes(ptq_context *context, const ptq_qtensor *q);
PTQ_API ptq_status ptq_linear_create_in(ptq_context *context, const ptq_qtensor *q, void *memory,
                                        int64_t bytes, ptq_linear **linear);
PTQ_API ptq_status ptq_linear_open(ptq_context *context, const void *memory, int64_t bytes,
                                   ptq_linear **linear);

#ifdef __cplusplus
}
#endif
#endif
