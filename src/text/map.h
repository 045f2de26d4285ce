/*
 * A hash table from 64-bit keys to pairs of numbers. It has its final size from the beginning.
 */
#ifndef TEXT_MAP_H
#define TEXT_MAP_H

#include "base/context.h"

struct map_entry {
    uint64_t key;
    int32_t first, second;
};

struct map {
    struct map_entry *slots;
    uint64_t mask;
};

/* Room for entries entries. A map that is all zero, or that failed to be created, may be freed. */
ptq_status map_create(ptq_context *context, struct map *map, int64_t entries);
void map_free(ptq_context *context, struct map *map);
/* Sets the value of key, any but UINT64_MAX. */
void map_set(struct map *map, uint64_t key, int32_t first, int32_t second);
/* NULL where key has no value. */
const struct map_entry *map_get(const struct map *map, uint64_t key);

/*
 * The number of slots for so many entries: a power of two, so that a hash is masked and not
 * divided, and at least one in three empty, so that searches are short and end. 0 where that is too
 * many.
 */
int64_t map_slots(int64_t entries);

#endif
