/*
 * Python's strings: positions are counted in characters, and white space is what str.isspace says.
 */
#ifndef JINJA_STRINGS_H
#define JINJA_STRINGS_H

#include "jinja/value.h"

/* Bytes of white space at the start and at the end. */
int64_t text_leading_space(struct text text);
int64_t text_trailing_space(struct text text);
/* text without what is at its sides: white space if set is NULL, else characters of set. */
struct text text_strip(struct text text, const struct text *set, int left, int right);
/* The byte at which part first or last occurs; -1 if it does not occur. The last one is searched
 * for in a time that grows with the product of both lengths. */
int64_t text_find(struct text text, struct text part);
int64_t text_find_last(struct text text, struct text part);
int text_starts(struct text text, struct text part);
int text_ends(struct text text, struct text part);
/* How often part, which is not empty, occurs without overlaps. */
int64_t text_occurrences(struct text text, struct text part);

int64_t text_characters(struct text text);
/* Where character i begins, in bytes; the length of the text if it has no more characters. */
int64_t text_offset(struct text text, int64_t i);
/* The characters from byte begin to byte end. */
struct text text_part(struct text text, int64_t begin, int64_t end);
/* The bytes of the character that begins at byte i. */
int text_character_size(struct text text, int64_t i);
int text_is_ascii(struct text text);

/* The first line, without its end; advances *rest behind it. 0 if *rest is empty. As str.splitlines
 * divides lines. */
int text_next_line(struct text *rest, struct text *line);

/* Digits with an optional sign; 0 if it is anything else or does not fit. */
int text_to_integer(struct text text, int64_t *integer);

/* Negative, zero or positive, by the numbers of the characters. */
int text_compare(struct text a, struct text b);

#endif
