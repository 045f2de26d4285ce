/*
 * Texts to calibrate and evaluate on, as ids.
 *
 * A file is plain text, unless its name ends in .jsonl: then each line is a JSON object, either
 * {"messages": [...]}, a conversation in the form of the model's chat template, or {"text": "..."}.
 * Each line is encoded by itself, and their ids follow each other.
 */
#ifndef CORPUS_H
#define CORPUS_H

#include "ptq/context.h"

/* Encodes a file with the tokenizer, and the chat template if it is needed, of a model directory.
 * The caller frees *ids with ptqi_free. */
ptq_status corpus_encode(ptq_context *context, const char *model, const char *path, int32_t **ids,
                         int64_t *count);

#endif
