#include "jinja/arena.h"
#include <string.h>

#define ALIGNMENT 16
#define FIRST_CHUNK (1 << 14)
#define LARGEST_CHUNK (1 << 22)

struct arena_chunk {
    struct arena_chunk *next;
    int64_t used, capacity;
};

/* Bytes before the memory of a chunk. */
#define HEADER ((int64_t)((sizeof(struct arena_chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT))

void arena_begin(struct arena *arena, ptq_context *context, int64_t limit)
{
    *arena = (struct arena){.context = context, .limit = limit};
}

void arena_free(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *next = arena->chunks->next;
        ptqi_free(arena->context, arena->chunks);
        arena->chunks = next;
    }
}

/* Each chunk is twice as large as the one before. */
static int64_t next_capacity(const struct arena *arena, int64_t bytes)
{
    int64_t capacity = arena->chunks ? arena->chunks->capacity * 2 : FIRST_CHUNK;
    capacity = ptqi_min(capacity, LARGEST_CHUNK);
    return ptqi_max(capacity, bytes);
}

static ptq_status add_chunk(struct arena *arena, int64_t bytes)
{
    const int64_t capacity = next_capacity(arena, bytes);
    struct arena_chunk *chunk = ptqi_alloc(arena->context, HEADER + capacity, 1);
    if (!chunk)
        return PTQ_ERROR_MEMORY;
    *chunk = (struct arena_chunk){arena->chunks, 0, capacity};
    arena->chunks = chunk;
    return PTQ_OK;
}

static char *memory_of(struct arena_chunk *chunk)
{
    return (char *)chunk + HEADER;
}

static int64_t rounded(int64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *arena_alloc(struct arena *arena, int64_t count, int64_t size)
{
    int64_t bytes;
    if (!ptqi_multiply(count, size, &bytes) || bytes > arena->limit - arena->used - ALIGNMENT) {
        arena->status = ptqi_fail(arena->context, PTQ_ERROR_BOUNDS,
                                  "the template needs more than %lld MiB of memory",
                                  (long long)(arena->limit >> 20));
        return NULL;
    }
    bytes = rounded(bytes);
    if (!arena->chunks || arena->chunks->capacity - arena->chunks->used < bytes) {
        arena->status = add_chunk(arena, bytes);
        if (arena->status)
            return NULL;
    }
    char *memory = memory_of(arena->chunks) + arena->chunks->used;
    arena->chunks->used += bytes;
    arena->used += bytes;
    return memory;
}

int arena_extend(struct arena *arena, void *memory, int64_t bytes, int64_t larger)
{
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || !memory || larger > chunk->capacity)
        return 0;
    const int64_t more = rounded(larger) - rounded(bytes);
    if ((char *)memory + rounded(bytes) != memory_of(chunk) + chunk->used ||
        more > chunk->capacity - chunk->used || more > arena->limit - arena->used)
        return 0;
    chunk->used += more;
    arena->used += more;
    return 1;
}

static ptq_status reserve(struct builder *b, int64_t needed)
{
    if (needed <= b->capacity)
        return PTQ_OK;
    const int64_t doubled = ptqi_min(b->capacity, INT64_MAX / 4) * 2 + 64;
    const int64_t larger = ptqi_max(needed, doubled);
    if (!arena_extend(b->arena, b->bytes, b->capacity, larger)) {
        char *copy = arena_alloc(b->arena, larger, 1);
        if (!copy)
            return b->arena->status;
        if (b->length)
            memcpy(copy, b->bytes, (size_t)b->length);
        b->bytes = copy;
    }
    b->capacity = larger;
    return PTQ_OK;
}

ptq_status builder_add(struct builder *b, const char *bytes, int64_t length)
{
    if (length > INT64_MAX / 4 - b->length)
        return ptqi_fail(b->arena->context, PTQ_ERROR_BOUNDS, "the text is too long");
    PTQI_TRY(reserve(b, b->length + length));
    if (length)
        memcpy(b->bytes + b->length, bytes, (size_t)length);
    b->length += length;
    return PTQ_OK;
}
