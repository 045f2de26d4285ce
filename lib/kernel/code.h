/* How a weight becomes a code: one definition for grids, methods and kernels. */
#ifndef PTQI_CODE_H
#define PTQI_CODE_H

#include "base/exact.h"

/*
 * clamp(round(w / scale) + zero, 0, top), ties to even, as a float. scale is not 0; zero is an
 * integer. The quotient is first limited, far outside the range of codes, to keep the rounding
 * exact.
 */
PTQI_INLINE float ptqi_code(float w, float scale, float zero, float top)
{
    float q = w / scale;
    q = q < -65536.0f ? -65536.0f : q;
    q = q > 65536.0f ? 65536.0f : q;
    q = ptqi_round_even(q) + zero;
    q = q < 0.0f ? 0.0f : q;
    return q > top ? top : q;
}

#endif
