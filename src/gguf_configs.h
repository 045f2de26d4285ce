/*
 * The types of GGUF that a model can be quantized to, each with the settings of a quantizer whose
 * results it represents exactly; and which matrix gets which type.
 */
#ifndef GGUF_CONFIGS_H
#define GGUF_CONFIGS_H

#include "calibrate/calibrate.h"
#include "gguf/gguf_forms.h"
#include "options.h"

/* Type i of --gguf-type, "Q4_0"; NULL after the last. */
const char *gguf_type_name(int i);

struct gguf_configs;

/*
 * Changes config to that of the type of most matrices, and makes those of the others. Fails, before
 * any work, if a setting was given that the type does not have, or if a matrix has rows that no
 * type can represent.
 */
ptq_status gguf_configs_create(const struct options *o, const struct model *m, const char *type,
                               ptq_config *config, struct gguf_configs **configs);
const struct matrix_configs *gguf_configs_of(const struct gguf_configs *configs);
/* The type of most matrices, "Q4_K". */
const char *gguf_configs_main(const struct gguf_configs *configs);
void gguf_configs_free(struct gguf_configs *configs);

#endif
