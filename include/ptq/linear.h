/*
 * ptq/linear.h - a quantized matrix packed for this CPU, ready to run: y = x W^T.
 *
 * x is [rows][K] and y is [rows][N], with row strides ldx and ldy in elements. f16 and bf16 x and y
 * must be 2-byte aligned; f32 ones need no alignment. Both may be NULL if rows is 0.
 *
 * With f32 activations, y is the f32 product with the dequantized weights. With int8 activations,
 * each row of x is divided by the input scale and quantized, q_x = round(x' / sx), sx = max |x'| /
 * 127, and
 *
 *     y[m][n] = sx[m] * sum over groups g of sw[n][g] * (sum_k q_w q_x - zero[n][g] * sum_k q_x)
 *
 * with exact integer sums and one fused multiply-add per group, in order of g. With two-level
 * scales, sw[n][g] = sr[n] si[n][g], y[m][n] = sx[m] * (sr[n] * (sum_k si (q_w - zero) q_x)), with
 * one integer sum. If a row of x is not finite, its row of y is filled with the quiet NaN
 * 0x7fc00000.
 *
 * Thread safety: many threads may run a linear at once, each with its own x, y and scratch. Results
 * do not depend on the number of threads, the instruction set or the number of parts.
 */
#ifndef PTQ_LINEAR_H
#define PTQ_LINEAR_H

#include "qtensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_linear ptq_linear;

/* Alignment in bytes of packed linears, prepared activations and scratch memory. */
#define PTQ_ALIGNMENT 64

/*
 * Packs q, which may be freed afterwards. Packing runs on the library's threads, or on the calling
 * thread alone if the context has a parallel_for, since an engine with its own threads packs
 * several matrices at once. ptq_linear_create_in does the same, but allocates only the handle. If
 * 8-bit codes have zero points and activations are int8, a group of more than 66311 columns gives
 * PTQ_ERROR_UNSUPPORTED, because its sums might not fit in 32 bits. ptq_linear_open rejects such a
 * matrix too.
 */
PTQ_API ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q,
                                     ptq_linear **linear);
PTQ_API void ptq_linear_free(ptq_linear *linear);
PTQ_API int64_t ptq_linear_n(const ptq_linear *linear);
PTQ_API int64_t ptq_linear_k(const ptq_linear *linear);
/* Bytes of the packed weights, scales and zeros. */
PTQ_API int64_t ptq_linear_bytes(const ptq_linear *linear);
/* bias [N] is copied and added to every row of y; NULL removes it. Must not be called while the
 * linear runs. Allocates only if the linear was opened with ptq_linear_open. */
PTQ_API ptq_status ptq_linear_set_bias(ptq_linear *linear, const float *bias);

/*
 * The packed form in the caller's memory or in a file, so that an engine packs only once. It is a
 * single block of bytes without pointers that holds everything a linear needs, including its bias.
 *
 * _packed_bytes returns the number of bytes that q takes when packed for the context's instruction
 * set. It is a multiple of PTQ_ALIGNMENT, so packed matrices can be laid end to end. It is 0, with
 * a message, if q cannot be packed.
 *
 * _create_in packs into memory, which must be aligned to PTQ_ALIGNMENT, hold at least that many
 * bytes, and outlive the linear. Afterwards, even after ptq_linear_set_bias, the bytes may be
 * written to a file. If it fails, the contents of memory are undefined.
 *
 * _open runs from such bytes, whether read or mapped. It only reads memory, which must outlive the
 * linear and must not change. A bias that is set later is kept outside memory.
 *
 * The bytes are in host byte order, which is little endian on all supported machines. They are the
 * same for the same q and the same panel layout, which several instruction sets may share. _open
 * returns PTQ_ERROR_UNSUPPORTED if they were packed for another layout or by another version (pack
 * the matrix again), and PTQ_ERROR_FORMAT if they are not a packed linear or are damaged. It checks
 * everything that could make a product access memory out of bounds, so the worst that a hostile
 * file can do is cause wrong results. Changed weights are not detected.
 */
PTQ_API int64_t ptq_linear_packed_bytes(ptq_context *context, const ptq_qtensor *q);
PTQ_API ptq_status ptq_linear_create_in(ptq_context *context, const ptq_qtensor *q, void *memory,
                                        int64_t bytes, ptq_linear **linear);
