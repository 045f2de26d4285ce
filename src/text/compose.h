/*
 * Unicode's normalization forms: NFC, NFD, NFKC and NFKD.
 */
#ifndef TEXT_COMPOSE_H
#define TEXT_COMPOSE_H

#include "base/table.h"
#include "buffer.h"

struct composer {
    ptq_context *context;
    struct ptqi_table pairs; /* two characters -> the one they are composed to */
    struct ptqi_table texts; /* a character -> where the several are that NFKD makes of it */
};

/* May be freed even if it failed. */
ptq_status composer_begin(ptq_context *context, struct composer *c);
void composer_end(struct composer *c);

enum { FORM_COMPOSED = 1, FORM_COMPATIBLE = 2 }; /* NFC: composed, NFKD: compatible, NFKC: both */

/* Appends the normalized form of valid UTF-8. */
ptq_status composer_normalize(const struct composer *c, const char *text, int64_t length, int form,
                              struct buffer *out);

#endif
