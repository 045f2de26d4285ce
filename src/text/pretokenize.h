/*
 * The pre-tokenizer of a tokenizer.json: a chain of splits, each of which splits the pieces of the
 * previous one. The last is always ByteLevel.
 */
#ifndef TEXT_PRETOKENIZE_H
#define TEXT_PRETOKENIZE_H

#include "base/json.h"
#include "split.h"

#define PRETOKENIZE_STEPS 16

struct pretokenizer {
    struct {
        split_function *piece_end;
        int add_space; /* prepend a space to pieces that do not start with one */
    } steps[PRETOKENIZE_STEPS];
    int count;
};

/* Loads the value of "pre_tokenizer". Messages do not name the file. */
ptq_status pretokenizer_load(ptq_context *context, const struct ptqi_json *json,
                             struct pretokenizer *out);

#endif
