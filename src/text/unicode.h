/*
 * What the tokenizers need to know of Unicode: classes of characters, lower case, and the
 * byte-level alphabet.
 */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include "base/utf8.h"

/* General categories, in the order of unicode_categories.h. */
enum {
    UNICODE_LU,
    UNICODE_LL,
    UNICODE_LT,
    UNICODE_LM,
    UNICODE_LO,
    UNICODE_MN,
    UNICODE_MC,
    UNICODE_ME,
    UNICODE_ND,
    UNICODE_NL,
    UNICODE_NO,
    UNICODE_PC,
    UNICODE_PD,
    UNICODE_PS,
    UNICODE_PE,
    UNICODE_PI,
    UNICODE_PF,
    UNICODE_PO,
    UNICODE_SM,
    UNICODE_SC,
    UNICODE_SK,
    UNICODE_SO,
    UNICODE_ZS,
    UNICODE_ZL,
    UNICODE_ZP,
    UNICODE_CC,
    UNICODE_CF,
    UNICODE_CO,
    UNICODE_CN,
    UNICODE_CATEGORIES
};

int unicode_category(uint32_t c);
int unicode_is_numeric(uint32_t c); /* Rust's char::is_numeric, which uses a newer Unicode */
int unicode_is_space(uint32_t c);   /* \s, the property White_Space */
int unicode_is_word(uint32_t c);    /* \w of Rust's regular expressions */

/* Writes the lower case of c, one or two characters, in UTF-8; returns the number of bytes. */
int unicode_put_lower(char *out, uint32_t c);

/*
 * GPT-2's alphabet: every byte as a visible character. Printable Latin-1 bytes represent
 * themselves, the 68 others are U+0100 onwards.
 */
uint32_t unicode_from_byte(uint8_t byte);
/* The byte that c represents, -1 if none. */
int unicode_to_byte(uint32_t c);

#endif
