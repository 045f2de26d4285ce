/* BPE in the way of SentencePiece, GGUF's tokenizer model "llama". */
#ifndef GGUF_SPACES_BPE_H
#define GGUF_SPACES_BPE_H

#include "gguf/pairs.h"
#include "gguf/tokenizer_files.h"

/* Whether tokenizer.json describes one. */
int spaces_bpe_is(const struct tokenizer_files *files);
ptq_status spaces_bpe_put(const struct tokenizer_files *files, int64_t vocabulary,
                          struct gguf_pairs *p);

#endif
