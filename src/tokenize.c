/*
 * ptq tokenize: from text or conversations to ids, and back.
 */
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "chat/chat_template.h"
#include "commands.h"
#include "options.h"
#include "text/buffer.h"
#include "text/tokenizer.h"

static const char usage[] =
    "usage: ptq tokenize MODEL [--text FILE] [options]\n"
    "\n"
    "Prints the ids of a text, which is read from the standard input or a file, as a JSON list on\n"
    "one line. MODEL is a model directory, a GGUF file or a tokenizer.json.\n";

static const struct option table[] = {
    {"text", "FILE", "read this file, not the standard input"},
    {"lines", NULL, "every line is a text of its own"},
    {"template", NULL, "put the tokens around a text that the model's template has, such as <s>"},
    {"chat", NULL, "every line is a conversation, a JSON list of messages, for the chat template"},
    {"no-generation-prompt", NULL,
     "with --chat: end behind the messages, not where an answer begins"},
    {"render", NULL, "with --chat: print the text of each conversation, as a JSON string"},
    {"decode", NULL, "print the text of ids: a JSON list on each line; --lines: on one line each"},
    {"help", NULL, "print this text"},
    {NULL, NULL, NULL},
};

/* One run; lines are without their line feed. */
struct tokenize {
    ptq_context *context;
    struct tokenizer *tokenizer;
    struct chat_template *chat;
    int lines, template, prompts, renders;
    int64_t line; /* the number of the current one */
};

static ptq_status print_ids(struct tokenize *t, const char *text, int64_t length)
{
    int32_t *ids;
    int64_t count;
    ptq_status status = t->template
                            ? tokenizer_encode_templated(t->tokenizer, text, length, &ids, &count)
                            : tokenizer_encode(t->tokenizer, text, length, &ids, &count);
    if (status)
        return status;
    putchar('[');
    for (int64_t i = 0; i < count; i++)
        printf("%s%d", i ? ", " : "", (int)ids[i]);
    printf("]\n");
    ptqi_free(t->context, ids);
    return PTQ_OK;
}

static ptq_status read_ids(struct tokenize *t, const struct ptqi_json *list, int32_t *ids)
{
    int64_t count = 0, id;
    for (const struct ptqi_json *item = list->first; item; item = item->next) {
        if (!ptqi_json_integer(item, &id) || id < 0 || id > INT32_MAX)
            return ptqi_fail(t->context, PTQ_ERROR_FORMAT, "not a list of ids");
        ids[count++] = (int32_t)id;
    }
    return PTQ_OK;
}

static ptq_status print_text(struct tokenize *t, const struct ptqi_json *list)
{
    char *text = NULL;
    int64_t length;
    if (list->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(t->context, PTQ_ERROR_FORMAT, "not a list of ids");
    int32_t *ids = ptqi_alloc(t->context, list->count, (int64_t)sizeof *ids);
    ptq_status status = ids ? read_ids(t, list, ids) : PTQ_ERROR_MEMORY;
    if (!status)
        status = tokenizer_decode(t->tokenizer, ids, list->count, &text, &length);
    if (!status) {
        fwrite(text, 1, (size_t)length, stdout);
        if (t->lines)
            putchar('\n');
    }
    ptqi_free(t->context, text);
    ptqi_free(t->context, ids);
    return status;
}

/* Uses the JSON value on a line. */
static ptq_status use_json(struct tokenize *t, const char *text, int64_t length,
                           ptq_status (*use)(struct tokenize *t, const struct ptqi_json *value))
{
    struct ptqi_json_document *document;
    const struct ptqi_json *value;
    char where[40];
    snprintf(where, sizeof where, "line %lld", (long long)t->line);
    PTQI_TRY(ptqi_json_parse(t->context, text, length, where, &document, &value));
    const ptq_status status = use(t, value);
    ptqi_json_free(document);
    return status ? ptqi_fail_at(t->context, status, where) : PTQ_OK;
}

static ptq_status decode_line(struct tokenize *t, const char *text, int64_t length)
{
    return use_json(t, text, length, print_text);
}

static ptq_status print_rendered(struct tokenize *t, const char *text, int64_t length)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, t->context);
    ptqi_json_add_string(&w, NULL, text, length);
    const ptq_status status = ptqi_json_finish(&w);
    if (!status)
        printf("%s\n", w.text);
    ptqi_json_end(&w);
    return status;
}

