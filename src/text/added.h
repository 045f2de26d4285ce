/*
 * Added tokens: texts such as <|im_start|> that are matched verbatim before any other processing.
 */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H

#include "normalize.h"
#include "vocabulary.h"

struct added_token {
    const char *text; /* owned by the vocabulary, or the same as own */
    char *own;        /* what the normalizer makes of the text */
    int32_t length, id;
    int normalized;     /* searched for in the normalized text between the other tokens */
    int lstrip, rstrip; /* includes the white space before and after it */
    int single_word;    /* not in or beside a word */
};

/* Tokens in byte order; those that start with byte b are first[b] .. first[b + 1]. */
struct added_set {
    const struct added_token *tokens;
    int64_t first[257];
};

struct added {
    struct added_token *tokens;
    int64_t count;
    struct added_set sets[2]; /* searched in this order: not normalized, normalized */
};

/*
 * Loads "added_tokens", an array or NULL. Adds the tokens to the vocabulary, where they share the
 * id of the model's token with the same text, if there is one. Messages do not name the file.
 */
ptq_status added_load(ptq_context *context, const struct ptqi_json *json,
                      const struct normalizer *normalizer, struct vocabulary *vocabulary,
                      struct added *added);
void added_free(ptq_context *context, struct added *added);

/* Where the search for the tokens of a set in a text has got to. Initially the text, which is valid
 * UTF-8, and its beginning as from and at. */
struct added_walk {
    const struct added_set *set;
    const char *begin, *end;
    const char *from;      /* what is before it has been returned */
    const char *at;        /* where the next token may start */
    const char *space_end; /* of the white space behind the last token with rstrip */
};

/* The next token; NULL if there is none. [*start, *stop) is what it covers, with white space if it
 * includes it; the text from *before to *start comes first. A token may cover nothing, if the white
 * space of the last one has covered all of it. */
const struct added_token *added_next(struct added_walk *walk, const char **before,
                                     const char **start, const char **stop);

#endif
