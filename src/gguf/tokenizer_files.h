/* The files beside a checkpoint that describe its tokenizer. */
#ifndef GGUF_TOKENIZER_FILES_H
#define GGUF_TOKENIZER_FILES_H

#include "base/json.h"
#include "checkpoint/checkpoint.h"

/* Those in JSON. */
enum tokenizer_file {
    TOKENIZER_JSON,
    TOKENIZER_CONFIG,
    ADDED_TOKENS,
    CHAT_TEMPLATE,
    TOKENIZER_FILES
};

struct tokenizer_files {
    ptq_context *context;
    const struct checkpoint *checkpoint;
    struct ptqi_json_document *documents[TOKENIZER_FILES];
    const struct ptqi_json *roots[TOKENIZER_FILES]; /* NULL: there is no such file */
};

/* Always call tokenizer_files_close. */
ptq_status tokenizer_files_open(const struct checkpoint *c, struct tokenizer_files *files);
void tokenizer_files_close(struct tokenizer_files *files);
/* A whole file as text of *length bytes with a zero behind it, which the caller frees; NULL if
 * there is none. */
ptq_status tokenizer_files_text(const struct tokenizer_files *files, const char *name, char **text,
                                int64_t *length);

#endif
