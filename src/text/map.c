#include "map.h"

#define EMPTY UINT64_MAX

int64_t map_slots(int64_t entries)
{
    int64_t slots = 4;
    if (entries > INT64_MAX / 4)
        return 0;
    while (slots / 3 * 2 < entries)
        slots *= 2;
    return slots;
}

ptq_status map_create(ptq_context *context, struct map *map, int64_t entries)
{
    int64_t slots = map_slots(entries);
    map->slots = ptqi_alloc(context, slots ? slots : INT64_MAX, (int64_t)sizeof *map->slots);
    if (!map->slots)
        return PTQ_ERROR_MEMORY;
    map->mask = (uint64_t)slots - 1;
    for (int64_t i = 0; i < slots; i++)
        map->slots[i].key = EMPTY;
    return PTQ_OK;
}

void map_free(ptq_context *context, struct map *map)
{
    ptqi_free(context, map->slots);
    map->slots = NULL;
}

/* The slot that holds key, or the empty one where it belongs. */
static struct map_entry *find(const struct map *map, uint64_t key)
{
    uint64_t hash =
        key * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio: its high bits are mixed well */
    uint64_t slot = (hash ^ hash >> 32) & map->mask;
    while (map->slots[slot].key != key && map->slots[slot].key != EMPTY)
        slot = (slot + 1) & map->mask;
    return map->slots + slot;
}

void map_set(struct map *map, uint64_t key, int32_t first, int32_t second)
{
    struct map_entry *entry = find(map, key);
    entry->key = key;
    entry->first = first;
    entry->second = second;
}

const struct map_entry *map_get(const struct map *map, uint64_t key)
{
    const struct map_entry *entry = find(map, key);
    return entry->key == key ? entry : NULL;
}
