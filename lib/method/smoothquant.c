/*
 * SmoothQuant: Xiao, Lin, Seznec, Wu, Demouth, Han, "SmoothQuant: Accurate and Efficient
 * Post-Training Quantization for Large Language Models", arXiv 2211.10438; the reference code is
 * mit-han-lab/smoothquant smooth.py.
 *
 * Outliers of the input move into the weights, by a power alpha of their range:
 *
 *     s_k = max(max |x_k|^alpha / max(max |w_k|, 1e-5)^(1 - alpha), 1e-5),
 *
 * with max |w_k| over all matrices that share the input. Channels that were dead in calibration get
 * half the smallest s of the others. The reference gives them 1e-5, which leaves nothing of their
 * weights.
 */
#include <math.h>
#include "base/exact.h"
#include "method.h"

/* scale [k] = max |w| of each column over all matrices, at least 1e-5. */
static void measure_columns(const struct ptqi_matrices *m, float *scale)
{
    for (int64_t c = 0; c < m->k; c++) {
        float max = 1e-5f;
        for (int64_t i = 0; i < m->count; i++)
            for (int64_t row = 0; row < m->weights[i].n; row++) {
                float w = fabsf(m->weights[i].w[row * m->k + c]);
                max = w > max ? w : max;
            }
        scale[c] = max;
    }
}

static ptq_status equalize_smoothquant(const struct ptqi_call *call,
                                       const struct ptqi_ranges *ranges, struct ptq_equalization *e)
{
    /* The exponents and each power are rounded to f32, as in the reference. */
    const double alpha = (float)call->config->alpha, rest = (float)(1.0 - call->config->alpha);
    measure_columns(call->matrices, e->scale);
    PTQI_TRY(ptqi_tie(e->context, ranges, 0, e->scale));
    for (int64_t c = 0; c < e->k; c++) {
        float s = (float)ptqi_pow((double)ranges->absmax[c], alpha) /
                  (float)ptqi_pow((double)e->scale[c], rest);
        e->scale[c] = s > 1e-5f ? s : 1e-5f;
    }
    ptqi_scale_dead(ranges->absmax, e->k, e->scale);
    return PTQ_OK;
}

const struct ptqi_equalizer ptqi_equalizer_smoothquant = {.id = PTQ_EQUALIZE_SMOOTHQUANT,
                                                          .name = "SmoothQuant",
                                                          .needs = PTQI_NEEDS_RANGES,
                                                          .equalize = equalize_smoothquant};
