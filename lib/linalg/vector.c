#include "vector.h"
#include "base/half.h"
#include "kernel/kernel.h"

float ptqi_absmax(const ptq_context *context, const float *x, int64_t n)
{
    return ptqi_from_bits(context->kernels->magnitude(x, n));
}
