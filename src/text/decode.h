/*
 * The decoder of a tokenizer.json: a chain of changes of the texts of tokens, which are then put
 * together.
 */
#ifndef TEXT_DECODE_H
#define TEXT_DECODE_H

#include "base/json.h"
#include "buffer.h"
#include "split.h"

#define DECODE_STEPS 16

struct decoder;
struct decode_step;

/* Texts behind each other in a buffer. */
struct text_list {
    struct buffer text;
    int64_t *ends;
    int64_t count, capacity;
};

typedef ptq_status decode_function(const struct decoder *d, const struct decode_step *step,
                                   const struct text_list *in, struct text_list *out);

struct decode_step {
    decode_function *apply;
    struct regex regex;
    struct buffer content;
    int64_t start, stop; /* the most characters that Strip removes */
    int keep_first;      /* whether Metaspace keeps the spaces of the first token */
};

struct decoder {
    ptq_context *context;
    struct decode_step steps[DECODE_STEPS];
    int count;
    int spaced; /* there is no decoder: a space between tokens */
};

/* Loads the value of "decoder"; without one the tokens of a byte-level tokenizer are bytes. d may
 * be freed even if this failed. Messages do not name the file. */
ptq_status decoder_load(ptq_context *context, const struct ptqi_json *json, int is_byte_level,
                        struct decoder *d);
void decoder_free(struct decoder *d);

ptq_status text_list_add(ptq_context *context, struct text_list *list, const char *text,
                         int64_t length);
void text_list_free(ptq_context *context, struct text_list *list);

/* Passes the texts of tokens through the decoder; the result is what is in list->text. other is
 * memory for it. */
ptq_status decode(const struct decoder *d, struct text_list *list, struct text_list *other);

#endif
