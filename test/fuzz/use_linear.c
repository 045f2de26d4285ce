/* What targets do with a packed linear. */
#include <stdlib.h>
#include "fuzz.h"

enum { ROWS = 3 };

static void multiply(const ptq_linear *linear, const float *x, float *y)
{
    const int64_t n = ptq_linear_n(linear), k = ptq_linear_k(linear);
    ptq_call *call;
    fuzz_require(!ptq_call_create(fuzz_context(), &linear, 1, &call) &&
                     !ptq_call_set_x(call, x, PTQ_DTYPE_F32, ROWS, k) &&
                     !ptq_call_set_y(call, 0, y, PTQ_DTYPE_F32, ROWS, n),
                 "a product can be described");
    fuzz_succeeded(ptq_call_run(call, NULL, 0));
    ptq_call_free(call);
}

void fuzz_run_linear(const ptq_linear *linear)
{
    const int64_t n = ptq_linear_n(linear), k = ptq_linear_k(linear);
    ptq_qtensor *q;
    fuzz_require(n <= FUZZ_MOST_ELEMENTS / k, "a matrix is as small as its file");
    float *x = calloc((size_t)(ROWS * k), sizeof *x), *y = calloc((size_t)(ROWS * n), sizeof *y);
    fuzz_require(x && y, "there is memory for a product");
    for (int64_t i = 0; i < ROWS * k; i++)
        x[i] = (float)(i % 13 - 6);
    multiply(linear, x, y);
    free(x);
    free(y);
    if (fuzz_succeeded(ptq_linear_unpack(linear, &q)))
        ptq_qtensor_free(q);
}
