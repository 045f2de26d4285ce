/*
 * The config.json of a model in a GGUF file, made from its metadata and the names of its tensors,
 * so that architectures are read as from a directory.
 */
#ifndef GGUF_CONFIG_H
#define GGUF_CONFIG_H

#include "base/json.h"
#include "ptq/ptq.h"

/* Writes it to w. Metadata that describe a model that is not supported are refused by name. */
ptq_status gguf_write_config(ptq_context *context, const ptq_store *store, const char *path,
                             struct ptqi_json_writer *w);

#endif
