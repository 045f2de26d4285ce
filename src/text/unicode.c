#include "unicode.h"

struct range {
    uint32_t first, last;
};

#include "unicode_table.h"

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

/* The bytes that are not printable, in the order in which they are mapped to U+0100 onwards. */
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
