#include "checkpoint/matrix_part.h"
#include <stdio.h>
#include <string.h>

enum matrix_part matrix_part(const ptq_store *store, const char *matrix, const char *ending)
{
    const int32_t format = ptq_format_find(store, matrix);
    enum matrix_part part = PART_FIRST;
    const char *known;
    for (int32_t i = 0; (known = ptq_format_ending(format, i)); i++) {
        char name[544];
        if (!strcmp(known, ending))
            return part;
        snprintf(name, sizeof name, "%s%s", matrix, known);
        if (ptq_store_has(store, name))
            part = PART_OTHER;
    }
    return PART_NONE;
}
