/*
 * Views: stores open for reading whose tensors are those of another store, under other names, in
 * another order of rows, or parts of them.
 */
#include <string.h>
#include "store.h"

ptq_status ptqi_view_create(const ptq_store *from, ptq_store **view)
{
    return ptqi_store_new(__func__, from->context, from->path, view);
}

ptq_status ptqi_view_add(ptq_store *view, const char *name, const ptq_store *from,
                         const struct ptqi_entry *source, int64_t part, struct ptqi_entry **entry)
{
    struct ptqi_entry *e;
    PTQI_TRY(ptqi_store_new_entry(view, name, &e));
    char *own = e->name;
    *e = *source;
    e->name = own;
    e->owned = NULL;
    e->rows = NULL;
    ptqi_entry_hold(e, from);
    if (part >= 0) {
        e->rank--;
        memmove(e->shape, source->shape + 1, (size_t)e->rank * sizeof *e->shape);
        e->bytes = source->bytes / source->shape[0];
        e->data = (const uint8_t *)source->data + part * e->bytes;
    }
    *entry = e;
    return PTQ_OK;
}

void ptqi_entry_copy(const struct ptqi_entry *e, void *out)
{
    const size_t row = e->rows ? (size_t)(e->bytes / e->shape[0]) : 0;
    if (!e->rows && e->bytes)
        memcpy(out, e->data, (size_t)e->bytes);
    for (int64_t n = 0; e->rows && n < e->shape[0]; n++)
        memcpy((char *)out + (size_t)n * row, (const char *)e->data + (size_t)e->rows[n] * row,
               row);
}
