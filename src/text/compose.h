/*
 * Unicode's normalization forms NFC and NFD.
 */
#ifndef TEXT_COMPOSE_H
#define TEXT_COMPOSE_H

#include "base/table.h"
#include "buffer.h"

struct composer {
    ptq_context *context;
    struct ptqi_table pairs; /* two characters -> the one they are composed to */
};

/* May be freed even if it failed. */
ptq_status composer_begin(ptq_context *context, struct composer *c);
void composer_end(struct composer *c);

/* Appends the normalized form of valid UTF-8: NFC, or NFD if is_composed is 0. */
ptq_status composer_normalize(const struct composer *c, const char *text, int64_t length,
                              int is_composed, struct buffer *out);

#endif
