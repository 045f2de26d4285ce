/* The tokens of a model, as GGUF lists them: in the order of their ids. */
#ifndef GGUF_TOKEN_LIST_H
#define GGUF_TOKEN_LIST_H

#include "base/table.h"
#include "gguf/pairs.h"
#include "gguf/tokenizer_files.h"

/* Values of tokenizer.ggml.token_type. */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6
};

struct vocabulary_token {
    char *text; /* UTF-8, zero-terminated */
    double score;
    enum token_type type;
};

struct gguf_vocabulary {
    ptq_context *context;
    int64_t count;                   /* as many as the model has; ids without a token are unused */
    struct vocabulary_token *tokens; /* [count] */
};

/* Ids without a token are "[PAD7]". Always call vocabulary_end. */
ptq_status vocabulary_begin(ptq_context *context, int64_t count, double pad_score,
                            struct gguf_vocabulary *v);
void vocabulary_end(struct gguf_vocabulary *v);
/* Ids from count on are ignored, as the model cannot produce them. */
ptq_status vocabulary_set(struct gguf_vocabulary *v, int64_t id, const char *text, double score,
                          enum token_type type);
/* The same for a member of an object, whose name is the text. */
ptq_status vocabulary_set_member(struct gguf_vocabulary *v, int64_t id,
                                 const struct ptqi_json *member, double score,
                                 enum token_type type);
/* A token that text is searched for before anything else: "added_tokens" of tokenizer.json or
 * "added_tokens_decoder" of tokenizer_config.json. */
ptq_status vocabulary_set_added(struct gguf_vocabulary *v, int64_t id,
                                const struct ptqi_json *token, double score);

/* Finds tokens by text. */
struct token_lookup {
    const struct gguf_vocabulary *v;
    struct ptqi_table table;
};

/* Always call token_lookup_end. token_lookup_fill comes after the last vocabulary_set. */
void token_lookup_begin(const struct gguf_vocabulary *v, struct token_lookup *l);
void token_lookup_end(struct token_lookup *l);
ptq_status token_lookup_fill(struct token_lookup *l);
/* The id, or -1. */
int64_t token_lookup_find(const struct token_lookup *l, const char *text, int64_t length);

/* Whether an element of "merges" is "a b", or ["a", "b"]. */
int token_merge_is_pair(const struct ptqi_json *merge);
/* Writes tokens and types, and scores if they matter. */
void vocabulary_put(const struct gguf_vocabulary *v, int scores, struct gguf_pairs *p);

#endif
