#include "split.h"
#include <stdint.h>
#include <string.h>
#include "unicode.h"

typedef int class_function(uint32_t c);

static int is_symbol(uint32_t c)
{
    return !unicode_is_space(c) && !unicode_is_letter(c) && !unicode_is_number(c);
}

static int is_not_numeric(uint32_t c)
{
    return !unicode_is_numeric(c);
}

static int is_newline(char c)
{
    return c == '\r' || c == '\n';
}

/* The end of the run of characters of a class at `at`, at most `max` of them. */
static const char *run_of(const char *at, const char *end, class_function *in_class, int64_t max)
{
    for (; at < end && max > 0; max--) {
        const char *next = at;
        if (!in_class(ptqi_utf8_next(&next)))
            break;
        at = next;
    }
    return at;
}

static const char *run(const char *at, const char *end, class_function *in_class)
{
    return run_of(at, end, in_class, INT64_MAX);
}

/*
 * 's|'t|'re|'ve|'m|'ll|'d; returns the end, or `at` if there is none. If case is folded, U+017F,
 * the long s, counts as s; it is the only non-ASCII character that folds to one of these letters.
 */
static const char *contraction(const char *at, const char *end, int fold)
{
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    const char *from = at + 1;
    if (*at != '\'')
        return at;
    for (int i = 0; i < 7; i++) {
        int64_t length = (int64_t)strlen(endings[i]), same = 0;
        while (same < length && same < end - from) {
            char c = from[same];
            if (fold && c >= 'A' && c <= 'Z')
                c = (char)(c + ('a' - 'A'));
            if (c != endings[i][same])
                break;
            same++;
        }
        if (same == length)
            return from + length;
    }
    if (fold && end - from >= 2 && !memcmp(from, "\xc5\xbf", 2))
        return from + 2;
    return at;
}

/* \s+(?!\S)|\s+: the last space before a word is left to the word, unless it is the only one. */
static const char *white_space(const char *at, const char *end)
{
    const char *last = at, *next = at;
    while (next < end) {
        const char *behind = next;
        if (!unicode_is_space(ptqi_utf8_next(&behind)))
            return last > at ? last : next;
        last = next;
        next = behind;
    }
    return end;
}

/* \s*[\r\n]+: white space up to its last line feed. */
static const char *lines(const char *at, const char *end)
{
    const char *found = at, *stop = run(at, end, unicode_is_space);
    while (at < stop)
        if (is_newline(*at++))
            found = at;
    return found;
}

const char *split_gpt2(const char *at, const char *end)
{
    static class_function *const classes[] = {unicode_is_letter, unicode_is_number, is_symbol};
    const char *next = contraction(at, end, 0), *word = at + (*at == ' ');
    if (next > at)
        return next;
    for (int i = 0; i < 3; i++)
        if ((next = run(word, end, classes[i])) > word)
            return next;
    return white_space(at, end);
}

static const char *split_llama(const char *at, const char *end, int digits)
{
    const char *next = contraction(at, end, 1), *word = at;
    if (next > at)
        return next;
    uint32_t c = ptqi_utf8_next(&word); /* any character may precede a word, except these: */
    if (unicode_is_letter(c) || unicode_is_number(c) || is_newline(*at))
        word = at;
    if ((next = run(word, end, unicode_is_letter)) > word)
        return next;
    if ((next = run_of(at, end, unicode_is_number, digits)) > at)
        return next;
    word = at + (*at == ' ');
    if ((next = run(word, end, is_symbol)) > word) {
        while (next < end && is_newline(*next))
            next++;
        return next;
    }
    if ((next = lines(at, end)) > at)
        return next;
    return white_space(at, end);
}

const char *split_llama3(const char *at, const char *end)
{
    return split_llama(at, end, 3);
}

const char *split_qwen2(const char *at, const char *end)
{
    return split_llama(at, end, 1);
}

static int is_bloom(uint32_t c)
{
    static const uint16_t excluded[] = {'(',    ')',    '|',    '.',    ',',    '!',    '?',
                                        0x2026, 0x3002, 0xff0c, 0x3001, 0x0964, 0x06d4, 0x060c};
    for (unsigned i = 0; i < sizeof excluded / sizeof excluded[0]; i++)
        if (c == excluded[i])
            return 0;
    return !unicode_is_space(c);
}

/* The end of the match at `at`, or `at` if there is none. */
static const char *match_bloom(const char *at, const char *end)
{
    const char *word = at + (*at == ' '), *next = run(word, end, is_bloom);
    return next > word ? next : at;
}

const char *split_bloom(const char *at, const char *end)
{
    const char *next = match_bloom(at, end);
    if (next > at)
        return next;
    do
        ptqi_utf8_next(&at);
    while (at < end && match_bloom(at, end) == at);
    return at;
}

const char *split_each_digit(const char *at, const char *end)
{
    const char *next = run_of(at, end, unicode_is_numeric, 1);
    return next > at ? next : run(at, end, is_not_numeric);
}

const char *split_digits(const char *at, const char *end)
{
    const char *next = run(at, end, unicode_is_numeric);
    return next > at ? next : run(at, end, is_not_numeric);
}

const char *split_nowhere(const char *at, const char *end)
{
    (void)at;
    return end;
}
