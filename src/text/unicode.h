/*
 * The classes of characters that pre-tokenizers distinguish, and the byte-level alphabet.
 */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include "base/utf8.h"

int unicode_is_letter(uint32_t c);  /* \p{L} of the library's regular expressions */
int unicode_is_number(uint32_t c);  /* \p{N} of the library's regular expressions */
int unicode_is_numeric(uint32_t c); /* Rust's char::is_numeric, which uses a newer Unicode */
int unicode_is_space(uint32_t c);   /* \s, the property White_Space */

/*
 * GPT-2's alphabet: every byte as a visible character. Printable Latin-1 bytes represent
 * themselves, the 68 others are U+0100 onwards.
 */
uint32_t unicode_from_byte(uint8_t byte);
/* The byte that c represents, -1 if none. */
int unicode_to_byte(uint32_t c);

#endif
