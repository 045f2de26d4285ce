/* A tokenizer as metadata of a GGUF file, as llama.cpp's converter writes it. */
#ifndef GGUF_TOKENIZER_KEYS_H
#define GGUF_TOKENIZER_KEYS_H

#include "gguf/pairs.h"
#include "model/model.h"

/* Fails, naming what llama.cpp cannot do. */
ptq_status gguf_put_tokenizer(const struct model *m, struct gguf_pairs *p);

#endif
