#include "corpus/corpus.h"
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "chat/chat_template.h"
#include "text/id_list.h"
#include "text/tokenizer.h"

struct corpus {
    ptq_context *context;
    const char *model, *path;
    struct tokenizer *tokenizer;
    struct chat_template *chat; /* loaded for the first conversation */
    struct id_list out;
};

static int is_lines(const char *path)
{
    static const char ending[] = ".jsonl";
    const size_t length = strlen(path), tail = sizeof ending - 1;
    return length > tail && !strcmp(path + length - tail, ending);
}

static ptq_status append_text(struct corpus *c, const char *text, int64_t length)
{
    int32_t *ids;
    int64_t count;
    PTQI_TRY(tokenizer_encode(c->tokenizer, text, length, &ids, &count));
    const ptq_status status =
        ptqi_grow(c->context, (void **)&c->out.ids, c->out.count, &c->out.capacity,
                  c->out.count + count, (int64_t)sizeof *ids);
    if (!status && count)
        memcpy(c->out.ids + c->out.count, ids, (size_t)count * sizeof *ids);
    if (!status)
        c->out.count += count;
    ptqi_free(c->context, ids);
    return status;
}

static ptq_status append_conversation(struct corpus *c, const struct ptqi_json *messages)
{
    char *text;
    int64_t length;
    if (!c->chat)
        PTQI_TRY(chat_template_load(c->context, c->model, &c->chat));
    PTQI_TRY(chat_template_render(c->chat, messages, 0, &text, &length));
    const ptq_status status = append_text(c, text, length);
    ptqi_free(c->context, text);
    return status;
}

/* What would change the text of a conversation. */
static ptq_status check_members(const struct corpus *c, const struct ptqi_json *line)
{
    static const char *const refused[] = {"tools", "documents", "chat_template",
                                          "chat_template_kwargs"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (ptqi_json_get(line, refused[i]))
            return ptqi_fail(c->context, PTQ_ERROR_UNSUPPORTED, "\"%s\" is not supported",
                             refused[i]);
    return PTQ_OK;
}

static ptq_status append_line(struct corpus *c, const struct ptqi_json *line)
{
    const struct ptqi_json *messages = ptqi_json_get(line, "messages");
    const struct ptqi_json *text = ptqi_json_get(line, "text");
    PTQI_TRY(check_members(c, line));
    if (!messages == !text || (text && !ptqi_json_string(text)))
        return ptqi_fail(c->context, PTQ_ERROR_FORMAT,
                         "needs either \"messages\" or \"text\", a string");
    return text ? append_text(c, text->text, text->length) : append_conversation(c, messages);
}

static ptq_status read_line(struct corpus *c, const char *text, int64_t length, const char *where)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *line;
    PTQI_TRY(ptqi_json_parse(c->context, text, length, where, &document, &line));
    const ptq_status status = append_line(c, line);
    ptqi_json_free(document);
    return status ? ptqi_fail_at(c->context, status, where) : PTQ_OK;
}

static ptq_status read_lines(struct corpus *c, const char *text, int64_t length)
{
    int64_t number = 0;
    char where[200];
    for (const char *at = text, *const end = text + length, *next; at < end; at = next) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        next = feed ? feed + 1 : end;
        snprintf(where, sizeof where, "%.150s: line %lld", c->path, (long long)++number);
        PTQI_TRY(read_line(c, at, (feed ? feed : end) - at, where));
    }
    return PTQ_OK;
}

static ptq_status read_file(struct corpus *c)
{
    struct ptqi_map file;
    PTQI_TRY(ptqi_map_file(c->context, c->path, &file));
    const char *const text = (const char *)file.data;
    const ptq_status status =
        is_lines(c->path) ? read_lines(c, text, file.size) : append_text(c, text, file.size);
    ptqi_unmap_file(&file);
    return status;
}

ptq_status corpus_encode(ptq_context *context, const char *model, const char *path, int32_t **ids,
                         int64_t *count)
{
    struct corpus c = {.context = context, .model = model, .path = path};
    ptq_status status = tokenizer_load_model(context, model, &c.tokenizer);
    if (!status)
        status = read_file(&c);
    tokenizer_free(c.tokenizer);
    chat_template_free(c.chat);
    if (status)
        ptqi_free(context, c.out.ids);
    *ids = status ? NULL : c.out.ids;
    *count = status ? 0 : c.out.count;
    return status;
}
