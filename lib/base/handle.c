/*
 * Lifetimes: a context lives as long as the user or a handle refers to it.
 */
#include "context.h"
#include "team.h"

void ptqi_context_hold(ptq_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
}

void ptqi_context_release(ptq_context *context)
{
    if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) > 1)
        return;
    ptqi_team_free(context, context->team);
    pthread_mutex_destroy(&context->message_lock);
    context->release(context->allocator_user, context);
}

void *ptqi_new_handle(ptq_context *context, int64_t bytes)
{
    void *handle = ptqi_alloc_zero(context, 1, bytes);
    if (handle)
        ptqi_context_hold(context);
    return handle;
}

void ptqi_free_handle(ptq_context *context, void *handle)
{
    ptqi_free(context, handle);
    ptqi_context_release(context);
}
