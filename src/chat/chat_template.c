#include "chat/chat_template.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "chat/conversation.h"
#include "jinja/jinja.h"

/* The variables for special tokens, as transformers names them. */
static const char *const token_names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};
enum { TOKENS = sizeof token_names / sizeof *token_names };

/* A JSON file of the model; all zero if it does not exist. */
struct document {
    struct ptqi_map file;
    struct ptqi_json_document *json;
    const struct ptqi_json *root;
};

struct chat_template {
    ptq_context *context;
    struct document config, map; /* tokenizer_config.json, special_tokens_map.json */
    struct jinja_template *template;
};

static ptq_status open_document(ptq_context *context, const char *directory, const char *name,
                                struct document *d)
{
    char *path = ptqi_join_path(context, directory, name);
    if (!path)
        return PTQ_ERROR_MEMORY;
    ptq_status status = PTQ_OK;
    if (ptqi_file_exists(path)) {
        status = ptqi_map_file(context, path, &d->file);
        if (!status)
            status = ptqi_json_parse(context, (const char *)d->file.data, d->file.size, path,
                                     &d->json, &d->root);
    }
    ptqi_free(context, path);
    return status;
}

static void close_document(struct document *d)
{
    ptqi_json_free(d->json);
    if (d->file.data)
        ptqi_unmap_file(&d->file);
}

static ptq_status parse(struct chat_template *t, const char *text, int64_t length)
{
    const ptq_status status = jinja_parse(t->context, text, length, &t->template);
    return status ? ptqi_fail_at(t->context, status, "chat template") : PTQ_OK;
}

/* Parses chat_template.jinja, if there is one. */
static ptq_status parse_file(struct chat_template *t, const char *directory)
{
    char *path = ptqi_join_path(t->context, directory, "chat_template.jinja");
    struct ptqi_map file;
    if (!path)
        return PTQ_ERROR_MEMORY;
    ptq_status status = PTQ_OK;
    if (ptqi_file_exists(path)) {
        status = ptqi_map_file(t->context, path, &file);
        if (!status) {
            status = parse(t, (const char *)file.data, file.size);
            ptqi_unmap_file(&file);
        }
    }
    ptqi_free(t->context, path);
    return status;
}

/* Of several templates with names, the one named "default". */
static const struct ptqi_json *default_of(const struct ptqi_json *templates)
{
    for (const struct ptqi_json *m = templates->first; m; m = m->next) {
        const char *name = ptqi_json_string(ptqi_json_get(m, "name"));
        if (name && !strcmp(name, "default"))
            return ptqi_json_get(m, "template");
    }
    return NULL;
}

/* Parses the member "chat_template", if there is one. */
static ptq_status parse_member(struct chat_template *t, const struct ptqi_json *root)
{
    const struct ptqi_json *value = ptqi_json_get(root, "chat_template");
    if (!value || value->kind == PTQI_JSON_NULL)
        return PTQ_OK;
    if (value->kind == PTQI_JSON_ARRAY)
        value = default_of(value);
    if (!ptqi_json_string(value))
        return ptqi_fail(t->context, PTQ_ERROR_UNSUPPORTED,
                         "chat template: none of the model's templates is named \"default\"");
    return parse(t, value->text, value->length);
}

static ptq_status find_template(struct chat_template *t, const char *directory)
{
    struct document legacy = {0};
    PTQI_TRY(parse_file(t, directory));
    if (!t->template)
        PTQI_TRY(parse_member(t, t->config.root));
    if (t->template)
        return PTQ_OK;
    ptq_status status = open_document(t->context, directory, "chat_template.json", &legacy);
    if (!status)
        status = parse_member(t, legacy.root);
    close_document(&legacy);
    if (status || t->template)
        return status;
    return ptqi_fail(t->context, PTQ_ERROR_MISSING, "%s: the model has no chat template",
                     directory);
}

static ptq_status load(struct chat_template *t, const char *directory)
{
    PTQI_TRY(open_document(t->context, directory, "tokenizer_config.json", &t->config));
    PTQI_TRY(open_document(t->context, directory, "special_tokens_map.json", &t->map));
    return find_template(t, directory);
}

ptq_status chat_template_load(ptq_context *context, const char *directory,
                              struct chat_template **out)
{
    struct chat_template *t = ptqi_alloc_zero(context, 1, (int64_t)sizeof *t);
    *out = NULL;
    if (!t)
        return PTQ_ERROR_MEMORY;
    t->context = context;
    const ptq_status status = load(t, directory);
    if (status)
        chat_template_free(t);
    else
        *out = t;
    return status;
}

void chat_template_free(struct chat_template *t)
{
    if (!t)
        return;
    jinja_free(t->template);
    close_document(&t->config);
    close_document(&t->map);
    ptqi_free(t->context, t);
}

/* The text of a token: a string, or the content of an object. NULL if there is none. */
static const struct ptqi_json *token_text(const struct ptqi_json *root, const char *name)
{
    const struct ptqi_json *value = ptqi_json_get(root, name);
    if (value && value->kind == PTQI_JSON_OBJECT)
        value = ptqi_json_get(value, "content");
    return ptqi_json_string(value) ? value : NULL;
}

/* special_tokens_map.json counts only if tokenizer_config.json is so old that it does not list the
 * added tokens. */
static const struct ptqi_json *find_token(const struct chat_template *t, const char *name)
{
    const struct ptqi_json *token = NULL;
    if (!ptqi_json_get(t->config.root, "added_tokens_decoder"))
        token = token_text(t->map.root, name);
    return token ? token : token_text(t->config.root, name);
}

/* The time that strftime_now tells. As in other programs, SOURCE_DATE_EPOCH replaces it, so that a
 * result can be made again. */
static void tell_time(struct tm *now)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    const time_t seconds = epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
    memset(now, 0, sizeof *now);
    if (epoch)
        gmtime_r(&seconds, now);
    else
        localtime_r(&seconds, now);
}

static ptq_status render(const struct chat_template *t, const struct ptqi_json *messages,
                         int prompts, char **text, int64_t *length)
{
    const struct ptqi_json flag = {.kind = PTQI_JSON_BOOL, .number = prompts != 0};
    struct jinja_variable variables[4 + TOKENS] = {{"messages", messages},
                                                   {"tools", NULL},
                                                   {"documents", NULL},
                                                   {"add_generation_prompt", &flag}};
    struct tm now;
    int count = 4;
    for (int i = 0; i < TOKENS; i++) {
        const struct ptqi_json *token = find_token(t, token_names[i]);
        if (token)
            variables[count++] = (struct jinja_variable){token_names[i], token};
    }
    tell_time(&now);
    return jinja_render(t->template, variables, count, &now, text, length);
}

ptq_status chat_template_render(const struct chat_template *t, const struct ptqi_json *messages,
                                int prompts, char **text, int64_t *length)
{
    struct conversation c;
    *text = NULL;
    *length = 0;
    PTQI_TRY(conversation_begin(t->context, messages, &c));
    const ptq_status status = render(t, c.nodes, prompts, text, length);
    conversation_free(t->context, &c);
    return status ? ptqi_fail_at(t->context, status, "chat template") : PTQ_OK;
}
