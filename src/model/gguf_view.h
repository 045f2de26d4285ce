/*
 * The tensors of a GGUF file as those of the Hugging Face checkpoint that the model is read from:
 * under their names, with their rows in order, experts apart.
 */
#ifndef GGUF_VIEW_H
#define GGUF_VIEW_H

#include "model/model.h"

/* Sets the config of a checkpoint that is a GGUF file. */
ptq_status gguf_open_config(struct checkpoint *c);
/* Replaces the store of the model's checkpoint, a GGUF file whose config has been read. */
ptq_status gguf_open_tensors(struct model *m);

#endif
