#include "unicode.h"

struct range {
    uint32_t first, last;
};

/* first, first + step .. last have their lower case at the same distance. */
struct lower {
    uint32_t first, last;
    int32_t distance;
    uint32_t step;
};

#include "unicode_categories.h"
#include "unicode_lower.h"
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

static const uint8_t ascii[128] = {
    UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC,
    UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC,
    UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC,
    UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC, UNICODE_CC,
    UNICODE_ZS, UNICODE_PO, UNICODE_PO, UNICODE_PO, UNICODE_SC, UNICODE_PO, UNICODE_PO, UNICODE_PO,
    UNICODE_PS, UNICODE_PE, UNICODE_PO, UNICODE_SM, UNICODE_PO, UNICODE_PD, UNICODE_PO, UNICODE_PO,
    UNICODE_ND, UNICODE_ND, UNICODE_ND, UNICODE_ND, UNICODE_ND, UNICODE_ND, UNICODE_ND, UNICODE_ND,
    UNICODE_ND, UNICODE_ND, UNICODE_PO, UNICODE_PO, UNICODE_SM, UNICODE_SM, UNICODE_SM, UNICODE_PO,
    UNICODE_PO, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU,
    UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU,
    UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_LU,
    UNICODE_LU, UNICODE_LU, UNICODE_LU, UNICODE_PS, UNICODE_PO, UNICODE_PE, UNICODE_SK, UNICODE_PC,
    UNICODE_SK, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL,
    UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL,
    UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_LL,
    UNICODE_LL, UNICODE_LL, UNICODE_LL, UNICODE_PS, UNICODE_SM, UNICODE_PE, UNICODE_SM, UNICODE_CC,
};

/* In runs of this one, Lu and Ll take turns. */
#define PAIRS UNICODE_CATEGORIES

int unicode_category(uint32_t c)
{
    if (c < 0x80)
        return ascii[c];
    int low = 0, high = (int)(sizeof categories / sizeof *categories);
    while (high - low > 1) { /* the run is in [low, high) */
        int middle = low + (high - low) / 2;
        if (c < categories[middle] >> 8)
            high = middle;
        else
            low = middle;
    }
    const int category = (int)(categories[low] & 0xff);
    return category == PAIRS ? (int)(c - (categories[low] >> 8)) % 2 : category;
}

int unicode_is_numeric(uint32_t c)
{
    const int category = unicode_category(c);
    return (category >= UNICODE_ND && category <= UNICODE_NO) || CONTAINS(newer_numbers, c);
}

int unicode_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return CONTAINS(spaces, c);
}

int unicode_is_word(uint32_t c)
{
    if (c < 0x80)
        return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    return CONTAINS(words, c);
}

static uint32_t to_lower(uint32_t c)
{
    int low = 0, high = (int)(sizeof lower_case / sizeof *lower_case);
    while (low < high) { /* the run, if any, is in [low, high) */
        int middle = low + (high - low) / 2;
        const struct lower *run = lower_case + middle;
        if (c > run->last)
            low = middle + 1;
        else if (c < run->first)
            high = middle;
        else
            return (c - run->first) % run->step ? c : (uint32_t)((int32_t)c + run->distance);
    }
    return c;
}

int unicode_put_lower(char *out, uint32_t c)
{
    if (c < 0x80)
        return ptqi_utf8_put(out, c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    if (c != 0x130) /* the only one that becomes two: i and a dot above */
        return ptqi_utf8_put(out, to_lower(c));
    int length = ptqi_utf8_put(out, 'i');
    return length + ptqi_utf8_put(out + length, 0x307);
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
