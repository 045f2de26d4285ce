#include "buffer.h"
#include <string.h>

ptq_status buffer_reserve(ptq_context *context, struct buffer *b, int64_t more)
{
    return ptqi_grow(context, (void **)&b->bytes, b->length, &b->capacity, b->length + more, 1);
}

ptq_status buffer_append(ptq_context *context, struct buffer *b, const char *bytes, int64_t length)
{
    PTQI_TRY(buffer_reserve(context, b, length));
    if (length)
        memcpy(b->bytes + b->length, bytes, (size_t)length);
    b->length += length;
    return PTQ_OK;
}

void buffer_free(ptq_context *context, struct buffer *b)
{
    ptqi_free(context, b->bytes);
    memset(b, 0, sizeof *b);
}
