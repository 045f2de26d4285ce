/*
 * ptq/call.h - runs packed matrices: y = x W^T, for one matrix or for several that share x.
 *
 * A call describes a product once: its matrices, x, y and everything that belongs to them. It is
 * set up by functions named ptq_call_set_..., which allocate nothing, so an engine can keep a call
 * and point it at new rows again and again. A running call is only read.
 *
 * x is [rows][K] and y is [rows][N], with row strides ldx and ldy in elements. Their dtypes are
 * f32, f16 or bf16. f16 and bf16 data must be 2-byte aligned; f32 data need no alignment. x and y
 * must not overlap. Both may be NULL if rows is 0.
 *
 * With f32 activations, y is the f32 product with the dequantized weights. With int8 activations,
 * each row of x is divided by the input scale and quantized, q_x = round(x' / sx), sx = max |x'| /
 * 127, and
 *
 *     y[m][n] = sx[m] * sum over groups g of sw[n][g] * (sum_k q_w q_x - zero[n][g] * sum_k q_x)
 *
 * with exact integer sums and one fused multiply-add per group, in order of g. With two-level
 * scales, sw[n][g] = sr[n] si[n][g], y[m][n] = sx[m] * (sr[n] * (sum_k si (q_w - zero) q_x)), with
 * one integer sum. Levels take the place of q_w - zero. With minima m[n][g], q_w has no zero point,
 * and each group adds m[n][g] * sum_k q_x by another fused multiply-add. With uint8 activations, as
 * ptq_qtensor_set_activations defines them, q_x - zx takes the place of q_x.
 *
 * With int16 activations, sx = max |x'| / 32385, and q_x = 254 hi + lo, hi = sign(q_x) floor((|q_x|
 * + 126) / 254), so that both limbs are -127 .. 127. Each limb is multiplied like a row of int8
 * activations up to the product with sx, and y = sx * fma(254, sum(hi), sum(lo)). The weights are
 * read once for both, so that a row costs what two rows cost with int8. Minima are added after the
 * sum over all g, in the same way and also in order of g.
 *
 * With int8 activations by group, each row of x has a scale sx[m][g] = max |x'| / 127 for every
 * group of columns, in quantization order, and
 *
 *     y[m][n] = sum over groups g of
 *                   sw[n][g] * (sx[m][g] * (sum_k q_w q_x - zero[n][g] * sum_k q_x))
 *
 * with exact integer sums, one rounding to f32 by sx, and one fused multiply-add by sw per group,
 * in order of g. With minima, m[n][g] * (sx[m][g] * sum_k q_x) is then added, after all g. The
 * groups are those of the weights, but longer ones than 128 columns are divided: if a row has only
 * one group, into parts of 128 columns, else into equal parts, the longest of up to 128 columns
 * that are a multiple of 32 (of 16, if the group is no multiple of 32). Uneven groups stay whole,
 * as do all groups in a layout with room for uneven ones. Two-level scales are PTQ_ERROR_CONFLICT.
 *
 * If a row of x is not finite, its row of y is filled with the quiet NaN 0x7fc00000.
 *
 * Memory: functions that take memory also take its size, and check it. Prepared activations and
 * scratch memory are aligned to PTQ_ALIGNMENT. Nothing is kept in scratch memory between calls.
 *
 * Thread safety: results do not depend on the number of threads, the instruction set or the number
 * of parts. ptq_call_run uses the context's threads. An engine that is already inside a parallel
 * region uses the _part functions: all of its threads call ptq_call_prepare_part, wait for each
 * other, and call ptq_call_run_part. These functions use no other thread, and any number of threads
 * may run parts of a call at once. A setter must not run while the call does.
 */
#ifndef PTQ_CALL_H
#define PTQ_CALL_H

#include "linear.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_call ptq_call;

/* What happens to products before they are stored. _SWIGLU and _GEGLU take matrices in pairs, gate
 * and up, and store act(a) * b, with a = x gate^T and b = x up^T. act(a) is a / (1 + exp(-a)), or
 * the tanh form of GELU, a / (1 + exp(-2 u)) with u = sqrt(2 / pi) (a + 0.044715 a^3). */
enum { PTQ_EPILOGUE_NONE = 0, PTQ_EPILOGUE_SWIGLU = 1, PTQ_EPILOGUE_GEGLU = 2 };

/*
 * Creates a call of count matrices, 1 to 65536, of the same context. They must have the same K, the
 * same activations and the same recipe for preparing them (input scale, rotation, column order; the
 * group size, if activations are integers), or the result is PTQ_ERROR_CONFLICT. Matrices made
 * by one ptq_quantize share a recipe. The call keeps a reference to each matrix, so they may be
 * freed before it.
 *
 * Results are numbered from 0: result i is the product with matrix i or, with an epilogue, with
 * matrices 2i and 2i + 1. Without ptq_call_set_rows, every result has the rows of x.
 */
