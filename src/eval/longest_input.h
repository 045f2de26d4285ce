/* The longest input that an evaluation gives to a model. */
#ifndef LONGEST_INPUT_H
#define LONGEST_INPUT_H

#include "model/model.h"

/* Tokens of an input, as lm-evaluation-harness counts them (HFLM.max_length): what config.json
 * says, else model_max_length of tokenizer_config.json, else 2048. */
ptq_status longest_input(const struct model *m, int64_t *tokens);

#endif
