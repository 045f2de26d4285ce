#include "report/html.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "text/unicode.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define ELLIPSIS "\xe2\x80\xa6"

void html_begin(struct html *h, ptq_context *context)
{
    memset(h, 0, sizeof *h);
    h->context = context;
}

void html_end(struct html *h)
{
    ptqi_free(h->context, h->text);
    h->text = NULL;
}

/* Reserves space for length more bytes and a zero. */
static int reserve(struct html *h, int64_t length)
{
    if (!h->status)
        h->status = ptqi_grow(h->context, (void **)&h->text, h->length, &h->capacity,
                              h->length + length + 1, 1);
    return !h->status;
}

static void append(struct html *h, const char *text, int64_t length)
{
    if (!reserve(h, length))
        return;
    memcpy(h->text + h->length, text, (size_t)length);
    h->length += length;
    h->text[h->length] = 0;
}

void html_put(struct html *h, const char *markup)
{
    append(h, markup, (int64_t)strlen(markup));
}

void html_print(struct html *h, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length >= 0 && reserve(h, length)) {
        vsnprintf(h->text + h->length, (size_t)length + 1, format, again);
        h->length += length;
    }
    va_end(again);
    va_end(arguments);
}

/* Control characters, and marks that change the text direction. */
static int is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || (c & 0xfffe) == 0xfffe;
}

static const char *escape_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static void append_character(struct html *h, const char *at, int length, int valid)
{
    const char *next = at, *escape = escape_of(*at);
    if (!valid || is_hidden(ptqi_utf8_next(&next)))
        html_put(h, REPLACEMENT);
    else if (escape)
        html_put(h, escape);
    else
        append(h, at, length);
}

void html_text(struct html *h, const char *text)
{
    int valid;
    if (!text) {
        html_put(h, DASH);
        return;
    }
    for (int64_t left = (int64_t)strlen(text); left > 0;) {
        int length = ptqi_utf8_sequence(text, left, &valid);
        append_character(h, text, length, valid);
        text += length;
        left -= length;
    }
}

/* The number of characters in text; limit + 1 if there are more than limit. */
static int count_characters(const char *text, int limit)
{
    int valid, count = 0;
    int64_t left = (int64_t)strlen(text);
    while (left > 0 && count <= limit) {
        int length = ptqi_utf8_sequence(text, left, &valid);
        text += length;
        left -= length;
        count++;
    }
    return count;
}

int html_text_length(const char *text, int characters)
{
    int count = count_characters(text, characters);
    return count > characters ? characters : count;
}

void html_text_short(struct html *h, const char *text, int characters)
{
    int valid;
    if (count_characters(text, characters) <= characters) {
        html_text(h, text);
        return;
    }
    int64_t left = (int64_t)strlen(text);
    for (int i = 0; i < characters - 1; i++) {
        int length = ptqi_utf8_sequence(text, left, &valid);
        append_character(h, text, length, valid);
        text += length;
        left -= length;
    }
    html_put(h, ELLIPSIS);
}

void html_fixed(struct html *h, double value, int decimals)
{
    if (!isfinite(value))
        html_put(h, DASH);
    else if (fabs(value) >= 1e9)
        html_power(h, value, 3);
    else
        html_print(h, "%.*f", decimals, value);
}

/* An exponent in Unicode superscript digits. */
static void put_exponent(struct html *h, int exponent)
{
    static const char *const digits[] = {
        "\xe2\x81\xb0", "\xc2\xb9",     "\xc2\xb2",     "\xc2\xb3",     "\xe2\x81\xb4",
        "\xe2\x81\xb5", "\xe2\x81\xb6", "\xe2\x81\xb7", "\xe2\x81\xb8", "\xe2\x81\xb9"};
    int size = exponent < 0 ? -exponent : exponent, unit = 1;
    if (exponent < 0)
        html_put(h, "\xe2\x81\xbb");
    while (size / unit >= 10)
        unit *= 10;
    for (; unit > 0; unit /= 10)
        html_put(h, digits[size / unit % 10]);
}

void html_power(struct html *h, double value, int digits)
{
    char text[64];
    int exponent = 0;
    snprintf(text, sizeof text, "%.*e", digits - 1,
             value); /* printf rounds before it splits off the exponent */
    char *e = strchr(text, 'e');
    if (e) {
        sscanf(e + 1, "%d", &exponent);
        *e = 0;
    }
    if (strtod(text, NULL) != 1)
        html_print(h, "%.*g\xc2\xb7", digits, strtod(text, NULL));
    html_put(h, "10");
    put_exponent(h, exponent);
}

void html_error(struct html *h, double value)
{
    if (!isfinite(value))
        html_put(h, DASH);
    else if (value == 0)
        html_put(h, "0");
    else if (fabs(value) < 1e-4 || fabs(value) >= 1e4)
        html_power(h, value, 2);
    else {
        int magnitude = (int)floor(log10(fabs(value)));
        html_print(h, "%.*f", magnitude < 1 ? 1 - magnitude : 0, value);
    }
}
