/* Parsing matrix names: "model.layers.3.self_attn.q_proj". */
#ifndef MATRIX_NAME_H
#define MATRIX_NAME_H

#include <stdint.h>

/* The part of a matrix's name after the layer number, and that number; NULL if there is none. */
const char *matrix_in_block(const char *name, int64_t *block);
/* The index of a matrix among the kinds, such as "self_attn.q_proj"; -1: none. *block is as above.
 * The same matrix of all experts, "mlp.experts.3.up_proj", is one kind. */
int matrix_kind(const char *const *kinds, int count, const char *name, int64_t *block);
/* The part after the last dot. */
const char *matrix_last_part(const char *name);

#endif
