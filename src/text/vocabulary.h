/*
 * The tokens: from text to id for loading, from id to text for decoding. Texts are as in the file,
 * in the byte-level alphabet for the tokens of the model and plain for added tokens.
 */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/json.h"
#include "base/table.h"

struct token {
    const char *text;
    int32_t length, id;
    int in_model; /* in the vocabulary of the model */
    int added;    /* among the added tokens */
};

struct vocabulary {
    ptq_context *context;
    struct token *tokens;
    int64_t count;
    int64_t model_count;              /* those of the model come first */
    int64_t largest;                  /* largest id, -1 for none */
    struct ptqi_table by_text, by_id; /* items are indices in tokens */
    char *texts;
    int64_t texts_used;
};

/*
 * The tokens of "vocab", an object, with room for those of "added_tokens", an array or NULL. On
 * failure nothing needs to be freed, but may be. Messages do not name the file.
 */
ptq_status vocabulary_load(ptq_context *context, const struct ptqi_json *vocab,
                           const struct ptqi_json *added, struct vocabulary *v);
void vocabulary_free(struct vocabulary *v);

/* Adds the token that content, an element of "added_tokens", spells. */
ptq_status vocabulary_add(struct vocabulary *v, const struct ptqi_json *content, int32_t id,
                          struct token **out);
/* NULL where there is none. */
struct token *vocabulary_find(const struct vocabulary *v, const char *text, int64_t length);
const struct token *vocabulary_token(const struct vocabulary *v, int32_t id);
/* The id of a token of the model, -1 where there is none. */
int32_t vocabulary_id(const struct vocabulary *v, const char *text, int64_t length);

#endif
