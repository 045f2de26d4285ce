/* Writing a model as one GGUF file, from files of its blocks. */
#ifndef GGUF_GGUF_FILE_H
#define GGUF_GGUF_FILE_H

#include "checkpoint/output.h"
#include "model/model.h"

/* Checks, before any work, that llama.cpp can run the model. */
ptq_status gguf_file_check(const struct model *m);
/* Writes OUTPUT_FILE from the files of all blocks, which have GGUF's tensors, and makes it the
 * result. head_bits is as in gguf_add_outside. */
ptq_status gguf_file_finish(const struct model *m, struct output *o, int64_t head_bits,
                            int64_t *bytes);

#endif
