/*
 * Context internals: allocator, hooks, cancellation, error messages.
 */
#ifndef PTQI_CONTEXT_H
#define PTQI_CONTEXT_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include "compiler.h"
#include "ptq/context.h"

#define PTQI_MESSAGE_SIZE 512
#define PTQI_ALLOCATION_ALIGNMENT PTQ_ALIGNMENT /* a cache line, and the widest vector */

struct ptqi_team;
struct ptqi_kernels;

struct ptq_context {
    atomic_llong references; /* the user's, and one for each handle; base/handle.c */

    ptq_allocate_function allocate;
    ptq_release_function release;
    void *allocator_user;

    int32_t threads; /* as set by the caller; 0: one per CPU */
    int32_t cpus;    /* CPUs that the process was allowed to use at creation */
    ptq_parallel_function parallel_for;
    void *parallel_user;
    struct ptqi_team *team;

    int32_t isa;                        /* PTQ_AUTO until chosen */
    const struct ptqi_kernels *kernels; /* lib/kernel/select.c */
    int64_t l1_bytes, l2_bytes;         /* data caches of a core */

    ptq_log_function log;
    void *log_user;
    ptq_progress_function progress;
    void *progress_user;
    atomic_int cancelled;

    pthread_mutex_t message_lock;
    char message[PTQI_MESSAGE_SIZE];
};

/* Stores the message for this thread and for the context (which may be NULL); returns status. */
ptq_status ptqi_fail(ptq_context *context, ptq_status status, const char *format, ...)
    PTQI_PRINTF(3, 4);
/* Prepends "where: " to the message of this thread's last failure; returns status. */
ptq_status ptqi_fail_at(ptq_context *context, ptq_status status, const char *where);
/* Reports a failed allocation of bytes bytes. */
ptq_status ptqi_fail_memory(ptq_context *context, int64_t bytes);

/* "function: argument is NULL". */
ptq_status ptqi_fail_null(ptq_context *context, const char *function, const char *argument);
/* PTQ_ERROR_ARGUMENT with a message unless lowest <= value <= highest. */
ptq_status ptqi_check_between(ptq_context *context, const char *function, const char *argument,
                              int64_t value, int64_t lowest, int64_t highest);

/*
 * Argument check of a public function, whose parameters are named as in the header: returns with an
 * error if pointer is NULL. The second form is for code shared by several functions: function is
 * the name of the one that was called.
 */
#define PTQI_REQUIRE(context, pointer) PTQI_REQUIRE_FOR(context, __func__, pointer)
#define PTQI_REQUIRE_FOR(context, function, pointer)                                               \
    do {                                                                                           \
        if (!(pointer))                                                                            \
            return ptqi_fail_null(context, function, #pointer);                                    \
    } while (0)

/*
 * Memory for count elements of size bytes, aligned to 64; NULL with a message if the product
 * overflows or memory is exhausted. Zero bytes give a valid pointer. _zero clears the memory.
 */
void *ptqi_alloc(ptq_context *context, int64_t count, int64_t size);
void *ptqi_alloc_zero(ptq_context *context, int64_t count, int64_t size);
/* From the system, for the default allocator; NULL if there is none. Freed by free. */
void *ptqi_system_alloc(int64_t bytes, int64_t alignment);
/* NULL is allowed. */
void ptqi_free(ptq_context *context, void *pointer);
/* Grows an array of *capacity elements to hold at least needed, keeping its first used elements. */
ptq_status ptqi_grow(ptq_context *context, void **array, int64_t used, int64_t *capacity,
                     int64_t needed, int64_t size);
/* Replaces *field, which may be NULL, with a copy of count elements of size bytes. */
ptq_status ptqi_replace(ptq_context *context, void **field, const void *from, int64_t count,
                        int64_t size);
/* A copy of length bytes, zero-terminated. */
char *ptqi_copy_text(ptq_context *context, const char *text, int64_t length);

/*
 * References, from any thread. The last one to be released stops the worker threads and frees the
 * context, so nothing may touch it afterwards.
 */
void ptqi_context_hold(ptq_context *context);
void ptqi_context_release(ptq_context *context);
/* Zeroed memory for a handle, which holds a reference to the context until _free_handle. Its handle
 * must not be NULL. */
void *ptqi_new_handle(ptq_context *context, int64_t bytes);
void ptqi_free_handle(ptq_context *context, void *handle);

/* *product = a * b for a, b >= 0; returns 0 on overflow. */
int ptqi_multiply(int64_t a, int64_t b, int64_t *product);

/* level: PTQ_LOG_... */
void ptqi_log_line(ptq_context *context, int32_t level, const char *format, ...) PTQI_PRINTF(3, 4);
void ptqi_progress(ptq_context *context, double fraction, const char *what);
/* PTQ_ERROR_CANCELLED if ptq_context_cancel was called. */
ptq_status ptqi_check_cancelled(ptq_context *context);

/* Returns from the function if expression fails, with its status. */
#define PTQI_TRY(expression)                                                                       \
    do {                                                                                           \
        ptq_status ptqi_status_ = (expression);                                                    \
        if (ptqi_status_ != PTQ_OK)                                                                \
            return ptqi_status_;                                                                   \
    } while (0)

/* Copies text to the caller's buffer, like ptq_last_message. */
int64_t ptqi_copy_out(const char *text, char *buffer, int64_t capacity);

#endif
