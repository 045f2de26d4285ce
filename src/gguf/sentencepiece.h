/*
 * tokenizer.model, the file of SentencePiece, from which the scores of tokens come: a message of
 * protocol buffers (sentencepiece_model.proto of google/sentencepiece),
 *
 *     repeated 1: piece { 1: text, 2: score (f32), 3: type }
 */
#ifndef GGUF_SENTENCEPIECE_H
#define GGUF_SENTENCEPIECE_H

#include "gguf/token_list.h"

/* Sets the tokens of a file of length bytes. */
ptq_status sentencepiece_read(struct gguf_vocabulary *v, const char *bytes, int64_t length);

#endif
