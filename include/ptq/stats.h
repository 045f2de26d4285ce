/*
 * ptq/stats.h - calibration statistics of the input of a linear layer.
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

/* What to collect in addition to the per-channel ranges, which are always collected. Flags, to be
 * combined. */
enum {
    PTQ_STATS_RANGES = 0,
    PTQ_STATS_HESSIAN = 1, /* sum of w_t x_t x_t^T, [K][K]: for GPTQ, AWQ, and all output errors */
    PTQ_STATS_SAMPLE = 2,  /* up to 512 of the rows, chosen by position alone; and the 32 rows with
                              the largest |x|, for the ranges of rotated inputs */
    PTQ_STATS_MISMATCH = 4 /* sum of w_t (f_t - x_t) x_t^T, [K][K], f_t being the row in full
                              precision: for PTQ_PARAM_GPTAQ */
};

/* Creates empty statistics for K channels, 1 <= K <= 131072. */
PTQ_API ptq_status ptq_stats_create(ptq_context *context, int64_t k, int32_t flags,
                                    ptq_stats **stats);
PTQ_API void ptq_stats_free(ptq_stats *stats);

/*
 * Adds rows of x, [rows][K] of dtype f32, f16 or bf16, with row stride ldx in elements. row_weights
 * [rows], each finite and >= 0, weights the rows in X^T X and in the mean; NULL means 1 for each.
 * Ranges and the sample ignore the weights. The result does not depend on how the rows are divided
 * among updates: every sum is one chain over the rows in order. PTQ_ERROR_NOT_FINITE names the
 * first element that is not finite; in that case nothing is added. x may be NULL if rows is 0. Runs
 * on the library's threads, or on the calling thread alone if the context has a parallel_for.
 * Allocates temporary memory for a few rows.
 */
PTQ_API ptq_status ptq_stats_update(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                                    int64_t ldx, const float *row_weights);

/*
 * The same, with the full-precision counterpart of each row: x is the output of the preceding
 * quantized layers for the calibration tokens, and reference, [rows][K] of the same dtype, that of
 * the unquantized ones. Without PTQ_STATS_MISMATCH, or if reference is NULL, this is
 * ptq_stats_update. Threads and memory are as for ptq_stats_update.
 */
PTQ_API ptq_status ptq_stats_update_paired(ptq_stats *stats, const void *x, int64_t ldx,
                                           const void *reference, int64_t ldreference,
                                           int32_t dtype, int64_t rows, const float *row_weights);

/* Adds the statistics of other to stats, as if its rows came later, with one addition per element.
 * Both must have the same K and flags. */
PTQ_API ptq_status ptq_stats_merge(ptq_stats *stats, const ptq_stats *other);

PTQ_API int64_t ptq_stats_k(const ptq_stats *stats);
PTQ_API int32_t ptq_stats_flags(const ptq_stats *stats);
/* Number of rows seen, and the sum of their weights. */
PTQ_API int64_t ptq_stats_rows(const ptq_stats *stats);
PTQ_API double ptq_stats_total_weight(const ptq_stats *stats);

/* Per-channel values, each copied to out[K]; all 0 if no rows were seen. mean_abs is the weighted
 * mean of |x|. */
PTQ_API ptq_status ptq_stats_absmax(const ptq_stats *stats, float *out);
PTQ_API ptq_status ptq_stats_min(const ptq_stats *stats, float *out);
PTQ_API ptq_status ptq_stats_max(const ptq_stats *stats, float *out);
PTQ_API ptq_status ptq_stats_mean_abs(const ptq_stats *stats, float *out);
/* The symmetric matrix sum of w_t x_t x_t^T, copied to out[K * K]. */
PTQ_API ptq_status ptq_stats_hessian(const ptq_stats *stats, float *out);
/* The matrix sum of w_t (f_t - x_t) x_t^T, not symmetric, copied to out[K * K]. */
PTQ_API ptq_status ptq_stats_mismatch(const ptq_stats *stats, float *out);
/* Number of rows in the sample, and the rows, copied to out[sample_rows * K]. */
PTQ_API int64_t ptq_stats_sample_rows(const ptq_stats *stats);
PTQ_API ptq_status ptq_stats_sample(const ptq_stats *stats, float *out);
/* Replaces the sample with the given rows, at most 65536, for callers who choose their own.
 * Afterwards the statistics can no longer be updated, merged or saved. */
PTQ_API ptq_status ptq_stats_set_sample(ptq_stats *stats, const void *x, int32_t dtype,
                                        int64_t rows, int64_t ldx);

/* Writes statistics to a safetensors file, atomically, and reads them back bit for bit. */
PTQ_API ptq_status ptq_stats_save(const ptq_stats *stats, const char *path);
PTQ_API ptq_status ptq_stats_load(ptq_context *context, const char *path, ptq_stats **stats);

#ifdef __cplusplus
}
#endif
#endif
