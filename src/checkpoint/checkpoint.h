/*
 * A checkpoint in a Hugging Face directory, open for reading: config.json, the tensors, and the
 * accompanying files. Or a GGUF file: then the model makes the config and names the tensors. This
 * code knows nothing about models; the model sets where each tensor belongs.
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "base/json.h"
#include "checkpoint/unused.h"
#include "ptq/ptq.h"

/* Where a tensor goes when the checkpoint is rewritten. */
struct tensor_place {
    int64_t block; /* -1: none */
    int rewritten; /* replaced by the results of quantizing the block */
};

struct checkpoint {
    ptq_context *context;
    char *path;
    char *config_path; /* path of config.json or of the GGUF file, for messages */
    int gguf;          /* it is a GGUF file */
    struct ptqi_json_document *document;
    const struct ptqi_json *config; /* config.json; NULL until the model makes it */
    struct ptqi_json_document *quantization_document;
    const struct ptqi_json *quantization; /* quantization_config, NULL if there is none */
    ptq_store *store;
    struct tensor_place *places; /* [tensors of the store], set by the model */
    struct unused unused; /* contents that the model does not use and that do not affect it */
};

ptq_status checkpoint_open(ptq_context *context, const char *path, struct checkpoint **checkpoint);
/* Sets the store, which now belongs to the checkpoint, and makes room for its places. */
ptq_status checkpoint_set_store(struct checkpoint *c, ptq_store *store);
void checkpoint_free(struct checkpoint *c);
/* The path of a file in the directory; allocated. */
char *checkpoint_file(const struct checkpoint *c, const char *name);

/* The name of file i to copy if it exists; NULL after the last. */
const char *checkpoint_companion(int i);

#endif
