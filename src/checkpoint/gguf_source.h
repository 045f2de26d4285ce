/*
 * The metadata of the GGUF file that a checkpoint comes from. A directory that was made from such a
 * file keeps them in metadata.gguf, so that they can be written again: with them the tensors that
 * no tensor of the checkpoint corresponds to, the factors of rotary positions.
 */
#ifndef GGUF_SOURCE_H
#define GGUF_SOURCE_H

#include "checkpoint/checkpoint.h"

#define GGUF_SOURCE_NAME "metadata.gguf"

/* Opens the file, or metadata.gguf of a directory; *source is NULL if there is none. */
ptq_status gguf_source_open(const struct checkpoint *c, ptq_store **source);
/* Copies the metadata and those tensors to a store being written, except one key, if it is not
 * NULL. */
ptq_status gguf_source_copy(const ptq_store *source, ptq_store *to, const char *except);

#endif
