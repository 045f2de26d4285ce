/*
 * The tensors of a model in a GGUF file: under llama.cpp's names, with its order of rows, experts
 * stacked. Quantized matrices become blocks of the type that represents them exactly; others keep
 * their dtype. Vectors and routers are f32.
 */
#ifndef GGUF_TENSORS_H
#define GGUF_TENSORS_H

#include "gguf/gguf_forms.h"

/* Adds those of a block, which are read from a store (the checkpoint's, or a file of the block). */
ptq_status gguf_add_block(const struct model *m, const ptq_store *from, int64_t block,
                          ptq_store *to);
/* Adds those that belong to no block. factors: also those of rotary positions. */
ptq_status gguf_add_outside(const struct model *m, struct gguf_token_types types, int factors,
                            ptq_store *to);

#endif
