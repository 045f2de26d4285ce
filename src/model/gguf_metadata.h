/* The metadata of a GGUF file that describe its model: keys begin with the architecture's name. */
#ifndef GGUF_METADATA_H
#define GGUF_METADATA_H

#include "ptq/ptq.h"

struct gguf_metadata {
    ptq_context *context;
    const ptq_store *store;
    const char *path;         /* for messages */
    const char *architecture; /* "llama" */
};

/* The whole key of one that begins with the architecture: "llama.block_count". */
struct gguf_key {
    char text[160];
};
struct gguf_key gguf_key(const struct gguf_metadata *m, const char *key);

/* The value of such a key: text, NULL if it is absent or not a string; a number (a bool is 0 or 1),
 * fallback if it is absent or something else. */
const char *gguf_text(const struct gguf_metadata *m, const char *key);
double gguf_number(const struct gguf_metadata *m, const char *key, double fallback);
int gguf_has(const struct gguf_metadata *m, const char *key);
/* "path: architecture.key problem", PTQ_ERROR_UNSUPPORTED. */
ptq_status gguf_refuse(const struct gguf_metadata *m, const char *key, const char *problem);

#endif
