/*
 * ptq/ptq.h - libptq, post-training quantization of large language models, and the kernels to run
 * the result. This header brings in all others; start with context.h, qtensor.h and linear.h.
 *
 * Rules that hold everywhere:
 * - Functions return a ptq_status, 0 for success; results come through the last pointers, which are
 *   set to NULL when making a handle fails.
 * - Who creates a handle frees it; _free(NULL) is fine. Borrowed memory must outlive the handle.
 * - Sizes are int64_t, enums are passed as int32_t, no function needs a callback.
 * - A pointer may be NULL only where its comment says so. Otherwise a function that returns a
 *   status answers PTQ_ERROR_ARGUMENT, and the message names the function and the argument:
 *   "ptq_stats_update: stats is NULL". A getter that is given NULL returns 0, NULL or NaN,
 *   ptq_equalization_candidate -1; a function without a result does nothing.
 * - A number that cannot be, such as a negative size or one that no memory holds, is an error too.
 *   Sizes of memory that can be there are believed.
 * - Unless its comment says otherwise, a function runs on the calling thread alone. Functions that
 *   create, open, load or read a handle, that set or add a part of one, or that write a file may
 *   allocate memory; others do not, unless their comment says so.
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
#include "format.h"
#include "equalize.h"
#include "quantize.h"
#include "linear.h"

#endif
