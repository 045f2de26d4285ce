/* The ids of special tokens, and which of them a text begins and ends with. */
#ifndef GGUF_SPECIAL_TOKENS_H
#define GGUF_SPECIAL_TOKENS_H

#include "gguf/pairs.h"
#include "gguf/tokenizer_files.h"

/* never_begins: the BOS token is not put before a text, whatever the files say. */
void special_tokens_put(const struct tokenizer_files *files, int64_t vocabulary, int never_begins,
                        struct gguf_pairs *p);

#endif
