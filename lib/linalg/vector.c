#include "vector.h"
#include "base/exact.h"
#include "kernel/kernel.h"

float ptqi_absmax(const ptq_context *context, const float *x, int64_t n)
{
    return ptqi_from_bits(context->kernels->magnitude(x, n));
}

void ptqi_softmax(const ptq_context *context, float *x, int64_t n)
{
    context->kernels->softmax(x, n);
}

double ptqi_log_sum_exp(const ptq_context *context, const float *x, int64_t n)
{
    float shift = x[0];
    for (int64_t i = 1; i < n; i++)
        shift = x[i] > shift ? x[i] : shift;
    return shift + ptqi_log((double)context->kernels->sum_exp(x, shift, n));
}

void ptqi_rms_norm(const ptq_context *context, const float *x, const float *weight, float epsilon,
                   float *out, int64_t n)
{
    float mean = context->kernels->sum_squares(x, n) / (float)n;
    float factor = ptqi_rsqrtf(mean + epsilon);
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] * factor * weight[i];
}

void ptqi_layer_norm(const ptq_context *context, const float *x, const float *weight,
                     const float *bias, float epsilon, float *out, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    float mean = (float)(sum / (double)n);
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] - mean;
    float variance = context->kernels->sum_squares(out, n) / (float)n;
    float factor = ptqi_rsqrtf(variance + epsilon);
    for (int64_t i = 0; i < n; i++)
        out[i] = out[i] * factor * weight[i] + bias[i];
}

void ptqi_gelu(const ptq_context *context, float *x, int64_t n)
{
    context->kernels->gelu(x, n);
}

void ptqi_silu_multiply(const ptq_context *context, const float *gate, const float *up, float *out,
                        int64_t n)
{
    context->kernels->silu_multiply(gate, up, out, n);
}
