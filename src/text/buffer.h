/*
 * Text that grows.
 */
#ifndef TEXT_BUFFER_H
#define TEXT_BUFFER_H

#include "base/context.h"

struct buffer {
    char *bytes;
    int64_t length, capacity;
};

/* Space for more bytes behind those in use. */
ptq_status buffer_reserve(ptq_context *context, struct buffer *b, int64_t more);
ptq_status buffer_append(ptq_context *context, struct buffer *b, const char *bytes, int64_t length);
void buffer_free(ptq_context *context, struct buffer *b);

#endif
