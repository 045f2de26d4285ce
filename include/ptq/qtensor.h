/*
 * ptq/qtensor.h - a quantized weight matrix.
 *
 * W is [N][K] (N = out features, K = in features), y = x W^T. Each group of columns in a row has a
 * scale and a zero point: w = scale (code - zero), 0 <= code < 2^bits. The last group may be
 * shorter. Instead of zero points, groups may have minima, w = scale code + minimum, or the matrix
 * a table of levels, w = scale level[code]. Scales may be negative. Thread safety: many threads may
 * read a qtensor at once, as long as none sets anything in it.
 */
#ifndef PTQ_QTENSOR_H
#define PTQ_QTENSOR_H

#include "config.h"
#include "stats.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_qtensor ptq_qtensor;

/*
 * Creates a quantized matrix from existing parts: create, then set the codes and scales, and
 * whatever differs from the defaults: zeros 2^(bits-1), no order, no input scale, f32 activations.
 * bits is 2 .. 6 or 8. group is a multiple of 16 up to 131072, or 0 for one group per row. All data
 * are copied.
 */
PTQ_API ptq_status ptq_qtensor_create(ptq_context *context, int64_t n, int64_t k, int32_t bits,
                                      int64_t group, ptq_qtensor **q);
PTQ_API void ptq_qtensor_free(ptq_qtensor *q);
/* codes [N][K], one code per byte, in the original column order. */
PTQ_API ptq_status ptq_qtensor_set_codes(ptq_qtensor *q, const uint8_t *codes);
/* scales [N][groups], finite. */
PTQ_API ptq_status ptq_qtensor_set_scales(ptq_qtensor *q, const float *scales);
/* row_scales [N]: makes the scales two-level. Scales and zeros must be set first. Each scale must
 * be its row's row scale times an integer 1 .. 15, and that integer times (code - zero) must fit in
 * 8 bits for every code. A product with int8 or int16 activations is then a single integer sum over
 * all of K. Setting scales or zeros afterwards makes the scales plain again. A matrix with
 * two-level scales and activations that have a zero point, or a scale for each group, cannot be
 * packed: PTQ_ERROR_CONFLICT. */
PTQ_API ptq_status ptq_qtensor_set_row_scales(ptq_qtensor *q, const float *row_scales);
/* zeros [N][groups], each 0 .. 2^bits; for 8 bits, 0 .. 255. */
PTQ_API ptq_status ptq_qtensor_set_zeros(ptq_qtensor *q, const uint8_t *zeros);
/* minima [N][groups], finite: w = scale code + minimum, one fused multiply-add. PTQ_ERROR_CONFLICT
 * with zeros, row scales or levels. */
PTQ_API ptq_status ptq_qtensor_set_minima(ptq_qtensor *q, const float *minima);
/* levels [2^bits], each -127 .. 127, for codes of up to 4 bits: w = scale level[code].
 * PTQ_ERROR_CONFLICT with zeros, row scales or minima. */
PTQ_API ptq_status ptq_qtensor_set_levels(ptq_qtensor *q, const int8_t *levels);
/* scales [N][K / 256]: says what the scales of 256 columns are multiples of, by integers -128 ..
 * 127, as in the K types of GGUF, which can then be written; and minima the same, NULL if there are
 * none. They must be exact in f16. The matrix must have its scales and minima; setting these again
 * forgets super scales. */
PTQ_API ptq_status ptq_qtensor_set_super_scales(ptq_qtensor *q, const float *scales,
                                                const float *minima);
/* order [K], a permutation: group g consists of the columns order[g * group ..]. */
PTQ_API ptq_status ptq_qtensor_set_order(ptq_qtensor *q, const int32_t *order);
/* group_index [K], the group of each column (g_idx of GPTQ checkpoints), in 0 .. groups - 1. Sets
 * the order accordingly. Groups need not have equal numbers of columns; uneven ones cannot be
 * combined with two-level scales, and setting an order makes them even again. */
