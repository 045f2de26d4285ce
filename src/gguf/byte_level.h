/* Byte-level BPE, GGUF's tokenizer model "gpt2". */
#ifndef GGUF_BYTE_LEVEL_H
#define GGUF_BYTE_LEVEL_H

#include "gguf/pairs.h"
#include "gguf/tokenizer_files.h"

ptq_status byte_level_put(const struct tokenizer_files *files, int64_t vocabulary,
                          struct gguf_pairs *p);

#endif
