/* The keys of metadata, and what they are called in config.json. */
#ifndef GGUF_KEYS_H
#define GGUF_KEYS_H

#include "base/json.h"
#include "model/gguf_metadata.h"

/* Sets of architectures. */
enum {
    GGUF_LLAMA = 1,
    GGUF_QWEN2 = 2,
    GGUF_QWEN3 = 4,
    GGUF_QWEN3MOE = 8,
    GGUF_GEMMA2 = 16,
    GGUF_GEMMA3 = 32,
    GGUF_PHI3 = 64,
    GGUF_GPT2 = 128,
    GGUF_BLOOM = 256,
    GGUF_GEMMA = GGUF_GEMMA2 | GGUF_GEMMA3,
    GGUF_LAYER_NORM = GGUF_GPT2 | GGUF_BLOOM,
    GGUF_ROTARY = GGUF_LLAMA | GGUF_QWEN2 | GGUF_QWEN3 | GGUF_QWEN3MOE | GGUF_GEMMA | GGUF_PHI3,
    GGUF_EXPERTS = GGUF_LLAMA | GGUF_QWEN3MOE,
    GGUF_ALL = GGUF_ROTARY | GGUF_LAYER_NORM
};

/* The architecture with this name: its set, and model_type of config.json; 0 for none. */
int gguf_architecture_set(const char *name, const char **type);
/* Writes the members that keys translate to. A key of the architecture that is not known, or has a
 * value that is not supported, is refused. */
ptq_status gguf_write_members(const struct gguf_metadata *m, int architecture,
                              struct ptqi_json_writer *w);
/* What Gemma's queries are divided by the square root of, which GGUF does not store. As in
 * llama.cpp, only the models of 27 B parameters have another number than the width of a head. */
int64_t gguf_query_scalar(int architecture, int64_t blocks, int64_t hidden, int64_t heads,
                          int64_t head_dim);

#endif
