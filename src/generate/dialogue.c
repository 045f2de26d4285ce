#include "generate/dialogue.h"
#include "base/file.h"
#include "chat/chat_template.h"
#include "chat/conversation.h"
#include "text/tokenizer.h"

/* What the template writes is all of the prompt: the tokenizer puts nothing around it. */
static ptq_status encode(ptq_context *context, const struct tokenizer *tokenizer,
                         const struct chat_template *chat, const struct ptqi_json *messages,
                         int32_t **ids, int64_t *count)
{
    char *text;
    int64_t length;
    PTQI_TRY(chat_template_render(chat, messages, 1, &text, &length));
    const ptq_status status = tokenizer_encode(tokenizer, text, length, ids, count);
    ptqi_free(context, text);
    return status;
}

/* what: of the JSON text, for messages. */
static ptq_status encode_json(ptq_context *context, const struct tokenizer *tokenizer,
                              const char *directory, const char *text, int64_t length,
                              const char *what, int32_t **ids, int64_t *count)
{
    struct chat_template *chat = NULL;
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *messages;
    ptq_status status = ptqi_json_parse(context, text, length, what, &document, &messages);
    if (!status)
        status = chat_template_load(context, directory, &chat);
    if (!status)
        status = encode(context, tokenizer, chat, messages, ids, count);
    chat_template_free(chat);
    ptqi_json_free(document);
    return status;
}

ptq_status dialogue_encode(ptq_context *context, const struct tokenizer *tokenizer,
                           const char *directory, const char *system, const char *user,
                           int32_t **ids, int64_t *count)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, context);
    ptq_status status = conversation_write(&w, system, user);
    if (!status)
        status = encode_json(context, tokenizer, directory, w.text, w.length, "the messages", ids,
                             count);
    ptqi_json_end(&w);
    return status;
}

ptq_status dialogue_encode_file(ptq_context *context, const struct tokenizer *tokenizer,
                                const char *directory, const char *file, int32_t **ids,
                                int64_t *count)
{
    struct ptqi_map map;
    PTQI_TRY(ptqi_map_file(context, file, &map));
    const ptq_status status = encode_json(context, tokenizer, directory, (const char *)map.data,
                                          map.size, file, ids, count);
    ptqi_unmap_file(&map);
    return status;
}
