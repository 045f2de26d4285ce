/* The chat templates of a tokenizer. */
#ifndef GGUF_CHAT_TEMPLATES_H
#define GGUF_CHAT_TEMPLATES_H

#include "gguf/pairs.h"
#include "gguf/tokenizer_files.h"

ptq_status chat_templates_put(const struct tokenizer_files *files, struct gguf_pairs *p);

#endif
