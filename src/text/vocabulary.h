/*
 * The tokens: from text to id for loading, from id to text for decoding. Texts are as in the file:
 * model tokens in the byte-level alphabet, added tokens in plain text.
 */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/json.h"
#include "base/table.h"

struct token {
    const char *text;
    int32_t length, id;
    const char *shown; /* what it is decoded to; the text, or what the normalizer makes of it */
    int32_t shown_length;
    double score; /* of a model in which tokens have one */
    int in_model; /* in the vocabulary of the model */
    int added;    /* among the added tokens */
};

struct vocabulary {
    ptq_context *context;
    struct token *tokens;
    int64_t count;
    int64_t model_count;              /* the model's tokens come first */
    int64_t largest;                  /* largest id, -1 for none */
    struct ptqi_table by_text, by_id; /* items are indices in tokens */
    char *texts;
    int64_t texts_used;
};

/*
 * Loads the tokens of "vocab", an object of ids or a list of tokens with scores, and reserves space
 * for those of "added_tokens", an array or NULL. v may be freed on failure, but need not be.
 * Messages do not name the file.
 */
ptq_status vocabulary_load(ptq_context *context, const struct ptqi_json *vocab,
                           const struct ptqi_json *added, struct vocabulary *v);
void vocabulary_free(struct vocabulary *v);

/* Adds the token spelled by content, an element of "added_tokens". */
ptq_status vocabulary_add(struct vocabulary *v, const struct ptqi_json *content, int32_t id,
                          struct token **out);
/* NULL if there is none. */
struct token *vocabulary_find(const struct vocabulary *v, const char *text, int64_t length);
const struct token *vocabulary_token(const struct vocabulary *v, int32_t id);
/* The id of a token of the model, -1 if there is none. */
int32_t vocabulary_id(const struct vocabulary *v, const char *text, int64_t length);

#endif
