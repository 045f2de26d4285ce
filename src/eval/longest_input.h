/* The length of the longest input that an evaluation gives to a model. */
#ifndef LONGEST_INPUT_H
#define LONGEST_INPUT_H

#include "model/model.h"

/* The length in tokens, determined like HFLM.max_length of lm-evaluation-harness: from config.json,
 * else model_max_length in tokenizer_config.json, else 2048. */
ptq_status longest_input(const struct model *m, int64_t *tokens);

#endif
