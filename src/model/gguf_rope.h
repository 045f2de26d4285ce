/* Scaling of rotary positions in GGUF files. */
#ifndef GGUF_ROPE_H
#define GGUF_ROPE_H

#include "base/json.h"
#include "model/gguf_metadata.h"

/* Writes rope_scaling, if there is any scaling, and partial_rotary_factor, if only a part of a head
 * is rotated. */
ptq_status gguf_write_rope(const struct gguf_metadata *m, int64_t head_dim,
                           struct ptqi_json_writer *w);
/* Whether a tensor holds factors of rotary positions, which are read from here. */
int gguf_is_rope_tensor(const char *name);

#endif
