/*
 * ptq/ptq.h - libptq: post-training quantization of large language models, and kernels to run the
 * result. This header includes all others; start with context.h, qtensor.h and linear.h.
 *
 * Conventions used throughout:
 * - Functions return a ptq_status, 0 for success. Results are stored through the last pointer
 *   arguments. A function that fails to create a handle sets its result pointer to NULL.
 * - Whoever creates a handle frees it; _free(NULL) does nothing. Handles may be freed in any order
 *   and from any thread, as a garbage collector does: until it is freed, each handle keeps alive
 *   what it needs, including its context. Only borrowed memory, which belongs to the caller, is not
 *   kept: it must outlive the handle, and whatever keeps that handle alive.
 * - Sizes are int64_t, enums are passed as int32_t, and callbacks are always optional.
 * - A pointer may be NULL only where its comment says so. Otherwise a function that returns a
 *   status fails with PTQ_ERROR_ARGUMENT and a message that names the function and the argument,
 *   such as "ptq_stats_update: stats is NULL". A getter passed NULL returns 0, NULL or NaN
 *   (ptq_equalization_candidate: -1). A function that returns nothing does nothing.
 * - Impossible numbers, such as a negative size or one larger than the address space, are also
 *   errors. Any other size that the caller states for its memory is trusted.
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
#include "encoding.h"
#include "format.h"
#include "equalize.h"
#include "quantize.h"
#include "linear.h"
#include "layout.h"
#include "call.h"

#endif
