/* Which type of GGUF represents a matrix exactly, and its rows in that type. */
#ifndef PTQI_GGUF_ENCODE_H
#define PTQI_GGUF_ENCODE_H

#include "format/gguf_blocks.h"
#include "qtensor.h"

/* The smallest type that represents q; NULL, and a sentence that says why, if none does. */
const struct ptqi_gguf_blocks *ptqi_gguf_choose(const ptq_qtensor *q, const char **problem);
/* The same for matrices that must have one type. */
const struct ptqi_gguf_blocks *ptqi_gguf_choose_shared(const ptq_qtensor *const *q, int64_t count,
                                                       const char **problem);
/* Writes row n in a type that represents q. */
void ptqi_gguf_encode_row(const ptq_qtensor *q, const struct ptqi_gguf_blocks *type, int64_t n,
                          uint8_t *bytes);

#endif
