/*
 * Creating and freeing contexts, their setters, and the allocator that everything goes through.
 */
#include "context.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu.h"
#include "team.h"

#define ALLOCATION_ALIGNMENT 64 /* a cache line, and the widest vector */

static void *default_allocate(void *user, int64_t bytes, int64_t alignment)
{
    void *pointer = NULL;
    (void)user;
    return posix_memalign(&pointer, (size_t)alignment, (size_t)bytes) ? NULL : pointer;
}

static void default_release(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

static ptq_status create(ptq_allocate_function allocate, ptq_release_function release, void *user,
                         ptq_context **context)
{
    struct ptq_context *c = allocate(user, (int64_t)sizeof *c, ALLOCATION_ALIGNMENT);
    if (!c)
        return ptqi_fail_memory(NULL, (int64_t)sizeof *c);
    memset(c, 0, sizeof *c);
    c->allocate = allocate;
    c->release = release;
    c->allocator_user = user;
    ptqi_cpu_caches(&c->l1_bytes, &c->l2_bytes);
    atomic_init(&c->cancelled, 0);
    if (pthread_mutex_init(&c->message_lock, NULL)) {
        release(user, c);
        return ptqi_fail(NULL, PTQ_ERROR_MEMORY, "cannot create a mutex");
    }
    ptq_status status = ptqi_team_create(c, &c->team);
    if (!status)
        status = ptq_context_set_isa(c, PTQ_ISA_AUTO);
    if (status) {
        ptq_context_free(c);
        return status;
    }
    *context = c;
    return PTQ_OK;
}

ptq_status ptq_context_create_with_allocator(ptq_allocate_function allocate,
                                             ptq_release_function release, void *user,
                                             ptq_context **context)
{
    PTQI_REQUIRE(NULL, context);
    *context = NULL;
    PTQI_REQUIRE(NULL, allocate);
    PTQI_REQUIRE(NULL, release);
    return create(allocate, release, user, context);
}

ptq_status ptq_context_create(ptq_context **context)
{
    PTQI_REQUIRE(NULL, context);
    *context = NULL;
    return create(default_allocate, default_release, NULL, context);
}

void ptq_context_free(ptq_context *context)
{
    if (!context)
        return;
    ptqi_team_free(context, context->team);
    pthread_mutex_destroy(&context->message_lock);
    context->release(context->allocator_user, context);
}

ptq_status ptq_context_set_threads(ptq_context *context, int32_t threads)
{
    PTQI_REQUIRE(NULL, context);
    if (threads < 0 || threads > PTQI_MAX_THREADS)
        return ptqi_fail(context, PTQ_ERROR_BOUNDS, "threads must be 0 .. %d", PTQI_MAX_THREADS);
    context->threads = threads;
    return PTQ_OK;
}

ptq_status ptq_context_set_parallel_for(ptq_context *context, ptq_parallel_function parallel_for,
                                        void *user)
{
    PTQI_REQUIRE(NULL, context);
    context->parallel_for = parallel_for;
    context->parallel_user = user;
    return PTQ_OK;
}

ptq_status ptq_context_set_log(ptq_context *context, ptq_log_function log, void *user)
{
    PTQI_REQUIRE(NULL, context);
    context->log = log;
    context->log_user = user;
    return PTQ_OK;
}

ptq_status ptq_context_set_progress(ptq_context *context, ptq_progress_function progress,
                                    void *user)
{
    PTQI_REQUIRE(NULL, context);
    context->progress = progress;
    context->progress_user = user;
    return PTQ_OK;
}

void ptq_cancel(ptq_context *context)
{
    if (context)
        atomic_store_explicit(&context->cancelled, 1, memory_order_relaxed);
}

void ptq_context_clear_cancel(ptq_context *context)
{
    if (context)
        atomic_store_explicit(&context->cancelled, 0, memory_order_relaxed);
}

ptq_status ptqi_check_cancelled(ptq_context *context)
{
    if (atomic_load_explicit(&context->cancelled, memory_order_relaxed))
        return ptqi_fail(context, PTQ_ERROR_CANCELLED, "cancelled");
    return PTQ_OK;
}

int ptqi_multiply(int64_t a, int64_t b, int64_t *product)
{
    if (a < 0 || b < 0 || (b > 0 && a > INT64_MAX / b))
        return 0;
    *product = a * b;
    return 1;
}

void *ptqi_alloc(ptq_context *context, int64_t count, int64_t size)
{
    int64_t bytes = INT64_MAX;
    void *pointer = NULL;
    if (ptqi_multiply(count, size, &bytes) && bytes <= PTRDIFF_MAX / 2)
        pointer = context->allocate(context->allocator_user, bytes ? bytes : 1,
                                    ALLOCATION_ALIGNMENT);
    if (!pointer)
        ptqi_fail_memory(context, bytes);
    return pointer;
}

void *ptqi_alloc_zero(ptq_context *context, int64_t count, int64_t size)
{
    void *pointer = ptqi_alloc(context, count, size);
    if (pointer)
        memset(pointer, 0, (size_t)(count * size));
    return pointer;
}

void ptqi_free(ptq_context *context, void *pointer)
{
    if (pointer)
        context->release(context->allocator_user, pointer);
}

ptq_status ptqi_grow(ptq_context *context, void **array, int64_t used, int64_t *capacity,
                     int64_t needed, int64_t size)
{
    if (needed <= *capacity)
        return PTQ_OK;
    int64_t larger = *capacity > INT64_MAX / 4 ? needed : *capacity * 2;
    if (larger < 16)
        larger = 16;
    if (larger < needed)
        larger = needed;
    void *copy = ptqi_alloc(context, larger, size);
    if (!copy)
        return PTQ_ERROR_MEMORY;
    if (used)
        memcpy(copy, *array, (size_t)(used * size));
    ptqi_free(context, *array);
    *array = copy;
    *capacity = larger;
    return PTQ_OK;
}

char *ptqi_copy_text(ptq_context *context, const char *text, int64_t length)
{
    char *copy = ptqi_alloc(context, length + 1, 1);
    if (copy) {
        memcpy(copy, text, (size_t)length);
        copy[length] = 0;
    }
    return copy;
}

void ptqi_log_line(ptq_context *context, const char *format, ...)
{
    char text[PTQI_MESSAGE_SIZE];
    va_list arguments;
    if (!context->log)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    context->log(context->log_user, text);
}

void ptqi_progress(ptq_context *context, double fraction, const char *what)
{
    if (context->progress)
        context->progress(context->progress_user, fraction, what);
}
