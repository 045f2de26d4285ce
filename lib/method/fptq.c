/*
 * FPTQ: Li, Zhang, Li, Yao, Zhang, Chu, Sun, Du, Xie, "FPTQ: Fine-grained Post-Training
 * Quantization for Large Language Models", arXiv 2308.15987. There is no public code.
 *
 * W4A8. How the input of a layer is quantized depends on v = max |x| over the calibration set:
 *
 *     v <= v0:       one static scale for the tensor;
 *     v0 < v < v1:   logarithmic activation equalization (LAE), then one static scale;
 *     v >= v1:       a scale of its own for every token.
 *
 * LAE: s_k = max |x_k| / log2(2 + max |x_k|), so that the range of channel k becomes
 * log2(2 + max |x_k|). Weights: symmetric groups on the absmax grid, rounded to nearest (by
 * default).
 */
#include "base/exact.h"
#include "method.h"

/* The range of a channel after LAE. */
static double logarithmic(float absmax)
{
    return ptqi_log2(2.0 + (double)absmax);
}

void ptqi_equalize_lae(const float *absmax, int64_t k, float *scale)
{
    for (int64_t c = 0; c < k; c++)
        scale[c] = absmax[c] > 0 ? (float)((double)absmax[c] / logarithmic(absmax[c])) : 1.0f;
    for (int64_t c = 0; c < k; c++)
        scale[c] = scale[c] > 0 ? scale[c] : 1.0f; /* a channel so small that its s vanishes */
}

float ptqi_lae_range(const float *absmax, int64_t k)
{
    double most = 0;
    for (int64_t c = 0; c < k; c++) {
        double range = absmax[c] > 0 ? logarithmic(absmax[c]) : 0;
        most = range > most ? range : most;
    }
    return (float)most;
}

int32_t ptqi_fptq_activations(const struct ptq_config *config, float most)
{
    return (double)most >= config->v1 ? PTQ_ACTIVATIONS_INT8_TOKEN : PTQ_ACTIVATIONS_INT8_STATIC;
}
