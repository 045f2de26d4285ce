#include "jinja/strings.h"
#include <string.h>
#include "text/unicode.h"

/* str.isspace: Unicode's white space and four separators of ASCII. */
static int is_space(uint32_t c)
{
    return unicode_is_space(c) || (c >= 0x1c && c <= 0x1f);
}

int text_character_size(struct text text, int64_t i)
{
    int valid;
    return ptqi_utf8_sequence(text.bytes + i, text.length - i, &valid);
}

/* Where the character begins that ends at byte end. */
static int64_t character_before(struct text text, int64_t end)
{
    end--;
    while (end > 0 && ((unsigned char)text.bytes[end] & 0xc0) == 0x80)
        end--;
    return end;
}

static int is_strippable(struct text text, int64_t i, int size, const struct text *set)
{
    const char *at = text.bytes + i;
    if (set)
        return text_find(*set, (struct text){at, size}) >= 0;
    return is_space(ptqi_utf8_next(&at));
}

struct text text_strip(struct text text, const struct text *set, int left, int right)
{
    while (left && text.length) {
        const int size = text_character_size(text, 0);
        if (!is_strippable(text, 0, size, set))
            break;
        text = text_part(text, size, text.length);
    }
    while (right && text.length) {
        const int64_t last = character_before(text, text.length);
        if (!is_strippable(text, last, (int)(text.length - last), set))
            break;
        text.length = last;
    }
    return text;
}

int64_t text_leading_space(struct text text)
{
    return text.length - text_strip(text, NULL, 1, 0).length;
}

int64_t text_trailing_space(struct text text)
{
    return text.length - text_strip(text, NULL, 0, 1).length;
}

/* memmem takes linear time, even for texts that are made to be slow. */
int64_t text_find(struct text text, struct text part)
{
    if (!part.length)
        return 0;
    if (part.length > text.length)
        return -1;
    const char *found = memmem(text.bytes, (size_t)text.length, part.bytes, (size_t)part.length);
    return found ? found - text.bytes : -1;
}

int64_t text_find_last(struct text text, struct text part)
{
    for (int64_t i = text.length - part.length; i >= 0; i--)
        if (!part.length || !memcmp(text.bytes + i, part.bytes, (size_t)part.length))
            return i;
    return -1;
}

int text_starts(struct text text, struct text part)
{
    return text.length >= part.length && text_equal((struct text){text.bytes, part.length}, part);
}

int text_ends(struct text text, struct text part)
{
    return text.length >= part.length &&
           text_equal(text_part(text, text.length - part.length, text.length), part);
}

int64_t text_occurrences(struct text text, struct text part)
{
    int64_t count = 0, at;
    while ((at = text_find(text, part)) >= 0) {
        text = text_part(text, at + part.length, text.length);
        count++;
    }
    return count;
}

int64_t text_characters(struct text text)
{
    int64_t count = 0;
    for (int64_t i = 0; i < text.length; i++)
        count += ((unsigned char)text.bytes[i] & 0xc0) != 0x80;
    return count;
}

int64_t text_offset(struct text text, int64_t i)
{
    int64_t at = 0;
    while (i-- > 0 && at < text.length)
        at += text_character_size(text, at);
    return at;
}

struct text text_part(struct text text, int64_t begin, int64_t end)
{
    if (begin >= end)
        return (struct text){text.bytes, 0};
    return (struct text){text.bytes + begin, end - begin};
}

int text_is_ascii(struct text text)
{
    for (int64_t i = 0; i < text.length; i++)
        if (text.bytes[i] & 0x80)
            return 0;
    return 1;
}

static int is_line_end(uint32_t c)
{
    return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

int text_next_line(struct text *rest, struct text *line)
{
    const char *at = rest->bytes, *const end = at + rest->length;
    if (!rest->length)
        return 0;
    while (at < end) {
        const char *const before = at;
        const uint32_t c = ptqi_utf8_next(&at);
        if (is_line_end(c)) {
            at += c == '\r' && at < end && *at == '\n';
            *line = (struct text){rest->bytes, before - rest->bytes};
            *rest = (struct text){at, end - at};
            return 1;
        }
    }
    *line = *rest;
    *rest = (struct text){end, 0};
    return 1;
}

int text_to_integer(struct text text, int64_t *integer)
{
    const int negative = text.length && text.bytes[0] == '-';
    int64_t i = negative || (text.length && text.bytes[0] == '+'), value = 0;
    if (i == text.length)
        return 0;
    for (; i < text.length; i++) {
        const int digit = text.bytes[i] - '0';
        if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *integer = negative ? -value : value;
    return 1;
}

int text_compare(struct text a, struct text b)
{
    const int64_t shared = a.length < b.length ? a.length : b.length;
    const int order = shared ? memcmp(a.bytes, b.bytes, (size_t)shared) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}
