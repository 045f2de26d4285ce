/* Factors of rotary positions, which GGUF has as tensors. */
#ifndef GGUF_ROPE_FACTORS_H
#define GGUF_ROPE_FACTORS_H

#include "model/model.h"

/* Adds them if the model's positions are scaled by llama3's rule or by longrope's lists. */
ptq_status gguf_add_rope_factors(const struct model *m, ptq_store *to);

#endif
