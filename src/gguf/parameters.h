/*
 * The sizes and constants of a model as metadata of a GGUF file, under the keys that llama.cpp's
 * converter writes for its architecture (conversion/ in llama.cpp's source tree).
 */
#ifndef GGUF_PARAMETERS_H
#define GGUF_PARAMETERS_H

#include "gguf/pairs.h"
#include "model/model.h"

/* Fails, naming it, if llama.cpp cannot compute something that the model does. */
ptq_status gguf_check_model(const struct model *m);
ptq_status gguf_put_parameters(const struct model *m, struct gguf_pairs *p);

#endif
