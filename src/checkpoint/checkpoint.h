/*
 * A checkpoint in a Hugging Face directory, open for reading: config.json, the tensors, and the
 * files beside them. It knows nothing of models; whoever does tells where each tensor belongs.
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "base/json.h"
#include "checkpoint/unused.h"
#include "ptq/ptq.h"

/* Where a tensor belongs when the checkpoint is written anew. */
struct tensor_place {
    int64_t block; /* -1: to none */
    int rewritten; /* what quantizing the block makes takes its place */
};

struct checkpoint {
    ptq_context *context;
    char *path;
    char *config_path; /* of config.json, for messages */
    struct ptqi_json_document *document;
    const struct ptqi_json *config; /* config.json */
    ptq_store *store;
    struct tensor_place *places; /* [tensors of the store], filled in by the model */
    struct unused unused;        /* what has no use, and no influence */
};

ptq_status checkpoint_open(ptq_context *context, const char *directory,
                           struct checkpoint **checkpoint);
void checkpoint_free(struct checkpoint *c);
/* The path of a file in the directory; allocated. */
char *checkpoint_file(const struct checkpoint *c, const char *name);

/* Files that are copied along where they are there: name number i, NULL behind the last. */
const char *checkpoint_companion(int i);

#endif
