#include "rows/rows.h"
#include <stddef.h>
#include "base/exact.h"

static const struct {
    int32_t isa;
    const struct row_functions *functions;
} sets[] = {
#ifdef PTQI_X86
    {PTQ_ISA_AMX_INT8, &rows_avx512},   {PTQ_ISA_AVX512_VNNI, &rows_avx512},
    {PTQ_ISA_AVX_VNNI, &rows_avx2},     {PTQ_ISA_AVX2, &rows_avx2},
#endif
    {PTQ_ISA_PORTABLE, &rows_portable},
};

const struct row_functions *row_functions(int32_t isa)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i].isa == isa)
            return sets[i].functions;
    return &rows_portable; /* on AArch64 this is compiled for NEON, which is always there */
}

static const struct row_functions *of(const ptq_context *context)
{
    return row_functions(ptq_context_isa(context));
}

void row_softmax(const ptq_context *context, float *x, int64_t n)
{
    of(context)->softmax(x, n);
}

double row_log_sum_exp(const ptq_context *context, const float *x, int64_t n)
{
    float shift = x[0];
    for (int64_t i = 1; i < n; i++)
        shift = x[i] > shift ? x[i] : shift;
    return shift + ptqi_log((double)of(context)->sum_exp(x, shift, n));
}

void row_rms_norm(const ptq_context *context, const float *x, const float *weight, float epsilon,
                  float *out, int64_t n)
{
    float mean = of(context)->sum_squares(x, n) / (float)n;
    float factor = ptqi_rsqrtf(mean + epsilon);
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] * factor * weight[i];
}

void row_layer_norm(const ptq_context *context, const float *x, const float *weight,
                    const float *bias, float epsilon, float *out, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    float mean = (float)(sum / (double)n);
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] - mean;
    float variance = of(context)->sum_squares(out, n) / (float)n;
    float factor = ptqi_rsqrtf(variance + epsilon);
    for (int64_t i = 0; i < n; i++)
        out[i] = out[i] * factor * weight[i] + bias[i];
}

void row_gelu(const ptq_context *context, float *x, int64_t n)
{
    of(context)->gelu(x, n);
}

void row_silu_multiply(const ptq_context *context, const float *gate, const float *up, float *out,
                       int64_t n)
{
    of(context)->silu_multiply(gate, up, out, n);
}

void row_soft_cap(float cap, float *x, int64_t n)
{
    for (int64_t i = 0; cap > 0 && i < n; i++)
        x[i] = cap * (float)ptqi_tanh((double)(x[i] / cap));
}

int64_t row_largest(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}
