/*
 * FPTQ: Li, Zhang, Li, Yao, Zhang, Chu, Sun, Du, Xie, "FPTQ: Fine-grained Post-Training
 * Quantization for Large Language Models", arXiv 2308.15987. There is no public code.
 *
 * W4A8. How the input of a layer is quantized depends on v = max |x| over the calibration set:
 *
 *     v <= v0:       one static scale for the tensor;
 *     v0 < v < v1:   logarithmic activation equalization (LAE), then one static scale;
 *     v >= v1:       a scale for every token.
 *
 * LAE: s_k = max |x_k| / log2(2 + max |x_k|), so that the range of channel k becomes
 * log2(2 + max |x_k|). Weights: symmetric groups on the absmax grid, rounded to nearest by default.
 */
#include "base/exact.h"
#include "method.h"

/* The range of a channel after LAE. */
static double logarithmic(float absmax)
{
    return ptqi_log2(2.0 + (double)absmax);
}

static ptq_status equalize_lae(const struct ptqi_call *call, const struct ptqi_ranges *ranges,
                               struct ptq_equalization *e)
{
    (void)call;
    for (int64_t c = 0; c < e->k; c++) {
        const double absmax = (double)ranges->absmax[c];
        e->scale[c] = absmax > 0 ? (float)(absmax / logarithmic(ranges->absmax[c])) : 1.0f;
        e->scale[c] = e->scale[c] > 0 ? e->scale[c] : 1.0f; /* so small that s vanishes in f32 */
    }
    return PTQ_OK;
}

/* max |x| after LAE, without the rounding of s. */
static float lae_range(const struct ptqi_ranges *ranges)
{
    double max = 0;
    for (int64_t c = 0; c < ranges->k; c++) {
        double range = ranges->absmax[c] > 0 ? logarithmic(ranges->absmax[c]) : 0;
        max = range > max ? range : max;
    }
    return (float)max;
}

const struct ptqi_equalizer ptqi_equalizer_lae = {.id = PTQ_EQUALIZE_LAE,
                                                  .name = "LAE",
                                                  .needs = PTQI_NEEDS_RANGES,
                                                  .equalize = equalize_lae,
                                                  .range = lae_range};

static int32_t pick_by_range(const struct ptq_config *config, float max)
{
    return (double)max > config->v0 && (double)max < config->v1 ? PTQ_EQUALIZE_LAE
                                                                : PTQ_EQUALIZE_NONE;
}

const struct ptqi_equalizer ptqi_equalizer_fptq = {
    .id = PTQ_EQUALIZE_FPTQ, .name = "FPTQ", .needs = PTQI_NEEDS_RANGES, .pick = pick_by_range};

int32_t ptqi_fptq_activations(const struct ptq_config *config, float max)
{
    return (double)max >= config->v1 ? PTQ_ACTIVATIONS_INT8_TOKEN : PTQ_ACTIVATIONS_INT8_STATIC;
}
