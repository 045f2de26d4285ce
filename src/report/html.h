/*
 * HTML in a text that grows. Errors are sticky: write on, and look at status once, at the end.
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
/* Markup as it is: of this program, never of the data. */
void html_put(struct html *h, const char *markup);
/* The same, with numbers in it. */
void html_print(struct html *h, const char *format, ...) PTQI_PRINTF(2, 3);
/* Text of the data, fit for elements and quoted attributes: escaped, valid UTF-8, and without the
 * characters that nobody sees but that rule others. NULL gives a dash. */
void html_text(struct html *h, const char *text);
/* At most so many characters of it, the last an ellipsis where it was longer. */
void html_text_short(struct html *h, const char *text, int characters);
/* How many characters html_text_short writes. */
int html_text_length(const char *text, int characters);
/* A number for a column of numbers; a dash for NaN and infinity. */
void html_fixed(struct html *h, double value, int decimals);
/* A finite number that is not 0, times a power of ten. */
void html_power(struct html *h, double value, int digits);
/* An error measure in two significant digits; a dash for NaN and infinity. */
void html_error(struct html *h, double value);

#define DASH "\xe2\x80\x93"

#endif
