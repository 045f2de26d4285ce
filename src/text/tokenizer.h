/*
 * Tokenizers as stored in tokenizer.json by Hugging Face's `tokenizers` library: BPE, byte-level as
 * GPT-2's or in the way of SentencePiece as Llama 2's, and Unigram.
 *
 * The ids are those of the library's encode(text, add_special_tokens=False): added tokens are found
 * in the text, and nothing is added around it. A file that requires unsupported features is
 * rejected when it is loaded, so a tokenizer that loads gives the right ids. Truncation and padding
 * settings concern batches and are ignored.
 *
 * A tokenizer does not change after it is loaded: any number of threads may use it at once.
 */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/context.h"

struct tokenizer;

/* Loads the tokenizer.json at path; or that of a model directory, or of a GGUF file. */
ptq_status tokenizer_load(ptq_context *context, const char *path, struct tokenizer **out);
ptq_status tokenizer_load_model(ptq_context *context, const char *model, struct tokenizer **out);
/* NULL is allowed. */
void tokenizer_free(struct tokenizer *tokenizer);

/* The largest id, plus 1. */
int64_t tokenizer_vocabulary(const struct tokenizer *tokenizer);

/*
 * The ids of length bytes of text; the caller frees *ids with ptqi_free. If text is not valid
 * UTF-8, every maximal incomplete sequence, and every other invalid byte, counts as one U+FFFD, as
 * in Python's decode("utf-8", errors="replace").
 */
ptq_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, int64_t length,
                            int32_t **ids, int64_t *count);

/* The same with the tokens that the file's template puts around a text: encode(text). */
ptq_status tokenizer_encode_templated(const struct tokenizer *tokenizer, const char *text,
                                      int64_t length, int32_t **ids, int64_t *count);

/*
 * The bytes that ids represent, zero-terminated; the caller frees *text with ptqi_free. Special
 * tokens are written as spelled, unknown ids are skipped. The result is not valid UTF-8 if ids
 * contain only part of a character.
 */
ptq_status tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count,
                            char **text, int64_t *length);

#endif