PTQ_API ptq_status ptq_call_create(ptq_context *context, const ptq_linear *const *linears,
                                   int64_t count, ptq_call **call);
PTQ_API void ptq_call_free(ptq_call *call);

/* The input. */
PTQ_API ptq_status ptq_call_set_x(ptq_call *call, const void *x, int32_t dtype, int64_t rows,
                                  int64_t ldx);
/* The memory of a result. rows is the number of rows that y has room for; the result may have
 * fewer. */
PTQ_API ptq_status ptq_call_set_y(ptq_call *call, int64_t result, void *y, int32_t dtype,
                                  int64_t rows, int64_t ldy);
/*
 * 1: adds the result to y, for residual connections; 0, the default: replaces y. Each element
 * becomes round(y + v), where v is the value that would be stored in an f32 y: y is widened to f32,
 * v is added in f32, and the sum is rounded once to the dtype of y. A NaN sum becomes the quiet NaN
 * 0x7fc00000 (f16: 0x7e00, bf16: 0x7fc0).
 */
PTQ_API ptq_status ptq_call_set_add(ptq_call *call, int64_t result, int32_t add);
/* A bias [N] for matrix number index, used instead of the matrix's own; borrowed. NULL restores the
 * matrix's own. */
PTQ_API ptq_status ptq_call_set_bias(ptq_call *call, int64_t index, const float *bias);
/* Sets PTQ_EPILOGUE_... and discards all results, because their numbers change: call this first.
 * PTQ_ERROR_SHAPE unless the two matrices of every pair have the same N. */
PTQ_API ptq_status ptq_call_set_epilogue(ptq_call *call, int32_t epilogue);
/*
 * For experts: row i of a result is made from row rows[i] of x, for i in 0 .. count - 1. The list
 * is borrowed and is read each time the call is prepared or run. A result with count 0 costs
 * nothing. Either every result has a list or none has.
 */
PTQ_API ptq_status ptq_call_set_rows(ptq_call *call, int64_t result, const int32_t *rows,
                                     int64_t count);

/*
 * Memory in which x is prepared (that is, quantized): bytes bytes aligned to PTQ_ALIGNMENT. The
 * _part functions need it; without it, ptq_call_run uses part of its scratch memory. Prepared
 * activations record their recipe, so other calls whose matrices have the same recipe can use them:
 * a call whose x was never set, or set to NULL, runs on the activations that it finds there. If
 * these have another recipe or another number of rows, the result is PTQ_ERROR_CONFLICT. memory
 * NULL: none.
 */
PTQ_API ptq_status ptq_call_set_prepared(ptq_call *call, void *memory, int64_t bytes);

/* The user pointer that this call passes to the context's parallel_for, instead of the one set with
 * it; may be NULL. */
PTQ_API ptq_status ptq_call_set_parallel_user(ptq_call *call, void *user);

/*
 * Sizes in bytes for up to `rows` rows of x or, with lists, of all lists together. 0, with a
 * message, if rows is negative or too large. _scratch_bytes is for ptq_call_run on up to `threads`
 * threads (0: those of the context), and includes room for prepared activations unless the call has
 * memory for them. _part_scratch_bytes is for one part.
 */
PTQ_API int64_t ptq_call_prepared_bytes(const ptq_call *call, int64_t rows);
PTQ_API int64_t ptq_call_scratch_bytes(const ptq_call *call, int64_t rows, int32_t threads);
PTQ_API int64_t ptq_call_part_scratch_bytes(const ptq_call *call, int64_t rows);

/*
 * Prepares x, if it is set, and computes all results. Runs on the context's parallel_for if there
 * is one, else on the library's threads, but on no more of them than scratch has room for. If
 * scratch is NULL, it comes from the context's allocator. If parallel_for fails, its status is the
 * result, and the contents of y and of prepared memory are undefined.
 */
PTQ_API ptq_status ptq_call_run(const ptq_call *call, void *scratch, int64_t bytes);

/*
 * Does one of `parts` shares of the work, 0 <= part < parts: of preparing x, and, once all shares
 * of x are prepared, of computing the results. Each share needs separate scratch memory; if it is
 * NULL, it comes from the context's allocator.
 */
PTQ_API ptq_status ptq_call_prepare_part(const ptq_call *call, int64_t part, int64_t parts,
                                         void *scratch, int64_t bytes);
PTQ_API ptq_status ptq_call_run_part(const ptq_call *call, int64_t part, int64_t parts,
                                     void *scratch, int64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
