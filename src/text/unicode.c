#include "unicode.h"

struct range {
    uint32_t first, last;
};

#include "unicode_table.h"

int unicode_sequence(const char *text, int64_t left, int *valid)
{
    const uint8_t *s = (const uint8_t *)text;
    int length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    /* The second byte alone decides about overlong forms, surrogates and the end of Unicode. */
    int low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    int high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

    *valid = 0;
    if (s[0] > 0xf4 || (s[0] >= 0x80 && s[0] < 0xc2))
        return 1;
    for (int i = 1; i < length; i++) {
        if (i == left || s[i] < low || s[i] > high)
            return i;
        low = 0x80;
        high = 0xbf;
    }
    *valid = 1;
    return length;
}

uint32_t unicode_next(const char **at)
{
    const uint8_t *s = (const uint8_t *)*at;
    int length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    *at += length;
    switch (length) {
    case 1:
        return s[0];
    case 2:
        return (uint32_t)(s[0] & 31) << 6 | (s[1] & 63);
    case 3:
        return (uint32_t)(s[0] & 15) << 12 | (uint32_t)(s[1] & 63) << 6 | (s[2] & 63);
    default:
        return (uint32_t)(s[0] & 7) << 18 | (uint32_t)(s[1] & 63) << 12 |
               (uint32_t)(s[2] & 63) << 6 | (s[3] & 63);
    }
}

int unicode_put(char *out, uint32_t c)
{
    int length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = length - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 63));
    out[0] = (char)(lead[length] | c);
    return length;
}

static int contains(const struct range *table, int count, uint32_t c)
{
    int low = 0, high = count; /* the range, if any, is in [low, high) */
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (c > table[middle].last)
            low = middle + 1;
        else if (c < table[middle].first)
            high = middle;
        else
            return 1;
    }
    return 0;
}

#define CONTAINS(table, c) contains(table, (int)(sizeof(table) / sizeof(table)[0]), c)

int unicode_is_letter(uint32_t c)
{
    if (c < 0x80)
        return (c | 32) >= 'a' && (c | 32) <= 'z';
    return CONTAINS(letters, c);
}

int unicode_is_number(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9';
    return CONTAINS(numbers, c);
}

int unicode_is_numeric(uint32_t c)
{
    return unicode_is_number(c) || (c >= 0x80 && CONTAINS(newer_numbers, c));
}

int unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return CONTAINS(spaces, c);
}

/* The bytes that are not printable, in the order in which they get U+0100 onwards. */
static const struct range hidden[] = {{0x00, 0x20}, {0x7f, 0xa0}, {0xad, 0xad}};

uint32_t unicode_from_byte(uint8_t byte)
{
    uint32_t c = 0x100;
    for (int i = 0; i < 3; i++) {
        if (byte >= hidden[i].first && byte <= hidden[i].last)
            return c + byte - hidden[i].first;
        c += hidden[i].last - hidden[i].first + 1;
    }
    return byte;
}

int unicode_to_byte(uint32_t c)
{
    if (c < 0x100)
        return unicode_from_byte((uint8_t)c) == c ? (int)c : -1;
    c -= 0x100;
    for (int i = 0; i < 3; i++) {
        uint32_t size = hidden[i].last - hidden[i].first + 1;
        if (c < size)
            return (int)(hidden[i].first + c);
        c -= size;
    }
    return -1;
}
