#include "candidates.h"
#include <float.h>
#include "kernel/code.h"
#include "kernel/kernel.h"

int ptqi_find_min(const double *errors, int count)
{
    int min = 0;
    for (int i = 1; i < count; i++)
        if (errors[i] < errors[min])
            min = i;
    return min;
}

/* Whether sums of squares in f32 can be trusted: none overflowed, and none is so small that its
 * terms may have underflowed. */
static int fit_f32(const float *errors, int count)
{
    int fit = 1;
    for (int i = 0; i < count; i++)
        fit &= errors[i] > 0x1p-90f && errors[i] <= FLT_MAX;
    return fit;
}

/* sum of metric (w' - w)^2 in double precision. */
static double exact_error(const struct ptq_config *config, const float *w, const float *metric,
                          int64_t count, float scale, float zero)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        const float code = ptqi_code(w[i], scale, zero, ptqi_top_code(config));
        const double error = (double)scale * (double)(code - zero) - (double)w[i];
        sum += (double)metric[i] * error * error;
    }
    return sum;
}

void ptqi_candidate_errors(const struct ptq_config *config, const float *w, const float *metric,
                           int64_t count, const float *scales, float zero, int candidates,
                           double *errors)
{
    float zeros[PTQI_MAX_CANDIDATES] = {0}, sums[PTQI_MAX_CANDIDATES];
    for (int i = 0; i < candidates; i++)
        zeros[i] = zero;
    config->context->kernels->metric_errors(w, metric, count, scales, zeros, ptqi_top_code(config),
                                            candidates, sums);
    const int fit = fit_f32(sums, candidates);
    for (int i = 0; i < candidates; i++)
        errors[i] = fit ? (double)sums[i] : exact_error(config, w, metric, count, scales[i], zero);
}
