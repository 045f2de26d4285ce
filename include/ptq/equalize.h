/*
 * ptq/equalize.h - an equalization: what the columns of W are multiplied by and the input divided
 * by, and how the input is then quantized. x' = (x / s) B, W' = W s B, y = x' W'^T, with B a block
 * rotation (PTQ_PARAM_ROTATE) or the identity.
 *
 * ptq_quantize makes one by itself. Making it apart serves callers who fold it into the operation
 * before (a norm, v_proj, up_proj), or who choose it from other statistics than they round with.
 * Thread safety: an equalization may be read by many threads at once.
 */
#ifndef PTQ_EQUALIZE_H
#define PTQ_EQUALIZE_H

#include "config.h"
#include "stats.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_equalization ptq_equalization;

/*
 * Chooses by the config (PTQ_PARAM_EQUALIZE, PTQ_PARAM_ACTIVATIONS and their parameters) for count
 * matrices that share an input, [N_i][K], and the statistics of that input. AWQ's search needs
 * PTQ_STATS_HESSIAN or PTQ_STATS_SAMPLE; it goes by the rows where they are all there and fewer
 * than K. ties: NULL, or [K]: channels of the same number, 0 .. K-1, get the same scale, as folding
 * into the value heads of grouped queries needs it. stats may be NULL where the config needs none.
 * count: 1 to 65536. Runs on the context's parallel_for, else on the library's threads, and
 * allocates.
 */
PTQ_API ptq_status ptq_equalize(const ptq_config *config, const ptq_tensor *const *weights,
                                int64_t count, const ptq_stats *stats, const int32_t *ties,
                                ptq_equalization **equalization);
PTQ_API void ptq_equalization_free(ptq_equalization *equalization);

/* Whether there is a scale; the scale, out[K], 1 where there is none. */
PTQ_API int32_t ptq_equalization_has_scale(const ptq_equalization *equalization);
PTQ_API ptq_status ptq_equalization_scale(const ptq_equalization *equalization, float *out);
/* Columns that the rotation mixes, 0 where there is none. */
PTQ_API int32_t ptq_equalization_rotation(const ptq_equalization *equalization);
/* PTQ_ACTIVATIONS_..., never FPTQ; and the static scale of x', 0 where there is none. */
PTQ_API int32_t ptq_equalization_activations(const ptq_equalization *equalization);
PTQ_API float ptq_equalization_activation_scale(const ptq_equalization *equalization);
/* AWQ: the number of the candidate that was chosen, 0 .. 19, and its loss; -1 and NaN otherwise. */
PTQ_API int32_t ptq_equalization_candidate(const ptq_equalization *equalization);
PTQ_API double ptq_equalization_loss(const ptq_equalization *equalization);

/* The caller has folded the scale away: from now on it is 1, and the rest stays. */
PTQ_API void ptq_equalization_set_folded(ptq_equalization *equalization);

#ifdef __cplusplus
}
#endif
#endif
