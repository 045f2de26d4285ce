/* A way to lay a quantized matrix into a store. Each has a file and an entry in formats.c. */
#ifndef PTQI_FORMAT_H
#define PTQI_FORMAT_H

#include "ptq/format.h"
#include "qtensor.h"
#include "store/store.h"

struct ptqi_format {
    int32_t id; /* PTQ_FORMAT_... */
    const char *name;
    const char *const *endings; /* of the names of its tensors; NULL behind the last */
    /* Whether the store has a matrix of this prefix. */
    int (*find)(const ptq_store *store, const char *prefix);
    ptq_status (*read)(ptq_context *context, const ptq_store *store, const char *prefix,
                       ptq_qtensor **q);
    ptq_status (*write)(const ptq_qtensor *q, ptq_store *store, const char *prefix);
    /* What of q the format cannot express, as a sentence; NULL: it can hold all of it. */
    const char *(*can_hold)(const ptq_qtensor *q);
};

extern const struct ptqi_format ptqi_format_ptq;

#endif
