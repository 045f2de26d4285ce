/*
 * The directory that ptq quantize writes. While it works everything is in "<OUT>.partial"
 * (workdir.h), a file for every finished block. At the end all goes into one model.safetensors, and
 * the directory takes its name.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "checkpoint/workdir.h"
#include "model/model.h"

struct output {
    ptq_context *context;
    struct workdir *workdir;
    int64_t finished; /* blocks whose files are there, counted from the first */
};

/* What could go wrong at the beginning or at the end, before any work; nothing is written. */
ptq_status output_check(const struct model *m, const char *path, int resume);
/* Makes the partial directory, or, with resume, finds what is done. description [text] identifies
 * the run. OUT itself must not exist. */
ptq_status output_begin(ptq_context *context, const char *path, const char *description, int resume,
                        int64_t blocks, struct output **output);

/* The file of a block that is being written. */
struct part {
    ptq_store *store;
    ptq_tensor **vectors; /* norms and biases, as they are after folding */
    int64_t count, capacity;
};

/* Starts the file of a block: all its tensors that quantizing leaves as they are. part_free always. */
ptq_status part_create(const struct output *o, const struct model *m, int64_t block,
                       struct part *part);
/* Adds norms and biases of a block as they are now, after folding, each in its own dtype. */
ptq_status part_add_vectors(const struct output *o, const struct model *model,
                            const struct block *b, struct part *part);
void part_free(const struct output *o, struct part *part);
/* Opens the file of a finished block. */
ptq_status output_open_part(const struct output *o, int64_t block, ptq_store **part);

/* Puts everything together; config is the text of config.json. *bytes is the size of the model. */
ptq_status output_finish(struct output *o, const struct model *m, const char *config,
                         int64_t *bytes);
/* Removes a directory that output_finish made, and what is in it by its hand. */
void output_remove(ptq_context *context, const char *path);
/* Ends the work. keep: leave finished blocks for --resume, if there are any. Returns 1 where they
 * were left. */
int output_free(struct output *o, int keep);

#endif
