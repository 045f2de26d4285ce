/*
 * The pre-tokenizer of a tokenizer.json: a chain of steps, each of which changes or splits the
 * pieces of the previous one.
 */
#ifndef TEXT_PRETOKENIZE_H
#define TEXT_PRETOKENIZE_H

#include "buffer.h"
#include "split.h"

#define PRETOKENIZE_STEPS 24

enum pretokenize_kind {
    PRETOKENIZE_SPLIT,
    PRETOKENIZE_SPACE,     /* a space in front, unless there is one */
    PRETOKENIZE_METASPACE, /* a visible character for every space, and in front of the text */
    PRETOKENIZE_BYTES      /* from bytes to the byte-level alphabet */
};
enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER };

struct pretokenize_step {
    enum pretokenize_kind kind;
    struct split split;
    char replacement[4]; /* for a space */
    int replacement_length;
    enum prepend_scheme scheme;
};

struct pretokenizer {
    ptq_context *context;
    struct pretokenize_step steps[PRETOKENIZE_STEPS];
    int count;
};

/* Memory that is reused from text to text. Initially all zero. */
struct pretokenize_work {
    struct buffer changed[PRETOKENIZE_STEPS];
};

/* What is done with each piece, which is valid only during the call and not empty. */
typedef ptq_status piece_function(void *user, const char *piece, int64_t length);

/* Loads the value of "pre_tokenizer". p may be freed even if this failed. Messages do not name the
 * file. */
ptq_status pretokenizer_load(ptq_context *context, const struct ptqi_json *json,
                             struct pretokenizer *p);
void pretokenizer_free(struct pretokenizer *p);
/* Whether the pieces are in the byte-level alphabet. */
int pretokenizer_is_byte_level(const struct pretokenizer *p);

/* Passes each piece of valid UTF-8 on. is_first: the text is the beginning of the whole one. */
ptq_status pretokenize(const struct pretokenizer *p, struct pretokenize_work *work, const char *at,
                       const char *end, int is_first, piece_function *use, void *user);
void pretokenize_work_free(ptq_context *context, struct pretokenize_work *work);

#endif
