/*
 * The blocks in which GGUF stores quantized rows (ggml/src/ggml-common.h in llama.cpp's source
 * tree): codes, and a scale for each group, some also with minima or levels.
 */
#ifndef PTQI_GGUF_BLOCKS_H
#define PTQI_GGUF_BLOCKS_H

#include <stdint.h>

enum { PTQI_GGUF_VALUES = 256, PTQI_GGUF_GROUPS = 16 }; /* in a block, at most */

/* What a block says. Weights are scale (code - 2^(bits-1)), scale code + minimum, or scale
 * level[code]. */
struct ptqi_gguf_block {
    uint8_t codes[PTQI_GGUF_VALUES];
    float scales[PTQI_GGUF_GROUPS], minima[PTQI_GGUF_GROUPS];
    /* Of a block of 256: what the scales, and the negated minima, are multiples of. */
    float super_scale, super_minimum;
};

struct ptqi_gguf_blocks {
    const char *name;   /* of the tensors' type: "Q4_K" */
    int32_t bits;       /* of a code */
    int32_t group;      /* columns with one scale */
    int32_t has_minima; /* or else zero points in the middle, or levels */
    const int8_t *levels;
    int32_t values, bytes; /* of a block */
    void (*unpack)(const uint8_t *bytes, struct ptqi_gguf_block *block);
};

/* NULL for a type that cannot be read. */
const struct ptqi_gguf_blocks *ptqi_gguf_blocks(const char *name);

#endif
