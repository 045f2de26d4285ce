/*
 * ptq/equalize.h - an equalization: the scale s that multiplies the columns of W and divides the
 * input, and how the input is then quantized. x' = (x / s) B, W' = W s B, y = x' W'^T, where B is a
 * block rotation (PTQ_PARAM_ROTATE) or the identity.
 *
 * ptq_quantize creates one itself. Create one separately to fold it into the preceding operation (a
 * norm, v_proj, up_proj), or to choose it from statistics other than those used for rounding.
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
 * Chooses an equalization for count matrices [N_i][K] that share an input, from the config
 * (PTQ_PARAM_EQUALIZE, PTQ_PARAM_ACTIVATIONS and their parameters) and the statistics of that
 * input. count is 1 to 65536. AWQ's search needs PTQ_STATS_HESSIAN or PTQ_STATS_SAMPLE; it uses the
 * sampled rows if they are all the rows seen and fewer than K. stats may be NULL if the config
 * needs none. ties is NULL or [K]: channels with the same number, 0 .. K-1, get the same scale.
 * This is required to fold a scale into the value heads of grouped-query attention. Runs on the
 * context's parallel_for if there is one, else on the library's threads, and allocates.
 */
PTQ_API ptq_status ptq_equalize(const ptq_config *config, const ptq_tensor *const *weights,
                                int64_t count, const ptq_stats *stats, const int32_t *ties,
                                ptq_equalization **equalization);
PTQ_API void ptq_equalization_free(ptq_equalization *equalization);

/* Whether there is a scale; the scale, out[K], all 1 if there is none. */
PTQ_API int32_t ptq_equalization_has_scale(const ptq_equalization *equalization);
PTQ_API ptq_status ptq_equalization_scale(const ptq_equalization *equalization, float *out);
/* Block size of the rotation in columns, 0 if there is none. */
PTQ_API int32_t ptq_equalization_rotation(const ptq_equalization *equalization);
/* PTQ_ACTIVATIONS_..., never FPTQ; and the static scale of x', 0 if there is none. */
PTQ_API int32_t ptq_equalization_activations(const ptq_equalization *equalization);
PTQ_API float ptq_equalization_activation_scale(const ptq_equalization *equalization);
/* AWQ: the index of the chosen candidate, 0 .. 19, and its loss; otherwise -1 and NaN. */
PTQ_API int32_t ptq_equalization_candidate(const ptq_equalization *equalization);
PTQ_API double ptq_equalization_loss(const ptq_equalization *equalization);

/* Tells the library that the caller has folded the scale: from now on it is 1. The rest is
 * unchanged. */
PTQ_API void ptq_equalization_set_folded(ptq_equalization *equalization);

#ifdef __cplusplus
}
#endif
#endif
