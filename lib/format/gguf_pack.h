/* Makes the blocks of gguf_blocks.h. */
#ifndef PTQI_GGUF_PACK_H
#define PTQI_GGUF_PACK_H

#include "format/gguf_blocks.h"

/* What is stored in a block. */
struct ptqi_gguf_fields {
    uint8_t codes[PTQI_GGUF_VALUES];
    float d, m;                      /* exact in f16: scale, or super scale; m: of minima */
    int8_t scales[PTQI_GGUF_GROUPS]; /* K types: times d; IQ4_XS: these less 32 */
    int8_t minima[PTQI_GGUF_GROUPS]; /* times -m */
};

/* Writes the block of a type that ptqi_gguf_blocks knows by this name. */
void ptqi_gguf_pack(const struct ptqi_gguf_blocks *type, const struct ptqi_gguf_fields *fields,
                    uint8_t *bytes);

#endif
