/*
 * ptq/context.h - memory, threads, the instruction set and messages.
 *
 * Every other handle is created from a context and holds a reference to it, so handles and their
 * context may be freed in any order: see ptq_context_free.
 *
 * Thread safety: a context may be used by many threads at once, except that the setters must not
 * run while another thread uses the context. Handles and contexts may be freed from any thread.
 * ptq_context_cancel may be called at any time, even from a signal handler. After fork, the child
 * may keep using a context and the handles made from it, provided that no other thread was using
 * them at the time of the fork.
 *
 * Bit-exact results: the same inputs and settings give the same results to the last bit on every
 * CPU, with every instruction set and any number of threads, provided that the floating-point
 * environment is the default one (round to nearest, denormals kept). In other modes nothing is
 * undefined, but results may differ.
 */
#ifndef PTQ_CONTEXT_H
#define PTQ_CONTEXT_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_context ptq_context;

/* Returns at least bytes bytes of memory aligned to alignment (a power of two), or NULL. */
typedef void *(PTQ_CALLBACK *ptq_allocate_function)(void *user, int64_t bytes, int64_t alignment);
/* Frees memory that the allocate function returned; pointer is never NULL. */
typedef void(PTQ_CALLBACK *ptq_release_function)(void *user, void *pointer);
/* Receives one line of text, without a line feed, and its level, PTQ_LOG_... */
typedef void(PTQ_CALLBACK *ptq_log_function)(void *user, int32_t level, const char *text);
/* Receives the completed fraction of a long operation, 0 to 1, and what it is working on. */
typedef void(PTQ_CALLBACK *ptq_progress_function)(void *user, double fraction, const char *what);
/* One part of a parallel operation. */
typedef void(PTQ_CALLBACK *ptq_body_function)(void *argument, int64_t part);
/* Calls body(argument, part) exactly once for every part in 0 .. parts - 1, in any order, possibly
 * concurrently, and returns PTQ_OK when all calls have returned. If it cannot, it returns another
 * status, which the operation then returns too. It may have made some of the calls, but none may be
 * running or follow when it returns. */
typedef ptq_status(PTQ_CALLBACK *ptq_parallel_function)(void *user, int64_t parts,
                                                        ptq_body_function body, void *argument);

/* Log levels. */
enum {
    PTQ_LOG_ERROR = 1,   /* something failed that no status reports */
    PTQ_LOG_WARNING = 2, /* the result may not be what was wanted */
    PTQ_LOG_INFO = 3,    /* what was done */
    PTQ_LOG_DEBUG = 4    /* for developers */
};

/*
 * Creates a context with the C library's allocator or with the caller's. In the latter case every
 * byte that the library allocates comes from it, including allocations by the library's worker
 * threads. user is passed to both functions and may be NULL. The instruction set is PTQ_AUTO, the
 * number of threads 0.
 */
PTQ_API ptq_status ptq_context_create(ptq_context **context);
PTQ_API ptq_status ptq_context_create_with_allocator(ptq_allocate_function allocate,
                                                     ptq_release_function release, void *user,
                                                     ptq_context **context);
/*
 * Drops the caller's reference to the context, which must not be used directly afterwards. The
 * handles made from it can still be used. When the last of them is freed as well, by any thread,
 * the worker threads are stopped and the context's memory is freed. Until then the allocator, the
 * callbacks and their user pointers must stay valid. NULL is allowed.
 */
PTQ_API void ptq_context_free(ptq_context *context);

/*
 * Number of threads for an operation, 1 to 1024. 0, the default, means one for every CPU that the
 * process was allowed to use when the context was created. The library starts its own threads when
 * they are first needed, with memory from the context's allocator, and keeps them until the context
 * is freed. While they are busy with one call, any other call runs on its calling thread alone.
 */
PTQ_API ptq_status ptq_context_set_threads(ptq_context *context, int32_t threads);
PTQ_API int32_t ptq_context_threads(const ptq_context *context);

