/*
 * A list of ids that grows.
 */
#ifndef TEXT_ID_LIST_H
#define TEXT_ID_LIST_H

#include "base/context.h"

struct id_list {
    int32_t *ids;
    int64_t count, capacity;
};

PTQI_INLINE ptq_status id_list_append(ptq_context *context, struct id_list *list, int32_t id)
{
    PTQI_TRY(ptqi_grow(context, (void **)&list->ids, list->count, &list->capacity, list->count + 1,
                       (int64_t)sizeof *list->ids));
    list->ids[list->count++] = id;
    return PTQ_OK;
}

#endif
