/*
 * The merges of a SentencePiece model, of which a GGUF file has only the scores: each way to make a
 * token of two others, the token with the largest score first, as transformers derives them.
 */
#ifndef TEXT_GGUF_MERGES_H
#define TEXT_GGUF_MERGES_H

#include "base/json.h"

/* Writes "merges" from arrays of texts and of as many scores. */
ptq_status gguf_write_merges(ptq_context *context, const struct ptqi_json *tokens,
                             const struct ptqi_json *scores, struct ptqi_json_writer *w);

#endif
