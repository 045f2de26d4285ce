#include "chat/conversation.h"
#include <string.h>

/* The names that the reasoning of a message may have, the standard one first. */
static const char *const reasoning[] = {"reasoning_content", "thinking", "reasoning"};
enum { REASONING = sizeof reasoning / sizeof *reasoning, ALIASES = 2 };

/* Appends a copy of value, with this name, to the members of object. */
static void append(struct ptqi_json *object, struct ptqi_json **last, struct ptqi_json *node,
                   const struct ptqi_json *value, const char *name)
{
    *node = *value;
    node->next = NULL;
    node->name = name;
    node->name_length = name ? (int32_t)strlen(name) : 0;
    if (*last)
        (*last)->next = node;
    else
        object->first = node;
    *last = node;
    object->count++;
}

static int is_null(const struct ptqi_json *value)
{
    return !value || value->kind == PTQI_JSON_NULL;
}

static const struct ptqi_json *find_reasoning(const struct ptqi_json *message)
{
    for (int i = 0; i < REASONING; i++)
        if (!is_null(ptqi_json_get(message, reasoning[i])))
            return ptqi_json_get(message, reasoning[i]);
    return NULL;
}

/* Copies the members of a message to nodes, of which there are enough; returns the next free one.
 */
static struct ptqi_json *copy_members(const struct ptqi_json *message, struct ptqi_json *copy,
                                      struct ptqi_json *nodes)
{
    const struct ptqi_json *thought = find_reasoning(message);
    struct ptqi_json *last = NULL;
    int has_content = 0;
    copy->first = NULL;
    copy->count = 0;
    if (thought && is_null(ptqi_json_get(message, reasoning[1])))
        append(copy, &last, nodes++, thought, reasoning[1]);
    for (const struct ptqi_json *m = message->first; m; m = m->next) {
        if (is_null(m))
            continue;
        append(copy, &last, nodes++, m, m->name);
        last->name_length = m->name_length;
        has_content |= !strcmp(m->name, reasoning[0]);
    }
    if (thought && !has_content)
        append(copy, &last, nodes++, thought, reasoning[0]);
    return nodes;
}

static ptq_status count_nodes(ptq_context *context, const struct ptqi_json *messages,
                              int64_t *count)
{
    int64_t number = 0;
    *count = 1;
    if (messages->kind != PTQI_JSON_ARRAY || !messages->count)
        return ptqi_fail(context, PTQ_ERROR_FORMAT,
                         "a conversation is a list of at least one message");
    for (const struct ptqi_json *m = messages->first; m; m = m->next) {
        number++;
        if (m->kind != PTQI_JSON_OBJECT)
            return ptqi_fail(context, PTQ_ERROR_FORMAT,
                             "message %lld of the conversation is not an object",
                             (long long)number);
        *count += 1 + m->count + ALIASES;
    }
    return PTQ_OK;
}

ptq_status conversation_begin(ptq_context *context, const struct ptqi_json *messages,
                              struct conversation *c)
{
    struct ptqi_json *last = NULL, *next;
    int64_t count;
    c->nodes = NULL;
    PTQI_TRY(count_nodes(context, messages, &count));
    c->nodes = ptqi_alloc(context, count, (int64_t)sizeof *c->nodes);
    if (!c->nodes)
        return PTQ_ERROR_MEMORY;
    c->nodes[0] = (struct ptqi_json){.kind = PTQI_JSON_ARRAY};
    next = c->nodes + 1;
    for (const struct ptqi_json *m = messages->first; m; m = m->next) {
        struct ptqi_json *const copy = next++;
        append(c->nodes, &last, copy, m, NULL);
        next = copy_members(m, copy, next);
    }
    return PTQ_OK;
}

void conversation_free(ptq_context *context, struct conversation *c)
{
    ptqi_free(context, c->nodes);
}

static void write_message(struct ptqi_json_writer *w, const char *role, const char *content)
{
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "role", role);
    ptqi_json_add_text(w, "content", content);
    ptqi_json_close(w, '}');
}

ptq_status conversation_write(struct ptqi_json_writer *w, const char *system, const char *user)
{
    ptqi_json_open(w, NULL, '[');
    if (system)
        write_message(w, "system", system);
    write_message(w, "user", user);
    ptqi_json_close(w, ']');
    return ptqi_json_finish(w);
}
