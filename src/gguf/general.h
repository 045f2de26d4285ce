/* What a GGUF file says of itself: the keys general.*. */
#ifndef GGUF_GENERAL_H
#define GGUF_GENERAL_H

#include "gguf/pairs.h"
#include "model/model.h"

/* Of a store that has all its tensors: their number gives the size of the model. */
ptq_status gguf_put_general(const struct model *m, struct gguf_pairs *p);
/* general.file_type, which names the type of most weights in blocks. before: its value in the file
 * that the model comes from, which is kept if it names the same type; NULL: there is none. */
void gguf_put_file_type(const char *before, struct gguf_pairs *p);

#endif
