/*
 * A text as windows of token ids: tokenized once as a whole, and divided into windows that begin
 * every `stride` tokens, without overlap by default. A remainder shorter than a window is dropped.
 */
#ifndef WINDOWS_H
#define WINDOWS_H

#include "ptq/context.h"

struct windows {
    ptq_context *context;
    int32_t *ids;
    int64_t tokens;    /* in the whole text */
    int64_t length;    /* per window */
    int64_t stride;    /* from one window to the next */
    int64_t available; /* whole windows in the text */
    int64_t count;     /* windows chosen */
};

/* Encodes the file (corpus.h) with the tokenizer of a model directory. stride 0 is length. count is
 * set to limit, or to the number available if that is smaller or limit is 0. */
ptq_status windows_load(ptq_context *context, const char *model, const char *text, int64_t length,
                        int64_t stride, int64_t limit, struct windows *windows);
/* count windows of random ids below vocabulary: calibration without data (FPTQ, section 4.4). */
ptq_status windows_random(ptq_context *context, int64_t vocabulary, int64_t length, int64_t count,
                          uint64_t seed, struct windows *windows);
/* The ids of window i of count: the first windows, or evenly spread ones, window floor(i *
 * available / count). */
const int32_t *windows_first(const struct windows *windows, int64_t i);
const int32_t *windows_spread(const struct windows *windows, int64_t i);
void windows_free(struct windows *windows);

#endif
