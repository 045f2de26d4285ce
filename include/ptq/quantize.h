/*
 * ptq/quantize.h - from weights and statistics to quantized matrices.
 */
#ifndef PTQ_QUANTIZE_H
#define PTQ_QUANTIZE_H

#include "equalize.h"
#include "qtensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Quantizes count matrices that share an input, [N_i][K] of dtype f32, f16 or bf16, into q[0 ..
 * count). stats: of that input; needed for GPTQ (with PTQ_STATS_HESSIAN), and for output errors;
 * else NULL. own_stats: NULL, or one entry per matrix: statistics of its own for rounding, or NULL
 * for the shared. count: 1 to 65536. On failure no q is made (all NULL, unless count cannot be),
 * and the message names the matrix, or row and column. 8-bit codes with zero points and int8
 * activations take groups of up to 66311 columns, over which sums fit 32 bits; wider ones are
 * PTQ_ERROR_UNSUPPORTED. Threads, progress and cancelling come from the context of config: this
 * runs on its parallel_for, else on the library's threads, and allocates. Sources of the
 * algorithms: lib/method, each file names its paper.
 */
PTQ_API ptq_status ptq_quantize(const ptq_config *config, const ptq_tensor *const *weights,
                                int64_t count, const ptq_stats *stats,
                                const ptq_stats *const *own_stats, ptq_qtensor **q);

/*
 * ptq_quantize with an equalization that exists. weights, stats and own_stats are those of the
 * input before the scale, or, after ptq_equalization_set_folded, of the folded one. The same holds
 * of its threads and memory.
 */
PTQ_API ptq_status ptq_quantize_equalized(const ptq_config *config,
                                          const ptq_equalization *equalization,
                                          const ptq_tensor *const *weights, int64_t count,
                                          const ptq_stats *stats, const ptq_stats *const *own_stats,
                                          ptq_qtensor **q);

#ifdef __cplusplus
}
#endif
#endif
