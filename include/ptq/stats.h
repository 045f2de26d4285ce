/*
 * ptq/stats.h - what calibration learns about the input of a linear layer.
 *
 * X is [rows][K], the inputs that the layer saw: K = in features, a row usually one token.
 * Thread safety: updates of one handle must not overlap; different handles are independent.
 */
#ifndef PTQ_STATS_H
#define PTQ_STATS_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_stats ptq_stats;

/* What to collect beside the per-channel ranges, which are always there. Flags, to be added. */
enum {
    PTQ_STATS_RANGES = 0,
    PTQ_STATS_HESSIAN = 1, /* sum of w_t x_t x_t^T, [K][K]: GPTQ, AWQ, every output error */
    PTQ_STATS_SAMPLE = 2,  /* up to 512 of the rows themselves, chosen by their position alone; and,
                            * for ranges of rotated inputs, the 32 rows with the largest |x| */
    PTQ_STATS_MISMATCH = 4 /* sum of w_t (f_t - x_t) x_t^T, [K][K], f_t the row in full precision:
                            * for PTQ_PARAM_GPTAQ */
};

/* Creates empty statistics of K channels, 1 <= K <= 131072. */
PTQ_API ptq_status ptq_stats_create(ptq_context *context, int64_t k, int32_t flags,
                                    ptq_stats **stats);
PTQ_API void ptq_stats_free(ptq_stats *stats);

/*
 * Adds rows of x, [rows][K] of dtype f32, f16 or bf16, ldx elements from one row to the next.
 * row_weights [rows], each finite and >= 0, weights the rows in X^T X and in the mean; NULL means 1
 * for each. Ranges and the sample take rows as they are. The result does not depend on how the rows
 * are cut into updates: every sum is one chain over the rows in their order.
 * PTQ_ERROR_NOT_FINITE names the first element that is not finite; then nothing was added.
 * x may be NULL where there are no rows. Runs on the library's threads, but on the calling one
 * alone where the context has a parallel_for, and allocates room for some rows.
 */
PTQ_API ptq_status ptq_stats_update(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                                    int64_t ldx, const float *row_weights);

/*
 * The same with the full-precision counterpart of each row: x is what the quantized layers before
 * make of the calibration tokens, reference [rows][K] of the same dtype what the unquantized ones
 * make of them. Without PTQ_STATS_MISMATCH, and where reference is NULL, it is ptq_stats_update.
 * The same holds of its threads and memory.
 */
PTQ_API ptq_status ptq_stats_update_paired(ptq_stats *stats, const void *x, int64_t ldx,
                                           const void *reference, int64_t ldreference,
                                           int32_t dtype, int64_t rows, const float *row_weights);

/* Adds what other has seen to stats, as if its rows came later, by one addition per element. Both
 * must have the same K and flags. */
PTQ_API ptq_status ptq_stats_merge(ptq_stats *stats, const ptq_stats *other);

PTQ_API int64_t ptq_stats_k(const ptq_stats *stats);
PTQ_API int32_t ptq_stats_flags(const ptq_stats *stats);
/* Rows seen, and the sum of their weights. */
PTQ_API int64_t ptq_stats_rows(const ptq_stats *stats);
PTQ_API double ptq_stats_total_weight(const ptq_stats *stats);

/* Per-channel figures, each copied into out[K]. With no rows seen all are 0. mean_abs is the
 * weighted mean of |x|. */
PTQ_API ptq_status ptq_stats_absmax(const ptq_stats *stats, float *out);
PTQ_API ptq_status ptq_stats_min(const ptq_stats *stats, float *out);
PTQ_API ptq_status ptq_stats_max(const ptq_stats *stats, float *out);
PTQ_API ptq_status ptq_stats_mean_abs(const ptq_stats *stats, float *out);
/* The symmetric matrix sum of w_t x_t x_t^T, copied into out[K * K]. */
PTQ_API ptq_status ptq_stats_hessian(const ptq_stats *stats, float *out);
/* The matrix sum of w_t (f_t - x_t) x_t^T, not symmetric, copied into out[K * K]. */
PTQ_API ptq_status ptq_stats_mismatch(const ptq_stats *stats, float *out);
/* Number of rows kept, and the rows, copied into out[sample_rows * K]. */
PTQ_API int64_t ptq_stats_sample_rows(const ptq_stats *stats);
PTQ_API ptq_status ptq_stats_sample(const ptq_stats *stats, float *out);
/* Replaces the sample by these rows, at most 65536, for a caller who chooses them otherwise.
 * Statistics with a sample of their own cannot be updated, merged or saved any more. */
PTQ_API ptq_status ptq_stats_set_sample(ptq_stats *stats, const void *x, int32_t dtype,
                                        int64_t rows, int64_t ldx);

/* Writes statistics to a safetensors file, whole or not at all; reads them back bit for bit. */
PTQ_API ptq_status ptq_stats_save(const ptq_stats *stats, const char *path);
PTQ_API ptq_status ptq_stats_load(ptq_context *context, const char *path, ptq_stats **stats);

#ifdef __cplusplus
}
#endif
#endif
