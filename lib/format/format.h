/* A storage format for quantized matrices. Each has its own file and an entry in formats.c. */
#ifndef PTQI_FORMAT_H
#define PTQI_FORMAT_H

#include "ptq/format.h"
#include "base/json.h"
#include "qtensor.h"
#include "store/store.h"

struct ptqi_format {
    int32_t id; /* PTQ_FORMAT_... */
    const char *name;
    /* Suffixes of its tensor names, ending with NULL. Those of tensors with codes come first, and
     * a matrix has at least one of these. */
    const char *const *endings;
    /* Whether the store has a matrix with this prefix. */
    int (*find)(const ptq_store *store, const char *prefix);
    ptq_status (*read)(ptq_context *context, const ptq_store *store, const char *prefix,
                       ptq_qtensor **q);
    ptq_status (*write)(const ptq_qtensor *q, ptq_store *store, const char *prefix);
    /* Describes what in q the format cannot represent; NULL if it can represent everything. */
    const char *(*can_hold)(const ptq_qtensor *q);
    /* Adds the members of a quantization config for matrices like q; NULL: it needs none. */
    void (*describe)(const ptq_qtensor *q, struct ptqi_json_writer *w);
};

extern const struct ptqi_format ptqi_format_ptq, ptqi_format_gptq, ptqi_format_awq,
    ptqi_format_compressed_tensors, ptqi_format_gguf;

#endif