PTQ_API ptq_status ptq_qtensor_set_group_index(ptq_qtensor *q, const int32_t *group_index);
/* input_scale [K], finite and > 0: the codes represent W * s, and the input is divided by s. */
PTQ_API ptq_status ptq_qtensor_set_input_scale(ptq_qtensor *q, const float *input_scale);
/* rotation: 0, 32, 64 or 128: the codes represent W s B, and the input is multiplied by B after the
 * division by s. B is block diagonal: a Hadamard matrix of order `rotation`, divided by the square
 * root of its order, for every `rotation` columns. The columns that remain at the end are covered
 * by blocks of decreasing powers of two, largest first. */
PTQ_API ptq_status ptq_qtensor_set_rotation(ptq_qtensor *q, int32_t rotation);
/*
 * How a product quantizes its input: one of PTQ_ACTIVATIONS_... except FPTQ, which is a rule
 * that chooses one of them. Let x' be a row of x, divided by the input scale and rotated. The
 * schemes of int8 and int16 are in ptq/call.h. Those of uint8 have a zero point:
 *
 *     q_x = clamp(round(x' / sx) + zx, 0, 255)
 *
 * UINT8_TOKEN computes both numbers for each row, low = min(0, min x'), high = max(0, max x'),
 * sx = (high - low) / 255, zx = min(round(-low / sx), 255). If sx is 0, so is the row: q_x = zx =
 * 0. If it is infinite, the row counts as not finite. UINT8_CENTERED has sx = max |x'| / 127.5 and
 * zx = 128, the rule of compressed-tensors. UINT8_STATIC takes both as set here. All of this is
 * f32: divisions are true divisions, and round is to the nearest integer, ties to even. These
 * schemes run on a plain path for now, slower than int8.
 */
PTQ_API ptq_status ptq_qtensor_set_activations(ptq_qtensor *q, int32_t activations);
/* The scale for PTQ_ACTIVATIONS_INT8_STATIC and _UINT8_STATIC: x' is rounded to multiples of it.
 * Finite and > 0; without it, packing is PTQ_ERROR_MISSING. */
PTQ_API ptq_status ptq_qtensor_set_activation_scale(ptq_qtensor *q, float scale);
/* The zero point for PTQ_ACTIVATIONS_UINT8_STATIC, 0 .. 255, else PTQ_ERROR_BOUNDS. Default 0. */
PTQ_API ptq_status ptq_qtensor_set_activation_zero(ptq_qtensor *q, int32_t zero);

/*
 * Combines the rows of count parts, 1 to 65536, into one matrix. The parts must agree in columns,
 * bits, group, order, input scale, rotation and activations. If rows is NULL, they are stacked from
 * top to bottom. Otherwise rows, a permutation of 0 .. N-1, gives the new row of each row of the
 * parts, in order. This reassembles a v_proj whose heads were each rounded with their own
 * statistics. The parts still belong to the caller.
 */
PTQ_API ptq_status ptq_qtensor_stack(ptq_context *context, const ptq_qtensor *const *parts,
                                     int64_t count, const int64_t *rows, ptq_qtensor **q);

/*
 * Copies a part of a matrix, for tensor parallelism: rows or columns first .. first + count - 1.
 * The errors of a part are unknown. Columns must consist of whole groups, unless there is one group
 * per row. A matrix with a column order or a rotation cannot be divided by columns:
 * PTQ_ERROR_CONFLICT.
 */
PTQ_API ptq_status ptq_qtensor_rows(const ptq_qtensor *q, int64_t first, int64_t count,
                                    ptq_qtensor **out);
PTQ_API ptq_status ptq_qtensor_columns(const ptq_qtensor *q, int64_t first, int64_t count,
                                       ptq_qtensor **out);

