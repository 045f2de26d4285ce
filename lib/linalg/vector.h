/* Row operations using the context's kernels. */
#ifndef PTQI_VECTOR_H
#define PTQI_VECTOR_H

#include "base/context.h"

/* max |x|; x is finite. */
float ptqi_absmax(const ptq_context *context, const float *x, int64_t n);

#endif
