/*
 * SmoothQuant: Xiao, Lin, Seznec, Wu, Demouth, Han, "SmoothQuant: Accurate and Efficient
 * Post-Training Quantization for Large Language Models", arXiv 2211.10438; the reference code is
 * mit-han-lab/smoothquant smooth.py.
 *
 * Outliers of the input move into the weights, by a power alpha of their range:
 *
 *     s_k = max(max |x_k|^alpha / max(max |w_k|, 1e-5)^(1 - alpha), 1e-5),
 *
 * max |w_k| over all matrices that share the input. Channels that were dead in calibration get half
 * the smallest s of the others (the original: 1e-5, which leaves nothing of their weights).
 */
#include <math.h>
#include "base/exact.h"
#include "method.h"

/* scale [k] = the largest |w| of each column, over all matrices, at least 1e-5. */
static void measure_columns(const struct ptqi_matrices *matrices, float *scale)
{
    for (int64_t c = 0; c < matrices->k; c++) {
        float most = 1e-5f;
        for (int64_t i = 0; i < matrices->count; i++)
            for (int64_t row = 0; row < matrices->n[i]; row++) {
                float w = fabsf(matrices->w[i][row * matrices->k + c]);
                most = w > most ? w : most;
            }
        scale[c] = most;
    }
}

ptq_status ptqi_equalize_smoothquant(const struct ptq_config *config,
                                     const struct ptqi_matrices *matrices,
                                     const struct ptqi_ranges *ranges, float *scale)
{
    /* the exponents and each power are rounded to f32, as in the reference */
    const double alpha = (float)config->alpha, rest = (float)(1.0 - config->alpha);
    measure_columns(matrices, scale);
    PTQI_TRY(ptqi_tie(config->context, ranges, 0, scale));
    for (int64_t c = 0; c < matrices->k; c++) {
        float s = (float)ptqi_pow((double)ranges->absmax[c], alpha) /
                  (float)ptqi_pow((double)scale[c], rest);
        scale[c] = s > 1e-5f ? s : 1e-5f;
    }
    ptqi_scale_dead(ranges->absmax, matrices->k, scale);
    return PTQ_OK;
}
