/*
 * What llama.cpp calls the tensors of a model in a GGUF file, and how it orders their rows; as in
 * conversion/ and gguf-py/gguf/tensor_mapping.py of its source tree.
 *
 * GGUF stores the weights of norms as they are applied: 1 is added where the architecture adds it
 * (norm_plus_one). Matrices are [N][K] even if the checkpoint has them as [K][N] (transposed). The
 * matrices of all experts of a block are one tensor, [experts][N][K], so they have one name. For
 * scaled rotary positions, llama3 and longrope, the converter adds tensors of factors, which no
 * tensor of a checkpoint corresponds to.
 */
#ifndef GGUF_NAMES_H
#define GGUF_NAMES_H

#include "model/model.h"

enum { MAX_GGUF_NAME = 64 }; /* as in ggml */

/* The name of an architecture, which is also the prefix of its metadata keys: "qwen3moe". NULL:
 * llama.cpp does not know it. */
const char *gguf_architecture(const struct model_config *c);
/* The name of a tensor of a block (-1: of none); 0 if GGUF has no place for it. */
int gguf_name_of(const struct model *m, int64_t block, const char *tensor,
                 char name[MAX_GGUF_NAME]);
/* The name of tensor i of the model's store. */
int gguf_name(const struct model *m, int64_t i, char name[MAX_GGUF_NAME]);
/* The row of a matrix (or of its bias) that GGUF has as row n. */
int64_t gguf_row(const struct model_config *c, enum role role, int64_t n);

#endif
