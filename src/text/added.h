/*
 * Added tokens: texts such as <|im_start|> that are matched verbatim before any other processing.
 */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H

#include "vocabulary.h"

struct added_token {
    const char *text; /* owned by the vocabulary */
    int32_t length, id;
    int normalized;     /* searched for in the text between the other tokens */
    int lstrip, rstrip; /* includes the white space before and after it */
};

/* Tokens in byte order; those that start with byte b are first[b] .. first[b + 1]. */
struct added_set {
    const struct added_token *tokens;
    int64_t first[257];
};

struct added {
    struct added_token *tokens;
    struct added_set sets[2]; /* searched in this order: not normalized, normalized */
};

/*
 * Loads "added_tokens", an array or NULL. Adds the tokens to the vocabulary, where they share the
 * id of the model's token with the same text, if there is one. Messages do not name the file.
 */
ptq_status added_load(ptq_context *context, const struct ptqi_json *json,
                      struct vocabulary *vocabulary, struct added *added);
void added_free(ptq_context *context, struct added *added);

/* Finds the leftmost token in the text, the longest of those that start there, and its position;
 * NULL if there is none. */
const struct added_token *added_find(const struct added_set *set, const char *at, const char *end,
                                     const char **where);

#endif
