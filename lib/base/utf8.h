/* UTF-8, one character at a time. */
#ifndef PTQI_UTF8_H
#define PTQI_UTF8_H

#include <stdint.h>

/*
 * The length of the UTF-8 sequence at text, of which left > 0 bytes are there. Where it is not
 * valid, *valid is 0 and the length that of its longest start that could have become valid, at
 * least 1.
 */
int ptqi_utf8_sequence(const char *text, int64_t left, int *valid);
/* The character at *at, which is moved behind it. The text must be valid and must not end here. */
uint32_t ptqi_utf8_next(const char **at);
/* Writes the UTF-8 of c, up to 4 bytes, and returns how many. */
int ptqi_utf8_put(char *out, uint32_t c);

#endif