PTQ_API int64_t ptq_qtensor_n(const ptq_qtensor *q);
PTQ_API int64_t ptq_qtensor_k(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_bits(const ptq_qtensor *q);
/* The group as requested (0: one per row), and the number of groups in a row. */
PTQ_API int64_t ptq_qtensor_group(const ptq_qtensor *q);
PTQ_API int64_t ptq_qtensor_groups(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_symmetric(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_activations(const ptq_qtensor *q);
/* The name of a scheme, such as "uint8-token"; NULL for FPTQ and for an unknown value. */
PTQ_API const char *ptq_activations_name(int32_t activations);
/* 0 if there is none. */
PTQ_API float ptq_qtensor_activation_scale(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_activation_zero(const ptq_qtensor *q);
/* The parts, copied out in the shapes that the setters take. If there is no order, 0 .. K-1; if
 * there is no input scale, all 1. The _has_ functions tell whether there is one. */
PTQ_API ptq_status ptq_qtensor_codes(const ptq_qtensor *q, uint8_t *out);
PTQ_API ptq_status ptq_qtensor_scales(const ptq_qtensor *q, float *out);
PTQ_API int32_t ptq_qtensor_has_row_scales(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_row_scales(const ptq_qtensor *q, float *out);
PTQ_API ptq_status ptq_qtensor_zeros(const ptq_qtensor *q, uint8_t *out);
/* PTQ_ERROR_MISSING without minima, or levels. */
PTQ_API int32_t ptq_qtensor_has_minima(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_minima(const ptq_qtensor *q, float *out);
PTQ_API int32_t ptq_qtensor_has_levels(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_levels(const ptq_qtensor *q, int8_t *out);
/* PTQ_ERROR_MISSING without super scales. minima may be NULL if there are none. */
PTQ_API int32_t ptq_qtensor_has_super_scales(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_super_scales(const ptq_qtensor *q, float *scales, float *minima);
PTQ_API int32_t ptq_qtensor_has_uneven_groups(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_has_order(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_order(const ptq_qtensor *q, int32_t *out);
PTQ_API ptq_status ptq_qtensor_group_index(const ptq_qtensor *q, int32_t *out);
PTQ_API int32_t ptq_qtensor_has_input_scale(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_input_scale(const ptq_qtensor *q, float *out);
PTQ_API int32_t ptq_qtensor_rotation(const ptq_qtensor *q);
/* The PTQ_EQUALIZE_... that chose the input scale, even if it was folded; NONE if there was none.
 */
PTQ_API int32_t ptq_qtensor_equalize(const ptq_qtensor *q);
/* out [N][K] = scale (code - zero), rounded once; then rotated back if there is a rotation, and
 * divided by the input scale if there is one. */
PTQ_API ptq_status ptq_qtensor_dequantize(const ptq_qtensor *q, float *out);
/* out [K] = row n of that, without allocating memory: for example, one token of a quantized
 * embedding. */
PTQ_API ptq_status ptq_qtensor_dequantize_row(const ptq_qtensor *q, int64_t n, float *out);

/* |W - Q|^2 / |W|^2, and |X W^T - X Q^T|^2 / |X W^T|^2 over the calibration rows (Frobenius norms).
 * NaN if unknown: a qtensor made from parts, or quantized without statistics or with an infinite
 * Hessian that the method did not need. */
PTQ_API double ptq_qtensor_weight_error(const ptq_qtensor *q);
PTQ_API double ptq_qtensor_output_error(const ptq_qtensor *q);
/* If settings were PTQ_AUTO: the errors of the plain and of the chosen matrix, each for weights and
 * int8 activations combined; else NaN. */
PTQ_API double ptq_qtensor_plain_error(const ptq_qtensor *q);
PTQ_API double ptq_qtensor_chosen_error(const ptq_qtensor *q);
/* Number of groups for which PTQ_GRID_RANGE departs from AWQ's grid, which cannot represent them.
 */
PTQ_API int64_t ptq_qtensor_adjusted_groups(const ptq_qtensor *q);
/* Number of groups whose scale is outside the range in which the scale dtype keeps its precision.
 * Their weights are rounded coarsely, or to 0; PTQ_DTYPE_F32 can represent them. */
PTQ_API int64_t ptq_qtensor_clamped_groups(const ptq_qtensor *q);
/* The damping that GPTQ finally used: more than configured if the Hessian was not positive
 * definite; 0 if there was none. */
PTQ_API double ptq_qtensor_damping(const ptq_qtensor *q);

#ifdef __cplusplus
}
#endif
#endif
