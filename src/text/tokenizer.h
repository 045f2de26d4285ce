/*
 * Byte-level BPE tokenizers as Hugging Face's `tokenizers` library stores them in tokenizer.json:
 * GPT-2, Llama 3, BLOOM, SmolLM and their kin.
 *
 * The ids are those of the library's encode(text, add_special_tokens=False): added tokens are found
 * in the text, and nothing is put around it. What a file asks for and this code does not do is
 * refused when the file is loaded, so that a tokenizer that loads gives the right ids. Truncation
 * and padding that a file may ask for concern batches and are ignored.
 *
 * A tokenizer does not change once it is loaded: any number of threads may use one at a time.
 */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/context.h"

struct tokenizer;

/* Reads the tokenizer.json at path. */
ptq_status tokenizer_load(ptq_context *context, const char *path, struct tokenizer **out);
/* NULL is fine. */
void tokenizer_free(struct tokenizer *tokenizer);

/* The largest id + 1. */
int64_t tokenizer_vocabulary(const struct tokenizer *tokenizer);

/*
 * The ids of length bytes of text; the caller frees *ids with ptqi_free. Where text is not valid
 * UTF-8, every longest sequence of bytes that starts a character without completing it, and every
 * other byte that cannot stand where it stands, counts as one U+FFFD. That is what Python's
 * decode("utf-8", errors="replace") makes of it.
 */
ptq_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, int64_t length,
                            int32_t **ids, int64_t *count);

/*
 * The bytes that ids stand for, with a zero byte behind them; the caller frees *text with
 * ptqi_free. Special tokens are written as they are spelled, ids that no token has are skipped. The
 * bytes are not valid UTF-8 where ids holds only a part of a character.
 */
ptq_status tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, int64_t count,
                            char **text, int64_t *length);

#endif
