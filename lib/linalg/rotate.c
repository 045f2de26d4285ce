#include "rotate.h"
#include "kernel/kernel.h"

void ptqi_rotate(const ptq_context *context, float *x, int64_t rows, int64_t k, int32_t block)
{
    for (int64_t row = 0; row < rows; row++, x += k) {
        int64_t done = 0;
        for (int32_t b = block; done < k; b /= 2) {
            int64_t whole = (k - done) / b;
            context->kernels->rotate(x + done, whole, b);
            done += whole * b;
        }
    }
}
