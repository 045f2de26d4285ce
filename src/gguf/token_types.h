/* The embedding and the head in types of GGUF. */
#ifndef GGUF_TOKEN_TYPES_H
#define GGUF_TOKEN_TYPES_H

#include "model/model.h"

/* Rounds one of them to nearest, so that it fits Q4_0, Q5_0, Q6_K or Q8_0 (bits 4, 5, 6 or 8). Q6_K
 * needs rows of whole blocks of 256 columns; other rows get Q8_0, as in llama.cpp. */
ptq_status token_type_quantize(const struct model *m, int64_t bits, const ptq_tensor *weights,
                               ptq_qtensor **q);

#endif
