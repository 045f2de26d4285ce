/*
 * Adding metadata to a GGUF file. Keys that begin with a dot get the architecture's name before it.
 * The first error is kept: also a value that its type cannot hold.
 */
#ifndef GGUF_PAIRS_H
#define GGUF_PAIRS_H

#include "base/json.h"
#include "ptq/ptq.h"

struct gguf_pairs {
    ptq_context *context;
    ptq_store *store;
    const char *architecture; /* "llama" */
    ptq_status status;
};

void gguf_put_integer(struct gguf_pairs *p, const char *key, int64_t value); /* u32 */
void gguf_put_signed(struct gguf_pairs *p, const char *key, int64_t value);  /* i32 */
void gguf_put_real(struct gguf_pairs *p, const char *key, double value);     /* f32 */
void gguf_put_bool(struct gguf_pairs *p, const char *key, int value);
void gguf_put_text(struct gguf_pairs *p, const char *key, const char *value);
/* type is that of the array, "arr[str]". Ends the writer, whose text is the array in JSON. */
void gguf_put_array(struct gguf_pairs *p, const char *key, const char *type,
                    struct ptqi_json_writer *w);

#endif
