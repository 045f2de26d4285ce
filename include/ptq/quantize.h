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
 * The version of the algorithms: statistics, equalizations and roundings here, and the calibration
 * of ptq quantize. It is raised whenever any of them may give another result for the same input and
 * the same settings, and by nothing else: releases with the same number quantize to the same bits.
 */
#define PTQ_ALGORITHM_VERSION 1
/* That of the running library. */
PTQ_API int32_t ptq_algorithm_version(void);

/*
 * Quantizes count matrices [N_i][K] that share an input, of dtype f32, f16 or bf16, into q[0 ..
 * count). count is 1 to 65536. stats describes that input. It is required for GPTQ (with
 * PTQ_STATS_HESSIAN) and for output errors, and may otherwise be NULL. own_stats is NULL or has one
 * entry per matrix: statistics to round that matrix with, or NULL to use stats.
 *
 * On failure no q is made: all are set to NULL, unless count is invalid. The message names the
 * matrix, or the row and column. With 8-bit codes with zero points and int8 activations, groups of
 * more than 66311 columns give PTQ_ERROR_UNSUPPORTED, because sums might not fit in 32 bits.
 *
 * Threads, progress and cancellation come from the context of config. Runs on its parallel_for if
 * there is one (with the pointer of ptq_config_set_parallel_user), else on the library's threads,
 * and allocates. Each file in lib/method names the paper that its algorithm comes from.
 */
PTQ_API ptq_status ptq_quantize(const ptq_config *config, const ptq_tensor *const *weights,
                                int64_t count, const ptq_stats *stats,
                                const ptq_stats *const *own_stats, ptq_qtensor **q);

/*
 * ptq_quantize with an existing equalization. weights, stats and own_stats are for the input before
 * it is divided by the scale or, after ptq_equalization_set_folded, for the folded input. Threads
 * and memory are as for ptq_quantize.
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
