/*
 * ptq/context.h - where memory, threads, the instruction set and messages come from.
 *
 * Every other handle is created from a context, and the context must outlive all of them.
 *
 * Thread safety: a context may be used by many threads at once, except that the setters and
 * ptq_context_free must not run while another thread uses the context. ptq_context_cancel may be
 * called at any time, also from a signal handler. After fork the child may go on with a context,
 * and what was made from it, if no other thread was using them at that moment.
 *
 * Promise of equal bits: the same inputs and settings give the same results to the last bit on
 * every CPU, with every instruction set and any number of threads, provided that the floating-point
 * environment is the default one (round to nearest, denormals kept). In other modes nothing is
 * undefined, but the promise is void.
 */
#ifndef PTQ_CONTEXT_H
#define PTQ_CONTEXT_H

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_context ptq_context;

/* Returns memory of at least bytes bytes at a multiple of alignment (a power of two), or NULL. */
typedef void *(*ptq_allocate_function)(void *user, int64_t bytes, int64_t alignment);
/* Gives back what the allocate function returned; pointer is never NULL. */
typedef void (*ptq_release_function)(void *user, void *pointer);
/* Receives one line of text without a line feed. */
typedef void (*ptq_log_function)(void *user, const char *text);
/* Receives how much of a long operation is done, 0 to 1, and what it is working on. */
typedef void (*ptq_progress_function)(void *user, double fraction, const char *what);
/* One part of a parallel operation. */
typedef void (*ptq_body_function)(void *argument, int64_t part);
/* Calls body(argument, part) once for every part in 0 .. parts - 1, in any order, at once or not,
 * and returns when all have returned. */
typedef void (*ptq_parallel_function)(void *user, int64_t parts, ptq_body_function body,
                                      void *argument);

/*
 * Creates a context with the C library's allocator, or with the caller's: every byte that the
 * library ever allocates then comes from it, also from the library's worker threads. user is handed
 * to both functions and may be NULL. The instruction set is PTQ_AUTO, the number of threads 0.
 */
PTQ_API ptq_status ptq_context_create(ptq_context **context);
PTQ_API ptq_status ptq_context_create_with_allocator(ptq_allocate_function allocate,
                                                     ptq_release_function release, void *user,
                                                     ptq_context **context);
/* Stops the worker threads and frees the context. NULL is fine. */
PTQ_API void ptq_context_free(ptq_context *context);

/*
 * Number of threads that an operation is split over: 1 to 1024; 0, the default, means one for every
 * CPU that this process might use when the context was made. The library starts its own threads,
 * with memory for them from the context's allocator, when they are first needed; they stay until
 * ptq_context_free. While they are busy with one call, another one runs on its calling thread
 * alone.
 */
PTQ_API ptq_status ptq_context_set_threads(ptq_context *context, int32_t threads);
PTQ_API int32_t ptq_context_threads(const ptq_context *context);

/*
 * Runs parallel work through the caller's threads instead of the library's. NULL: the library's.
 *
 * Only ptq_quantize, ptq_quantize_equalized, ptq_equalize, and ptq_linear_forward,
 * ptq_linear_accumulate and their _prepared forms call parallel_for, and an engine calls these from
 * outside of its parallel regions. All other functions may be called from inside of one: they never
 * call parallel_for. Those that would use the library's threads, ptq_linear_create,
 * ptq_linear_create_in, ptq_linear_prepare, ptq_stats_update and ptq_stats_update_paired, run on
 * the calling thread alone where there is a parallel_for. The results are the same in every case.
 */
PTQ_API ptq_status ptq_context_set_parallel_for(ptq_context *context,
                                                ptq_parallel_function parallel_for, void *user);

/*
 * Instruction sets for which kernels exist or are planned.
 *
 * AMX needs the system's permission, which is asked for, once in a process, when a context with
 * PTQ_AUTO or PTQ_ISA_AMX_INT8 has AMX to use and creates or opens its first linear with int8
 * activations, or when ptq_context_set_isa names PTQ_ISA_AMX_INT8; creating a context asks for
 * nothing. A permission holds for the whole process and cannot be given back: signal frames of
 * threads that use AMX grow by 8 KiB, and sigaltstack refuses stacks that are too small for such
 * frames. Where the system refuses, products run with AVX512-VNNI. A process that does not want any
 * of this sets another instruction set, PTQ_ISA_AVX512_VNNI for one, in each context before its
 * first linear.
 */
enum {
    PTQ_ISA_PORTABLE = 1,
    PTQ_ISA_AVX2 = 2,
    PTQ_ISA_AVX_VNNI = 3,
    PTQ_ISA_AVX512_VNNI = 4,
    PTQ_ISA_AMX_INT8 = 5, /* asks for a permission: see above */
    PTQ_ISA_NEON = 16,
    PTQ_ISA_NEON_DOTPROD = 17,
    PTQ_ISA_NEON_I8MM = 18
};
/* PTQ_AUTO: the best one that this CPU has. PTQ_ERROR_UNSUPPORTED where this CPU or this build has
 * no kernels for isa. Changes the speed and never the results. */
PTQ_API ptq_status ptq_context_set_isa(ptq_context *context, int32_t isa);
/* The instruction set in use, never PTQ_AUTO but for a context that is NULL. */
PTQ_API int32_t ptq_context_isa(const ptq_context *context);
/* Enumeration: instruction set number index, PTQ_AUTO aside; 0 beyond the last. */
PTQ_API int32_t ptq_isa(int32_t index);
/* By name ("avx2", "auto"); 0 for an unknown one. */
PTQ_API int32_t ptq_isa_from_name(const char *name);
/* "avx2" and so on; NULL for an unknown value. */
PTQ_API const char *ptq_isa_name(int32_t isa);
/* 1 where this build has kernels for isa and this CPU can run them, else 0; asks for no permission.
 */
PTQ_API int32_t ptq_isa_usable(int32_t isa);

/* Hooks for messages and progress; NULL switches them off. They are called by the thread that
 * called the library, one at a time. user is handed to them and may be NULL, as that of
 * parallel_for. */
PTQ_API ptq_status ptq_context_set_log(ptq_context *context, ptq_log_function log, void *user);
PTQ_API ptq_status ptq_context_set_progress(ptq_context *context, ptq_progress_function progress,
                                            void *user);

/* Makes long operations of this context return PTQ_ERROR_CANCELLED soon, until
 * ptq_context_clear_cancel. Safe from any thread and from signal handlers. */
PTQ_API void ptq_context_cancel(ptq_context *context);
PTQ_API void ptq_context_clear_cancel(ptq_context *context);

/* Like ptq_last_message, but the last failure of any operation on this context from any thread: for
 * bindings whose code moves between threads. Without a context it is ptq_last_message. */
PTQ_API int64_t ptq_context_last_message(const ptq_context *context, char *buffer,
                                         int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
