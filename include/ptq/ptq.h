/*
 * ptq/ptq.h - libptq, post-training quantization of large language models, and the kernels to run
 * the result. This header brings in all others; start with context.h, qtensor.h and linear.h.
 *
 * Rules that hold everywhere:
 * - Functions return a ptq_status, 0 for success; results come through the last pointers, which are
 *   set to NULL when making a handle fails.
 * - Who creates a handle frees it; _free(NULL) is fine. Borrowed memory must outlive the handle.
 * - Sizes are int64_t, enums are passed as int32_t, no function needs a callback.
 */
#ifndef PTQ_PTQ_H
#define PTQ_PTQ_H

#include "status.h"
#include "context.h"
#include "tensor.h"
#include "stats.h"
#include "config.h"
#include "store.h"
#include "qtensor.h"
#include "equalize.h"
#include "linear.h"

#endif
