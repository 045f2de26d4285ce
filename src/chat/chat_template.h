/*
 * The chat template of a model, and conversations in the form that it gives them: what
 * transformers' apply_chat_template does, without tools and documents.
 *
 * The template is in chat_template.jinja, else in tokenizer_config.json, else in
 * chat_template.json. It is given the special tokens that tokenizer_config.json and, as in
 * transformers, older special_tokens_map.json name.
 */
#ifndef CHAT_TEMPLATE_H
#define CHAT_TEMPLATE_H

#include "base/json.h"

struct chat_template;

/* Fails if the model directory has no template, or one that is not supported. */
ptq_status chat_template_load(ptq_context *context, const char *directory,
                              struct chat_template **out);
/* NULL is allowed. */
void chat_template_free(struct chat_template *t);

/*
 * The text of a conversation, a list of objects such as {"role": "user", "content": "..."}; the
 * caller frees *text with ptqi_free. prompts: whether it ends where an answer begins. Messages that
 * the template refuses give the template's own message.
 */
ptq_status chat_template_render(const struct chat_template *t, const struct ptqi_json *messages,
                                int prompts, char **text, int64_t *length);

#endif
