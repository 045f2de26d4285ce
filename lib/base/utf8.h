/* UTF-8, one character at a time. */
#ifndef PTQI_UTF8_H
#define PTQI_UTF8_H

#include <stdint.h>

/*
 * The length of the UTF-8 sequence at text, where left > 0 bytes are available. If it is invalid,
 * *valid is 0, and the length is at least 1 and covers the longest prefix that could have become
 * valid.
 */
int ptqi_utf8_sequence(const char *text, int64_t left, int *valid);
/* Whether length bytes are valid UTF-8 without zero bytes. */
int ptqi_utf8_is_text(const char *text, int64_t length);
/* Returns the character at *at and advances *at. The text must be valid and must not end here. */
uint32_t ptqi_utf8_next(const char **at);
/* Writes c in UTF-8, up to 4 bytes, and returns the number of bytes. */
int ptqi_utf8_put(char *out, uint32_t c);

#endif
