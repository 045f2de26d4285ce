/*
 * The chat template of a model: for each architecture a template in its manner, and conversations,
 * against what transformers makes of them (test/data/chat.json, recorded by make_chat.py).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/context.h"
#include "base/file.h"
#include "chat/chat_template.h"
#include "chat/conversation.h"
#include "test.h"

/* A model directory with a template and special tokens, both as transformers writes them. */
static int write_model(const struct ptqi_json *model, const struct ptqi_json *tokens,
                       const char **directory)
{
    ptq_context *context = test_context();
    char name[64];
    struct ptqi_json_writer w;
    const struct ptqi_json *source = ptqi_json_get(model, "template");
    snprintf(name, sizeof name, "chat-%s", ptqi_json_string(ptqi_json_get(model, "name")));
    *directory = test_scratch(name);
    mkdir(*directory, 0777);
    char *template = ptqi_join_path(context, *directory, "chat_template.jinja");
    char *config = ptqi_join_path(context, *directory, "tokenizer_config.json");
    ptqi_json_begin(&w, context);
    ptqi_json_add_value(&w, NULL, tokens);
    int written = CHECK_OK(ptqi_json_finish(&w)) &&
                  CHECK_OK(ptqi_write_file(context, config, w.text, w.length)) &&
                  CHECK_OK(ptqi_write_file(context, template, source->text, source->length));
    ptqi_json_end(&w);
    ptqi_free(context, template);
    ptqi_free(context, config);
    return written;
}

/* Whether the message is that of the template, if it has one of its own. */
static int message_is(const struct ptqi_json *error)
{
    static const char prefix[] = "chat template: ";
    char message[512];
    ptq_last_message(message, (int64_t)sizeof message);
    return !strncmp(message, prefix, sizeof prefix - 1) &&
           (!error->length || !strcmp(message + sizeof prefix - 1, error->text));
}

static int renders(const struct chat_template *t, const struct ptqi_json *conversation,
                   const struct ptqi_json *result)
{
    const struct ptqi_json *wanted = ptqi_json_get(result, "text");
    char *text;
    int64_t length;
    const ptq_status status =
        chat_template_render(t, ptqi_json_get(conversation, "messages"),
                             ptqi_json_flag(conversation, "prompt", 0), &text, &length);
    const int right =
        wanted ? !status && length == wanted->length && !memcmp(text, wanted->text, (size_t)length)
               : status && message_is(ptqi_json_get(result, "error"));
    if (!right)
        printf("    gives: %s\n    wanted: %s\n", text ? text : "an error",
               wanted ? wanted->text : "an error");
    ptqi_free(test_context(), text);
    return right;
}

static void check_model(const struct ptqi_json *root, const struct ptqi_json *model)
{
    const struct ptqi_json *conversation =
        ptqi_json_get(root, "conversations")->first; /* as many as results */
    const struct ptqi_json *result = ptqi_json_get(model, "results")->first;
    const char *directory;
    struct chat_template *t;
    if (!write_model(model, ptqi_json_get(root, "tokens"), &directory) ||
        !CHECK_OK(chat_template_load(test_context(), directory, &t)))
        return;
    for (; conversation && result; conversation = conversation->next, result = result->next)
        if (!CHECK(renders(t, conversation, result)))
            printf("    template of %s\n", directory);
    CHECK(!conversation && !result);
    chat_template_free(t);
}

/* The message of a user and a system may contain anything. */
static void written(void)
{
    struct ptqi_json_writer w;
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    ptqi_json_begin(&w, test_context());
    if (CHECK_OK(conversation_write(&w, "s\"", "u\\\n")) &&
        CHECK_OK(ptqi_json_parse(test_context(), w.text, w.length, "messages", &document, &root))) {
        CHECK_EQ(root->count, 2);
        CHECK(!strcmp(ptqi_json_string(ptqi_json_get(root->first, "role")), "system"));
        CHECK(!strcmp(ptqi_json_string(ptqi_json_get(root->first, "content")), "s\""));
        CHECK(!strcmp(ptqi_json_string(ptqi_json_get(root->first->next, "content")), "u\\\n"));
        ptqi_json_free(document);
    }
    ptqi_json_end(&w);
}

/* Every allocation may fail. */
static void out_of_memory(const struct ptqi_json *root)
{
    const struct ptqi_json *model = ptqi_json_get(root, "models")->first;
    const struct ptqi_json *messages =
        ptqi_json_get(ptqi_json_get(root, "conversations")->first, "messages");
    const char *directory;
    if (!write_model(model, ptqi_json_get(root, "tokens"), &directory))
        return;
    for (int64_t fail_at = 1, done = 0; !done; fail_at++) {
        ptq_context *context = test_failing_context(fail_at);
        struct chat_template *t = NULL;
        char *text = NULL;
        int64_t length;
        if (context) {
            ptq_status status = chat_template_load(context, directory, &t);
            if (!status)
                status = chat_template_render(t, messages, 1, &text, &length);
            CHECK(status == PTQ_ERROR_MEMORY || (!status && text));
            done = status != PTQ_ERROR_MEMORY;
            ptqi_free(context, text);
            chat_template_free(t);
        }
        test_free_failing(context);
    }
}

void test_chat(void);
void test_chat(void)
{
    struct ptqi_map file;
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *root = NULL;
    if (!CHECK_OK(ptqi_map_file(test_context(), test_data("chat.json"), &file)))
        return;
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1); /* as in make_chat.py */
    if (CHECK_OK(ptqi_json_parse(test_context(), (const char *)file.data, file.size, "chat.json",
                                 &document, &root))) {
        const struct ptqi_json *models = ptqi_json_get(root, "models");
        for (const struct ptqi_json *m = models->first; m; m = m->next)
            check_model(root, m);
        out_of_memory(root);
    }
    written();
    ptqi_json_free(document);
    ptqi_unmap_file(&file);
}
