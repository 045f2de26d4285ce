/*
 * ptq/qtensor.h - a quantized weight matrix.
 *
 * W is [N][K] (N = out features, K = in features), y = x W^T. Each group of columns of a row has a
 * scale and a zero point: w = scale (code - zero), 0 <= code < 2^bits. The last group may be short.
 * Thread safety: a qtensor may be read by many threads while nobody sets anything in it.
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
 * Makes a quantized matrix from parts that the caller has: create, then set codes and scales, and
 * what else differs from the defaults: zeros 2^(bits-1), no order, no input scale, f32 activations.
 * group is a multiple of 32 up to 131072, or 0 for one group a row. All data are copied.
 */
PTQ_API ptq_status ptq_qtensor_create(ptq_context *context, int64_t n, int64_t k, int32_t bits,
                                      int64_t group, ptq_qtensor **q);
PTQ_API void ptq_qtensor_free(ptq_qtensor *q);
/* codes [N][K], one code a byte, in the original order of the columns. */
PTQ_API ptq_status ptq_qtensor_set_codes(ptq_qtensor *q, const uint8_t *codes);
/* scales [N][groups], finite. */
PTQ_API ptq_status ptq_qtensor_set_scales(ptq_qtensor *q, const float *scales);
/* row_scales [N]: makes the scales, which must be there with the zeros, two-level: each must be an
 * integer of 1 .. 15 times that of its row, and that integer times code - zero must fit 8 bits for
 * every code. So a product with int8 activations is one integer sum over all of K. Setting scales
 * or zeros afterwards makes them plain again. */
PTQ_API ptq_status ptq_qtensor_set_row_scales(ptq_qtensor *q, const float *row_scales);
/* zeros [N][groups], each below 2^bits. */
PTQ_API ptq_status ptq_qtensor_set_zeros(ptq_qtensor *q, const uint8_t *zeros);
/* order [K], a permutation: group g is made of the columns order[g * group ..]. */
PTQ_API ptq_status ptq_qtensor_set_order(ptq_qtensor *q, const int32_t *order);
/* group_index [K], the group of each column (g_idx of GPTQ checkpoints); each group must have its
 * full number of columns. Sets the order that follows from it. */
PTQ_API ptq_status ptq_qtensor_set_group_index(ptq_qtensor *q, const int32_t *group_index);
/* input_scale [K], finite and > 0: the codes are those of W * s, the input is divided by s. */
PTQ_API ptq_status ptq_qtensor_set_input_scale(ptq_qtensor *q, const float *input_scale);
/* rotation: 0, 32, 64 or 128: the codes are those of W s B, the input is multiplied by B after the
 * division by s. B has a Hadamard matrix over its root on every `rotation` columns; what is left at
 * the end takes the largest power of two that fits, and so on down. */
PTQ_API ptq_status ptq_qtensor_set_rotation(ptq_qtensor *q, int32_t rotation);
/* One of PTQ_ACTIVATIONS_..., but FPTQ, which is a rule and not a scheme. */
PTQ_API ptq_status ptq_qtensor_set_activations(ptq_qtensor *q, int32_t activations);
/* The scale of PTQ_ACTIVATIONS_INT8_STATIC: x' = x / input_scale is rounded to multiples of it. */
PTQ_API ptq_status ptq_qtensor_set_activation_scale(ptq_qtensor *q, float scale);

/*
 * Makes one matrix of the rows of count parts that have columns, bits, group, order, input scale
 * and activations in common. rows: NULL for one part below the other, or, for each row of the parts
 * in their order, the row that it becomes: all of 0 .. N-1. So the heads of a v_proj, each rounded
 * against statistics of its own, become one matrix again. The parts, 1 to 65536, stay the caller's.
 */
PTQ_API ptq_status ptq_qtensor_stack(ptq_context *context, const ptq_qtensor *const *parts,
                                     int64_t count, const int64_t *rows, ptq_qtensor **q);

PTQ_API int64_t ptq_qtensor_n(const ptq_qtensor *q);
PTQ_API int64_t ptq_qtensor_k(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_bits(const ptq_qtensor *q);
/* The group as it was asked for (0: one a row), and the number of groups in a row. */
PTQ_API int64_t ptq_qtensor_group(const ptq_qtensor *q);
PTQ_API int64_t ptq_qtensor_groups(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_symmetric(const ptq_qtensor *q);
PTQ_API int32_t ptq_qtensor_activations(const ptq_qtensor *q);
/* 0 where there is none. */
PTQ_API float ptq_qtensor_activation_scale(const ptq_qtensor *q);
/* The parts, copied out in the shapes of the setters. The order is 0 .. K-1 where there is none,
 * the input scale all 1. _has_ functions tell whether there is one. */
PTQ_API ptq_status ptq_qtensor_codes(const ptq_qtensor *q, uint8_t *out);
PTQ_API ptq_status ptq_qtensor_scales(const ptq_qtensor *q, float *out);
PTQ_API int32_t ptq_qtensor_has_row_scales(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_row_scales(const ptq_qtensor *q, float *out);
PTQ_API ptq_status ptq_qtensor_zeros(const ptq_qtensor *q, uint8_t *out);
PTQ_API int32_t ptq_qtensor_has_order(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_order(const ptq_qtensor *q, int32_t *out);
PTQ_API ptq_status ptq_qtensor_group_index(const ptq_qtensor *q, int32_t *out);
PTQ_API int32_t ptq_qtensor_has_input_scale(const ptq_qtensor *q);
PTQ_API ptq_status ptq_qtensor_input_scale(const ptq_qtensor *q, float *out);
PTQ_API int32_t ptq_qtensor_rotation(const ptq_qtensor *q);
/* PTQ_EQUALIZE_... that chose the input scale, also where it was folded away; NONE where none did.
 */
PTQ_API int32_t ptq_qtensor_equalize(const ptq_qtensor *q);
/* out [N][K] = scale (code - zero), rounded once; rotated back where there is a rotation, and
 * divided by the input scale where there is one. Allocates an index of K numbers. */
PTQ_API ptq_status ptq_qtensor_dequantize(const ptq_qtensor *q, float *out);

/* |W - Q|^2 / |W|^2, and |X W^T - X Q^T|^2 / |X W^T|^2 over the calibration rows (Frobenius norms);
 * NaN where it is not known: a qtensor made from parts, or quantized without statistics, or by
 * those whose Hessian is infinite where it serves for nothing else. */
PTQ_API double ptq_qtensor_weight_error(const ptq_qtensor *q);
PTQ_API double ptq_qtensor_output_error(const ptq_qtensor *q);
/* Where something was left open (PTQ_AUTO and so on): the error, of weights and int8
 * activations together, that the plain matrix would have had, and that of what was chosen; else
 * NaN. */
PTQ_API double ptq_qtensor_plain_error(const ptq_qtensor *q);
PTQ_API double ptq_qtensor_chosen_error(const ptq_qtensor *q);
/* Groups that PTQ_GRID_RANGE gave another grid than AWQ's, because theirs cannot hold them. */
PTQ_API int64_t ptq_qtensor_adjusted_groups(const ptq_qtensor *q);
/* Groups whose scale lies outside the range in which the scale dtype keeps its precision. Their
 * weights are rounded coarsely, or to 0; PTQ_DTYPE_F32 holds them. */
PTQ_API int64_t ptq_qtensor_clamped_groups(const ptq_qtensor *q);
/* The damping that GPTQ ended up with: more than was asked for where the Hessian was not positive
 * definite; 0 where there was none. */
PTQ_API double ptq_qtensor_damping(const ptq_qtensor *q);

#ifdef __cplusplus
}
#endif
#endif
