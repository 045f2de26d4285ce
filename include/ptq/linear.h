/*
 * ptq/linear.h - a quantized matrix packed for this CPU, ready to run: y = x W^T.
 *
 * x is [rows][K], y is [rows][N]; ldx and ldy count elements from one row to the next. x and y of
 * f16 or bf16 must lie at even addresses, those of f32 may lie anywhere. With no rows both may be
 * NULL.
 *
 * With f32 activations y is the f32 product with the dequantized weights. With int8 activations
 * each row of x is divided by the input scale and quantized, q_x = round(x' / sx), sx = max |x'| /
 * 127, and
 *
 *     y[m][n] = sx[m] * sum over groups g of sw[n][g] * (sum_k q_w q_x - zero[n][g] * sum_k q_x)
 *
 * with exact integer sums and one fused multiply-add per group, g ascending; with two-level scales,
 * sw[n][g] = sr[n] si[n][g], y[m][n] = sx[m] * (sr[n] * (sum_k si (q_w - zero) q_x)), one integer
 * sum. A row of x that is not finite gives a row of the quiet NaN 0x7fc00000.
 *
 * Thread safety: a linear may be run by many threads at once, each with its own x, y and scratch.
 * Results do not depend on the number of threads, the instruction set or the number of parts.
 */
#ifndef PTQ_LINEAR_H
#define PTQ_LINEAR_H

#include "qtensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_linear ptq_linear;

/* Alignment, in bytes, of packed linears, prepared activations and scratch memory of the caller's.
 */
#define PTQ_ALIGNMENT 64

/*
 * Packs q; q may be freed afterwards. On the library's threads, but on the calling one alone where
 * the context has a parallel_for: an engine with threads of its own packs several matrices at once.
 * The same holds for ptq_linear_create_in, which allocates no more than the handle.
 * PTQ_ERROR_UNSUPPORTED where 8-bit codes have zero points, activations are int8, and a group has
 * more than 66311 columns: its sums might not fit 32 bits. ptq_linear_open refuses them as well.
 */
PTQ_API ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q,
                                     ptq_linear **linear);
PTQ_API void ptq_linear_free(ptq_linear *linear);
PTQ_API int64_t ptq_linear_n(const ptq_linear *linear);
PTQ_API int64_t ptq_linear_k(const ptq_linear *linear);
/* Bytes of the packed weights, scales and zeros. */
PTQ_API int64_t ptq_linear_bytes(const ptq_linear *linear);
/* bias [N] is copied and added to every row of y; NULL removes it. Not while the linear runs.
 * Allocates only for a linear that was opened. */
PTQ_API ptq_status ptq_linear_set_bias(ptq_linear *linear, const float *bias);

/*
 * The packed form in memory of the caller's, or in a file, so that an engine packs once and later
 * starts without: it is one piece of bytes without pointers, with everything that a linear needs,
 * its bias too.
 *
 * _packed_bytes: how many bytes q takes, packed for the instruction set of the context; 0 where it
 * cannot be, with a message. It is a multiple of PTQ_ALIGNMENT, so that many can be laid end to
 * end. _create_in: packs into memory, of so many bytes or more, at a multiple of PTQ_ALIGNMENT,
 * which must outlive the linear; afterwards, and after ptq_linear_set_bias, these bytes may be
 * written to a file. Where it fails, it may have left anything in memory. _open: runs from such
 * bytes, read or mapped; memory is only read, must outlive the linear, and must not change. A bias
 * set later on is kept beside it.
 *
 * The bytes have the byte order of the host, little endian on all that are supported, and are the
 * same for the same q and the same layout of panels, which several instruction sets may share.
 * _open answers PTQ_ERROR_UNSUPPORTED where they were packed for another layout or by another
 * version - then pack the matrix again - and PTQ_ERROR_FORMAT where they are no packed linear, or a
 * damaged one. It checks whatever could lead a product out of its memory, so that a hostile file
 * does no worse than to give wrong numbers; weights that were changed are not noticed.
 */
PTQ_API int64_t ptq_linear_packed_bytes(ptq_context *context, const ptq_qtensor *q);
PTQ_API ptq_status ptq_linear_create_in(ptq_context *context, const ptq_qtensor *q, void *memory,
                                        int64_t bytes, ptq_linear **linear);
PTQ_API ptq_status ptq_linear_open(ptq_context *context, const void *memory, int64_t bytes,
                                   ptq_linear **linear);

/*
 * Bytes of prepared activations, and of scratch memory, for up to rows rows of x. The scratch size
 * is that of ptq_linear_forward, and enough for the other forms; it grows with the context's number
 * of threads, so ask again after changing that. Rows that cannot be, negative or too many, give 0,
 * with a message.
 */
PTQ_API int64_t ptq_linear_prepared_bytes(const ptq_linear *linear, int64_t rows);
PTQ_API int64_t ptq_linear_scratch_bytes(const ptq_linear *linear, int64_t rows);

/* y = x W^T (+ bias). dtypes f32, f16, bf16. scratch: ptq_linear_scratch_bytes at PTQ_ALIGNMENT, or
 * NULL, and the context's allocator is used. x and y must not overlap. Runs on the context's
 * parallel_for, else on the library's threads. */
PTQ_API ptq_status ptq_linear_forward(const ptq_linear *linear, const void *x, int32_t x_dtype,
                                      int64_t rows, int64_t ldx, void *y, int32_t y_dtype,
                                      int64_t ldy, void *scratch);

/*
 * The same in two steps: x prepared once for several matrices (q, k and v; gate and up). prepared
 * has ptq_linear_prepared_bytes bytes at PTQ_ALIGNMENT; it carries its recipe (K, group,
 * activations, input scale, column order), and a linear with another recipe answers
 * PTQ_ERROR_CONFLICT; so may one of a context with another instruction set. _prepare runs on the
 * library's threads, but on the calling one alone where the context has a parallel_for;
 * _forward_prepared runs as ptq_linear_forward, and allocates where scratch is NULL.
 */
PTQ_API ptq_status ptq_linear_prepare(const ptq_linear *linear, const void *x, int32_t x_dtype,
                                      int64_t rows, int64_t ldx, void *prepared);
PTQ_API ptq_status ptq_linear_forward_prepared(const ptq_linear *linear, const void *prepared,
                                               void *y, int32_t y_dtype, int64_t ldy,
                                               void *scratch);
/*
 * One of parts shares of the columns of y, for engines that are already inside a parallel region:
 * each of their threads calls this with its part, 0 <= part < parts, and no other thread is used.
 * Each part needs scratch memory of its own, of ptq_linear_part_scratch_bytes (NULL: allocated).
 */
PTQ_API int64_t ptq_linear_part_scratch_bytes(const ptq_linear *linear, int64_t rows);
PTQ_API ptq_status ptq_linear_forward_part(const ptq_linear *linear, const void *prepared, void *y,
                                           int32_t y_dtype, int64_t ldy, void *scratch,
                                           int64_t part, int64_t parts);

/*
 * The three forms once more, for residual connections: y += x W^T (+ bias). Each element becomes
 * round(y + v), where v is the f32 that ptq_linear_forward would have stored in a y of f32: y is
 * widened to f32, one f32 addition follows, and one rounding to the dtype of y. A sum that is not a
 * number is the quiet NaN 0x7fc00000, in f16 0x7e00 and in bf16 0x7fc0. Threads and memory are
 * those of the three forms.
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