/*
 * Runs parallel work on the caller's threads instead of the library's. NULL restores the library's.
 *
 * Only ptq_quantize, ptq_quantize_equalized, ptq_equalize and ptq_call_run call parallel_for; an
 * engine calls these from outside its parallel regions. All other functions never call parallel_for
 * and may be called from inside a parallel region. ptq_linear_create, ptq_linear_create_in,
 * ptq_stats_update and ptq_stats_update_paired use the library's threads by default, but if
 * parallel_for is set, they run on the calling thread alone. The results are the same in every
 * case. If parallel_for fails, so does the function: results are as after any other failure, and
 * the contents of output arrays are undefined.
 *
 * user is passed to every call of parallel_for. Callers that need a different pointer for each call
 * set it with ptq_config_set_parallel_user and ptq_call_set_parallel_user.
 */
PTQ_API ptq_status ptq_context_set_parallel_for(ptq_context *context,
                                                ptq_parallel_function parallel_for, void *user);

/*
 * Instruction sets.
 *
 * AMX needs permission from the operating system. The library requests it once per process: when a
 * context that is set to PTQ_AUTO or PTQ_ISA_AMX_INT8 on a CPU with AMX creates or opens its first
 * linear with int8 activations, or when ptq_context_set_isa is called with PTQ_ISA_AMX_INT8.
 * Creating a context requests nothing. The permission holds for the whole process and cannot be
 * revoked: signal frames of threads that use AMX grow by 8 KiB, and sigaltstack rejects stacks too
 * small for such frames. If the system refuses, products run with AVX512-VNNI. A process that wants
 * none of this sets another instruction set, such as PTQ_ISA_AVX512_VNNI, in each context before
 * its first linear.
 */
enum {
    PTQ_ISA_PORTABLE = 1,
    PTQ_ISA_AVX2 = 2,
    PTQ_ISA_AVX_VNNI = 3,
    PTQ_ISA_AVX512_VNNI = 4,
    PTQ_ISA_AMX_INT8 = 5, /* requests a permission: see above */
    PTQ_ISA_NEON = 16,
    PTQ_ISA_NEON_DOTPROD = 17,
    PTQ_ISA_NEON_I8MM = 18
};
/* PTQ_AUTO selects the best one that this CPU has. PTQ_ERROR_UNSUPPORTED if this CPU or this build
 * has no kernels for isa. Changes the speed, never the results. */
PTQ_API ptq_status ptq_context_set_isa(ptq_context *context, int32_t isa);
/* The instruction set in use; never PTQ_AUTO, except for a NULL context. */
PTQ_API int32_t ptq_context_isa(const ptq_context *context);
/* Enumeration: the instruction set at index, not counting PTQ_AUTO; 0 past the end. */
PTQ_API int32_t ptq_isa(int32_t index);
/* Looks up an instruction set by name ("avx2", "auto"); 0 if unknown. */
PTQ_API int32_t ptq_isa_from_name(const char *name);
/* The name, such as "avx2"; NULL for an unknown value. */
PTQ_API const char *ptq_isa_name(int32_t isa);
/* 1 if this build has kernels for isa and this CPU can run them, else 0. Requests no permission. */
PTQ_API int32_t ptq_isa_usable(int32_t isa);

/* Callbacks for messages and progress; NULL disables them. They run on the thread that called the
 * library, one at a time. user is passed to them; it may be NULL, like the user pointer of
 * parallel_for. */
PTQ_API ptq_status ptq_context_set_log(ptq_context *context, ptq_log_function log, void *user);
PTQ_API ptq_status ptq_context_set_progress(ptq_context *context, ptq_progress_function progress,
                                            void *user);

/* Makes long operations of this context return PTQ_ERROR_CANCELLED soon, until
 * ptq_context_clear_cancel is called. Safe from any thread and from signal handlers. */
PTQ_API void ptq_context_cancel(ptq_context *context);
PTQ_API void ptq_context_clear_cancel(ptq_context *context);

/* Like ptq_last_message, but for the last failure of any operation on this context on any thread:
 * for bindings whose code moves between threads. If context is NULL, this is ptq_last_message. */
PTQ_API int64_t ptq_context_last_message(const ptq_context *context, char *buffer,
                                         int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
