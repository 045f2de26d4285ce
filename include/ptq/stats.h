/*
 * ptq/stats.h - calibration statistics of the input of a linear layer.
 *
 * X is [rows][K], the inputs that the layer saw: K = in features, a row usually one token.
 * Thread safety: updates of one handle must not overlap, except the parts of one update; different
 * handles are independent.
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
 *
 * An update of up to 32 rows allocates nothing and takes about 80 KiB of stack. For more rows each
 * thread allocates 576 KiB for the duration of the call; if it cannot, it is only slower.
 */
PTQ_API ptq_status ptq_stats_update(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                                    int64_t ldx, const float *row_weights);

/*
 * The same, with the full-precision counterpart of each row: x is the output of the preceding
 * quantized layers for the calibration tokens, and reference, [rows][K] of the same dtype, is the
 * output of the unquantized layers. Without PTQ_STATS_MISMATCH, or if reference is NULL, this is
 * ptq_stats_update. Threads and memory are as for ptq_stats_update.
 */
PTQ_API ptq_status ptq_stats_update_paired(ptq_stats *stats, const void *x, int64_t ldx,
                                           const void *reference, int64_t ldreference,
                                           int32_t dtype, int64_t rows, const float *row_weights);

/*
 * Does one of `parts` shares of an update, for engines that are already inside a parallel region:
 * each of their threads calls this with its own part, 0 <= part < parts, and otherwise the same
 * arguments. Together, the parts give the same result as the whole update, to the last bit. Parts
 * may run at the same time, in any order, several on one thread; they do not wait for each other.
 * The handle may be read or updated again only when all of them have returned. Invalid arguments
 * and numbers that are not finite fail in every part, and nothing is added. Memory is as for
 * ptq_stats_update.
 */
PTQ_API ptq_status ptq_stats_update_part(ptq_stats *stats, const void *x, int32_t dtype,
                                         int64_t rows, int64_t ldx, const float *row_weights,
                                         int64_t part, int64_t parts);
PTQ_API ptq_status ptq_stats_update_paired_part(ptq_stats *stats, const void *x, int64_t ldx,
                                                const void *reference, int64_t ldreference,
                                                int32_t dtype, int64_t rows,
                                                const float *row_weights, int64_t part,
                                                int64_t parts);

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
/*
 * Sets statistics that were collected elsewhere, in the form in which the functions above return
 * them. Quantizing with them gives the same codes as with statistics of the rows themselves. They
 * may be updated, merged and saved afterwards.
 *
 * _set_ranges replaces what is always collected: the number of rows, at least 1; the sum of their
 * weights, > 0 (the number of rows if they have none); and min, max and mean |x| of each channel,
 * each [K]. If min is NULL, max is max |x|, and min becomes -max. An existing sample is dropped.
 * _set_hessian replaces the sum of w_t x_t x_t^T, [K][K], and reads only its upper triangle,
 * hessian[i * K + j] with i <= j. It needs the sum itself: multiply a mean by the total weight, and
 * halve a Hessian of 2 X^T X. _set_mismatch replaces the whole matrix. Both need the flag that
 * collects the matrix. Nothing changes if a number is not finite.
 */
PTQ_API ptq_status ptq_stats_set_ranges(ptq_stats *stats, int64_t rows, double total_weight,
                                        const float *min, const float *max, const float *mean_abs);
PTQ_API ptq_status ptq_stats_set_hessian(ptq_stats *stats, const float *hessian);
PTQ_API ptq_status ptq_stats_set_mismatch(ptq_stats *stats, const float *mismatch);

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
