/* Writing a model as one GGUF file, from files of its blocks. */
#ifndef GGUF_GGUF_FILE_H
#define GGUF_GGUF_FILE_H

#include "checkpoint/output.h"
#include "gguf/gguf_forms.h"

/* Checks, before any work, that llama.cpp can run the model. */
ptq_status gguf_file_check(const struct model *m);
/* Writes OUTPUT_FILE from the files of all blocks, which have GGUF's tensors, and makes it the
 * result. */
ptq_status gguf_file_finish(const struct model *m, struct output *o, struct gguf_token_types types,
                            int64_t *bytes);

#endif
