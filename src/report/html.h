/*
 * HTML in a growing text. Errors are sticky: check status once, at the end.
 */
#ifndef HTML_H
#define HTML_H

#include "base/context.h"

struct html {
    ptq_context *context;
    char *text;
    int64_t length, capacity;
    ptq_status status;
};

void html_begin(struct html *h, ptq_context *context);
void html_end(struct html *h); /* frees the text */
/* Appends markup verbatim: from this program, never from data. */
void html_put(struct html *h, const char *markup);
/* The same, with numbers inserted. */
void html_print(struct html *h, const char *format, ...) PTQI_PRINTF(2, 3);
/* Appends text from data, safe inside elements and quoted attributes: escaped, valid UTF-8, and
 * without invisible control and direction characters. NULL gives a dash. */
void html_text(struct html *h, const char *text);
/* At most limit characters of it, the last an ellipsis if it was longer. */
void html_text_short(struct html *h, const char *text, int characters);
/* The number of characters that html_text_short writes. */
int html_text_length(const char *text, int characters);
/* A number for a table column; a dash for NaN and infinity. */
void html_fixed(struct html *h, double value, int decimals);
/* A finite nonzero number as digits times a power of ten. */
void html_power(struct html *h, double value, int digits);
/* An error with two significant digits; a dash for NaN and infinity. */
void html_error(struct html *h, double value);

#define DASH "\xe2\x80\x93"

#endif