PTQ_API ptq_status ptq_linear_open(ptq_context *context, const void *memory, int64_t bytes,
                                   ptq_linear **linear);

/*
 * Sizes in bytes of prepared activations and of scratch memory for up to `rows` rows of x. The
 * scratch size is that of ptq_linear_forward and is enough for the other forms. It grows with the
 * context's number of threads, so call this again after changing that. Returns 0, with a message,
 * if rows is negative or too large.
 */
PTQ_API int64_t ptq_linear_prepared_bytes(const ptq_linear *linear, int64_t rows);
PTQ_API int64_t ptq_linear_scratch_bytes(const ptq_linear *linear, int64_t rows);

/* y = x W^T (+ bias). The dtypes of x and y are f32, f16 or bf16. scratch has
 * ptq_linear_scratch_bytes bytes, aligned to PTQ_ALIGNMENT; if it is NULL, scratch memory comes
 * from the context's allocator. x and y must not overlap. Runs on the context's parallel_for if
 * there is one, else on the library's threads. */
PTQ_API ptq_status ptq_linear_forward(const ptq_linear *linear, const void *x, int32_t x_dtype,
                                      int64_t rows, int64_t ldx, void *y, int32_t y_dtype,
                                      int64_t ldy, void *scratch);

/*
 * The same in two steps, so that x is prepared once for several matrices (q, k and v; gate and up).
 * prepared has ptq_linear_prepared_bytes bytes, aligned to PTQ_ALIGNMENT. It records how it was
 * prepared (K, group, activations, input scale, column order). A linear that needs a different
 * preparation returns PTQ_ERROR_CONFLICT, and so may a linear of a context with another instruction
 * set. _prepare runs on the library's threads, or on the calling thread alone if the context has a
 * parallel_for. _forward_prepared runs like ptq_linear_forward, and allocates if scratch is NULL.
 */
PTQ_API ptq_status ptq_linear_prepare(const ptq_linear *linear, const void *x, int32_t x_dtype,
                                      int64_t rows, int64_t ldx, void *prepared);
PTQ_API ptq_status ptq_linear_forward_prepared(const ptq_linear *linear, const void *prepared,
                                               void *y, int32_t y_dtype, int64_t ldy,
                                               void *scratch);
/*
 * Computes one of `parts` shares of the columns of y, for engines that are already inside a
 * parallel region: each of their threads calls this with its own part, 0 <= part < parts, and no
 * other thread is used. Each part needs its own scratch memory of ptq_linear_part_scratch_bytes
 * bytes; it is allocated if scratch is NULL.
 */
PTQ_API int64_t ptq_linear_part_scratch_bytes(const ptq_linear *linear, int64_t rows);
PTQ_API ptq_status ptq_linear_forward_part(const ptq_linear *linear, const void *prepared, void *y,
                                           int32_t y_dtype, int64_t ldy, void *scratch,
                                           int64_t part, int64_t parts);

/*
 * The three forms again, for residual connections: y += x W^T (+ bias). Each element becomes
 * round(y + v), where v is the value that ptq_linear_forward would have stored in an f32 y: y is
 * widened to f32, v is added in f32, and the sum is rounded once to the dtype of y. A NaN sum
 * becomes the quiet NaN 0x7fc00000 (f16: 0x7e00, bf16: 0x7fc0). Threads and memory are as for the
 * three forms above.
 */
PTQ_API ptq_status ptq_linear_accumulate(const ptq_linear *linear, const void *x, int32_t x_dtype,
                                         int64_t rows, int64_t ldx, void *y, int32_t y_dtype,
                                         int64_t ldy, void *scratch);
PTQ_API ptq_status ptq_linear_accumulate_prepared(const ptq_linear *linear, const void *prepared,
                                                  void *y, int32_t y_dtype, int64_t ldy,
                                                  void *scratch);
PTQ_API ptq_status ptq_linear_accumulate_part(const ptq_linear *linear, const void *prepared,
                                              void *y, int32_t y_dtype, int64_t ldy, void *scratch,
                                              int64_t part, int64_t parts);

#ifdef __cplusplus
}
#endif
#endif
