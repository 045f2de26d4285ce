/*
 * The tensors of a finished checkpoint: model.safetensors, or several files of limited size with an
 * index. Until the number of files is known, they are called shard-00001.safetensors and so on.
 */
#ifndef SHARDS_H
#define SHARDS_H

#include "base/json.h"
#include "checkpoint/workdir.h"
#include "ptq/ptq.h"

struct shards {
    ptq_context *context;
    const struct workdir *workdir;
    int64_t limit;        /* bytes of tensors in a file; a larger tensor has its own */
    const char *tag;      /* metadata "format" of every file, or NULL */
    ptq_store *store;     /* the file being filled */
    int64_t bytes, total; /* of its tensors, and of all */
    int64_t written;      /* sizes of the finished files */
    int count;            /* files begun */
    char **names;         /* of all tensors */
    int *files;           /* the file of each tensor, from 1 */
    int64_t tensors, capacity, file_capacity;
};

void shards_begin(struct shards *s, const struct workdir *workdir, int64_t limit, const char *tag);
/* Adds a tensor of a store open for reading; the data are mapped, not copied. */
ptq_status shards_add(struct shards *s, const ptq_store *from, const char *name);
/* Adds metadata to the file being filled. */
ptq_status shards_describe(struct shards *s, const char *key, const char *value);
/* Writes what is left, and names the files. */
ptq_status shards_finish(struct shards *s);
void shards_free(struct shards *s);
/* Whether a file may have this name, before or after its final one. */
int shards_owns(const char *name);
int shards_is_intermediate(const char *name);

#endif
