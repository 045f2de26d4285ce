/*
 * Messages as transformers gives them to a template.
 */
#ifndef CHAT_CONVERSATION_H
#define CHAT_CONVERSATION_H

#include "base/json.h"

/* A copy of the list of messages and its objects. What they contain is that of the original. */
struct conversation {
    struct ptqi_json *nodes; /* the list first */
};

/*
 * Members that are null are left out, and the reasoning of a message, which has three names, gets
 * the two that templates read. Fails if the list is empty or has anything else than objects.
 */
ptq_status conversation_begin(ptq_context *context, const struct ptqi_json *messages,
                              struct conversation *c);
void conversation_free(ptq_context *context, struct conversation *c);

/* The JSON text of a conversation with an optional system message and a user's message, in a writer
 * that is already begun. */
ptq_status conversation_write(struct ptqi_json_writer *w, const char *system, const char *user);

#endif
