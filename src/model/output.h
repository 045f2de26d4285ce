/*
 * The directory that ptq quantize writes. While it works everything is in "<OUT>.partial": a file
 * for every finished block, and a description of the run, by which --resume knows that it goes on
 * with the same work. At the end all goes into one model.safetensors, and the directory takes its
 * name.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "model/model.h"
#include "text/windows.h"

struct output {
    ptq_context *context;
    char *path, *partial;
    int64_t finished; /* blocks whose files are there, counted from the first */
};

/* Makes the partial directory, or, with resume, finds what is done. description [text] identifies
 * the run. OUT itself must not exist. */
ptq_status output_begin(ptq_context *context, const char *path, const char *description, int resume,
                        int64_t blocks, struct output **output);
/* Starts the file of a block: all its tensors that quantizing leaves as they are. */
ptq_status output_create_part(const struct output *o, const struct model *m, int64_t block,
                              ptq_tensor ***tensors, int64_t *count, ptq_store **part);
/* Adds norms and biases of a block as they are now, after folding, to its file. */
ptq_status output_add_vectors(const struct output *o, const struct model *model,
                              const struct block *b, ptq_tensor ***tensors, int64_t *count,
                              ptq_store *part);
/* Opens the file of a finished block. */
ptq_status output_open_part(const struct output *o, int64_t block, ptq_store **part);
/* Puts everything together; config is the text of config.json. *bytes is the size of the model. */
ptq_status output_finish(struct output *o, const struct model *m, const char *config,
                         int64_t *bytes);
/* Removes a directory that output_finish made, and what is in it by its hand. */
void output_remove(ptq_context *context, const char *path);
/* Forgets the run. keep: leave finished blocks for --resume, if there are any. Returns 1 where they
 * were left. */
int output_free(struct output *o, int keep);

#endif
