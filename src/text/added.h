/*
 * Added tokens: texts such as <|im_start|> that are found in the text as they are, before anything
 * else happens to it.
 */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H

#include "vocabulary.h"

struct added_token {
    const char *text; /* lives in the vocabulary */
    int32_t length, id;
    int normalized;     /* looked for in what the other tokens leave */
    int lstrip, rstrip; /* takes the white space before and behind it */
};

/* Tokens in the order of their bytes; those that start with byte b are first[b] .. first[b + 1]. */
struct added_set {
    const struct added_token *tokens;
    int64_t first[257];
};

struct added {
    struct added_token *tokens;
    struct added_set sets[2]; /* looked for one after the other: not normalized, normalized */
};

/*
 * From "added_tokens", an array or NULL. Puts them into the vocabulary, where they share the id of
 * the model's token of the same text if there is one. Messages do not name the file.
 */
ptq_status added_load(ptq_context *context, const struct ptqi_json *json,
                      struct vocabulary *vocabulary, struct added *added);
void added_free(ptq_context *context, struct added *added);

/* The leftmost token in the text, the longest of those that start there, and where; NULL for none.
 */
const struct added_token *added_find(const struct added_set *set, const char *at, const char *end,
                                     const char **where);

#endif
