#include "gguf/tokenizer_files.h"
#include <string.h>
#include "base/context.h"
#include "base/file.h"

static const char *const names[TOKENIZER_FILES] = {
    [TOKENIZER_JSON] = "tokenizer.json",
    [TOKENIZER_CONFIG] = "tokenizer_config.json",
    [ADDED_TOKENS] = "added_tokens.json",
    [CHAT_TEMPLATE] = "chat_template.json",
};

ptq_status tokenizer_files_text(const struct tokenizer_files *files, const char *name, char **text,
                                int64_t *length)
{
    struct ptqi_map map;
    char *path = checkpoint_file(files->checkpoint, name);
    ptq_status status = path ? PTQ_OK : PTQ_ERROR_MEMORY;
    *text = NULL;
    *length = 0;
    if (!status && ptqi_file_exists(path)) {
        status = ptqi_map_file(files->context, path, &map);
        if (!status) {
            *length = map.size;
            *text = ptqi_copy_text(files->context, (const char *)map.data, map.size);
            ptqi_unmap_file(&map);
            status = *text ? PTQ_OK : PTQ_ERROR_MEMORY;
        }
    }
    ptqi_free(files->context, path);
    return status;
}

static ptq_status open_one(struct tokenizer_files *files, int i)
{
    char *text;
    int64_t length;
    PTQI_TRY(tokenizer_files_text(files, names[i], &text, &length));
    ptq_status status = PTQ_OK;
    if (text)
        status = ptqi_json_parse(files->context, text, length, names[i], &files->documents[i],
                                 &files->roots[i]);
    ptqi_free(files->context, text);
    return status ? ptqi_fail_at(files->context, status, files->checkpoint->path) : PTQ_OK;
}

ptq_status tokenizer_files_open(const struct checkpoint *c, struct tokenizer_files *files)
{
    memset(files, 0, sizeof *files);
    files->context = c->context;
    files->checkpoint = c;
    for (int i = 0; i < TOKENIZER_FILES; i++)
        PTQI_TRY(open_one(files, i));
    return PTQ_OK;
}

void tokenizer_files_close(struct tokenizer_files *files)
{
    for (int i = 0; i < TOKENIZER_FILES; i++)
        ptqi_json_free(files->documents[i]);
}
