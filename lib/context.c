/*
 * Creating and freeing contexts, and their setters.
 */
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/cpu.h"
#include "base/team.h"

static void *default_allocate(void *user, int64_t bytes, int64_t alignment)
{
    (void)user;
    return ptqi_system_alloc(bytes, alignment);
}

static void default_release(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

static ptq_status create(ptq_allocate_function allocate, ptq_release_function release, void *user,
                         ptq_context **context)
{
    struct ptq_context *c = allocate(user, (int64_t)sizeof *c, PTQI_ALLOCATION_ALIGNMENT);
    if (!c)
        return ptqi_fail_memory(NULL, (int64_t)sizeof *c);
    memset(c, 0, sizeof *c);
    c->allocate = allocate;
    c->release = release;
    c->allocator_user = user;
    ptqi_cpu_caches(&c->l1_bytes, &c->l2_bytes);
    atomic_init(&c->references, 1);
    atomic_init(&c->cancelled, 0);
    if (pthread_mutex_init(&c->message_lock, NULL)) {
        release(user, c);
        return ptqi_fail(NULL, PTQ_ERROR_MEMORY, "cannot create a mutex");
    }
    ptq_status status = ptqi_team_create(c, &c->team);
    if (!status)
        status = ptq_context_set_isa(c, PTQ_AUTO);
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
    if (context)
        ptqi_context_release(context);
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

void ptq_context_cancel(ptq_context *context)
{
    if (context)
        atomic_store_explicit(&context->cancelled, 1, memory_order_relaxed);
}

void ptq_context_clear_cancel(ptq_context *context)
{
    if (context)
        atomic_store_explicit(&context->cancelled, 0, memory_order_relaxed);
}
