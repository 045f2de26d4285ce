/*
 * Memory of one parse or one rendering: taken piece by piece, never more than a limit, and freed at
 * once.
 */
#ifndef JINJA_ARENA_H
#define JINJA_ARENA_H

#include "base/context.h"

struct arena_chunk;

struct arena {
    ptq_context *context;
    struct arena_chunk *chunks; /* the newest first */
    int64_t used, limit;        /* bytes */
    ptq_status status;          /* why arena_alloc last returned NULL */
};

/* Text that grows in an arena. */
struct builder {
    struct arena *arena;
    char *bytes;
    int64_t length, capacity;
};

void arena_begin(struct arena *arena, ptq_context *context, int64_t limit);
void arena_free(struct arena *arena);
/* NULL after a message if memory is exhausted or the limit is reached; status says which. */
void *arena_alloc(struct arena *arena, int64_t count, int64_t size);
/* Makes an allocation of bytes bytes larger in place, if it is the newest and there is space. */
int arena_extend(struct arena *arena, void *memory, int64_t bytes, int64_t larger);

ptq_status builder_add(struct builder *builder, const char *bytes, int64_t length);

#endif