static ptq_status print_conversation(struct tokenize *t, const struct ptqi_json *messages)
{
    char *text;
    int64_t length;
    PTQI_TRY(chat_template_render(t->chat, messages, t->prompts, &text, &length));
    const ptq_status status =
        t->renders ? print_rendered(t, text, length) : print_ids(t, text, length);
    ptqi_free(t->context, text);
    return status;
}

static ptq_status use_conversation(struct tokenize *t, const char *text, int64_t length)
{
    return use_json(t, text, length, print_conversation);
}

static ptq_status each_line(struct tokenize *t, const char *text, int64_t length,
                            ptq_status (*use)(struct tokenize *t, const char *text, int64_t length))
{
    for (const char *at = text, *end = text + length, *next; at < end; at = next) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        next = feed ? feed + 1 : end;
        t->line++;
        PTQI_TRY(use(t, at, (feed ? feed : end) - at));
    }
    return PTQ_OK;
}

static ptq_status run(struct tokenize *t, const struct options *o, const char *text, int64_t length)
{
    if (option_given(o, "decode"))
        return each_line(t, text, length, decode_line);
    if (t->chat)
        return each_line(t, text, length, use_conversation);
    return t->lines ? each_line(t, text, length, print_ids) : print_ids(t, text, length);
}

static ptq_status read_input(ptq_context *context, struct buffer *text)
{
    size_t count;
    do {
        PTQI_TRY(buffer_reserve(context, text, 65536));
        count = fread(text->bytes + text->length, 1, 65536, stdin);
        text->length += (int64_t)count;
    } while (count);
    return ferror(stdin) ? ptqi_fail_io(context, "standard input", "read") : PTQ_OK;
}

static ptq_status run_on_input(struct tokenize *t, const struct options *o)
{
    struct buffer text = {0};
    ptq_status status = read_input(t->context, &text);
    if (!status)
        status = run(t, o, text.bytes, text.length);
    buffer_free(t->context, &text);
    return status;
}

static ptq_status run_on_file(struct tokenize *t, const struct options *o, const char *path)
{
    struct ptqi_map file;
    PTQI_TRY(ptqi_map_file(t->context, path, &file));
    ptq_status status = run(t, o, (const char *)file.data, file.size);
    ptqi_unmap_file(&file);
    return status;
}

static ptq_status load(struct tokenize *t, const struct options *o)
{
    const char *const model = o->positional[0];
    const size_t length = strlen(model);
    if (option_given(o, "chat"))
        PTQI_TRY(chat_template_load(t->context, model, &t->chat));
    if (t->renders)
        return PTQ_OK;
    if (length > 5 && !strcmp(model + length - 5, ".json"))
        return tokenizer_load(t->context, model, &t->tokenizer);
    return tokenizer_load_model(t->context, model, &t->tokenizer);
}

int command_tokenize(int argc, char **argv)
{
    struct options o;
    struct tokenize t = {0};
    int rc = options_parse(&o, "tokenize", usage, table, argc, argv);
    if (rc)
        return rc;
    const char *file = option_text(&o, "text");
    t.lines = option_given(&o, "lines");
    t.template = option_given(&o, "template");
    t.prompts = !option_given(&o, "no-generation-prompt");
    t.renders = option_given(&o, "render");
    if (o.positional_count != 1)
        return usage_error(&o, "needs a model or a tokenizer.json");
    if (t.template && option_given(&o, "decode"))
        return usage_error(&o, "--template is not for --decode");
    if (option_given(&o, "chat") && (t.template || option_given(&o, "decode")))
        return usage_error(&o, "--chat goes with neither --template nor --decode");
    if (!option_given(&o, "chat") && (t.renders || !t.prompts))
        return usage_error(&o, "--render and --no-generation-prompt need --chat");
    rc = options_context(&o, &t.context);
    if (!rc) {
        ptq_status status = load(&t, &o);
        if (!status)
            status = file ? run_on_file(&t, &o, file) : run_on_input(&t, &o);
        rc = status ? report_failure(status) : 0;
    }
    chat_template_free(t.chat);
    tokenizer_free(t.tokenizer);
    ptq_context_free(t.context);
    return rc;
}
