#include "gguf/chat_templates.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"

static const char key[] = "tokenizer.chat_template";

/* Templates end at a zero byte, so those that have one are refused. */
static void put_template(struct gguf_pairs *p, const char *name, const char *text, int64_t length)
{
    if (!p->status && strlen(text) != (size_t)length)
        p->status = ptqi_fail(p->context, PTQ_ERROR_UNSUPPORTED, "a chat template has a zero byte");
    gguf_put_text(p, name, text);
}

/* One of several templates: under its name, and "default" as the only one. */
static void put_named(const struct ptqi_json *item, struct ptqi_json_writer *names,
                      struct gguf_pairs *p)
{
    const char *name = ptqi_json_string(ptqi_json_get(item, "name"));
    const struct ptqi_json *text = ptqi_json_get(item, "template");
    char own[64], whole[sizeof key + sizeof own];
    if (!name || !ptqi_json_string(text))
        return;
    snprintf(own, sizeof own, "%s", name);
    for (char *c = own; *c; c++)
        *c = isalnum((unsigned char)*c) ? *c : '_';
    if (!strcmp(own, "default")) {
        put_template(p, key, text->text, text->length);
        return;
    }
    snprintf(whole, sizeof whole, "%s.%s", key, own);
    put_template(p, whole, text->text, text->length);
    ptqi_json_add_text(names, NULL, own);
}

static void put_list(ptq_context *context, const struct ptqi_json *list, struct gguf_pairs *p)
{
    struct ptqi_json_writer names;
    ptqi_json_begin(&names, context);
    ptqi_json_open(&names, NULL, '[');
    for (const struct ptqi_json *item = list->first; item; item = item->next)
        put_named(item, &names, p);
    ptqi_json_close(&names, ']');
    if (names.length > 2)
        gguf_put_array(p, "tokenizer.chat_templates", "arr[str]", &names);
    else
        ptqi_json_end(&names);
}

ptq_status chat_templates_put(const struct tokenizer_files *files, struct gguf_pairs *p)
{
    const struct ptqi_json *found = ptqi_json_get(files->roots[TOKENIZER_CONFIG], "chat_template");
    char *text = NULL;
    int64_t length = 0;
    if (!found)
        PTQI_TRY(tokenizer_files_text(files, "chat_template.jinja", &text, &length));
    if (!found && !text)
        found = ptqi_json_get(files->roots[CHAT_TEMPLATE], "chat_template");
    if (text)
        put_template(p, key, text, length);
    else if (ptqi_json_string(found))
        put_template(p, key, found->text, found->length);
    else if (found && found->kind == PTQI_JSON_ARRAY)
        put_list(files->context, found, p);
    ptqi_free(files->context, text);
    return p->status;
}
