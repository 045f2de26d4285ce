/* The tokenizer of a GGUF file as a tokenizer.json, made from its metadata. */
#ifndef TEXT_GGUF_TOKENIZER_H
#define TEXT_GGUF_TOKENIZER_H

#include "base/json.h"
#include "ptq/store.h"

/* Writes it to w, which the caller frees with ptqi_json_end, on failure too. A tokenizer that is
 * not supported is refused by name. Messages do not name the file. */
ptq_status gguf_write_tokenizer(ptq_context *context, const ptq_store *store,
                                struct ptqi_json_writer *w);

#endif
