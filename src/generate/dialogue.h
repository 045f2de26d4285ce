/* Conversations as the prompt of a generation. */
#ifndef DIALOGUE_H
#define DIALOGUE_H

#include "ptq/context.h"

struct tokenizer;

/*
 * The ids of a conversation in the form of the chat template in a model directory, up to where the
 * answer begins; the caller frees *ids with ptqi_free. The first function takes a user's message
 * and a system message, which may be NULL; the second a JSON file with a list of messages.
 */
ptq_status dialogue_encode(ptq_context *context, const struct tokenizer *tokenizer,
                           const char *directory, const char *system, const char *user,
                           int32_t **ids, int64_t *count);
ptq_status dialogue_encode_file(ptq_context *context, const struct tokenizer *tokenizer,
                                const char *directory, const char *file, int32_t **ids,
                                int64_t *count);

#endif
