/*
 * The regular expressions that split text, and the classes of characters they use.
 */
#include "test.h"
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "text/regex.h"
#include "text/split.h"
#include "text/unicode.h"

void test_regex(void);

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"                      \
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define O200K                                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"    \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s+"
#define BLOOM                                                                                      \
    " ?[^(\\s|[.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c])" \
    "]+"

/* The pieces of text with a bar between them. */
static const char *pieces(const char *pattern, const char *text)
{
    static char out[256];
    struct split split = {.behavior = SPLIT_ISOLATED};
    struct split_walk walk = {.begin = text, .end = text + strlen(text), .at = text};
    const char *piece, *end;
    char *to = out;
    ptq_status status =
        regex_compile(test_context(), pattern, (int64_t)strlen(pattern), &split.regex);
    CHECK_OK(status);
    while (!status && split_next(&split, &walk, &piece, &end)) {
        memcpy(to, piece, (size_t)(end - piece));
        to += end - piece;
        *to++ = '|';
    }
    *to = 0;
    regex_free(&split.regex);
    return out;
}

static void test_splits(void)
{
    static const struct {
        const char *pattern, *text, *pieces;
    } cases[] = {
        {GPT2, "I'll've'LL", "I|'ll|'ve|'|LL|"},
        {GPT2, "a  b   \n c", "a| | b|   \n| c|"},
        {GPT2, "x  ", "x|  |"},
        {GPT2, " 12ab ?!1", " 12|ab| ?!|1|"},
        {GPT2, "\xe4\xb8\xad\xe2\x82\xac\xc2\xbd", "\xe4\xb8\xad|\xe2\x82\xac|\xc2\xbd|"},
        {GPT2,
         "a\xe3\x80\x80"
         "b",
         "a|\xe3\x80\x80|b|"},                 /* ideographic space */
        {GPT2, "e\xcc\x81t", "e|\xcc\x81|t|"}, /* a combining accent is not a letter */
        {LLAMA3,
         "I'LL'Ve '\xc5\xbf"
         "x",
         "I|'LL|'Ve| '|\xc5\xbfx|"},
        {LLAMA3,
         "'\xc5\xbf"
         "x",
         "'\xc5\xbf|x|"}, /* the long s folds to s */
        {LLAMA3, "12345 6", "123|45| |6|"},
        {LLAMA3, "(a) $b\tc", "(a|)| $|b|\tc|"},
        {LLAMA3, "a!\r\n\n b \n  c", "a|!\r\n\n| b| \n| | c|"},
        {BLOOM, "a, (b|c)d  e", "a|, (|b|||c|)|d| | e|"},
        {BLOOM, "x\xe3\x80\x82\xef\xbc\x8cy'z1", "x|\xe3\x80\x82\xef\xbc\x8c|y'z1|"},
        {O200K, "HTTPServer don'T 1234 //\n", "HTTPServer| don'T| |123|4| //\n|"},
        {"a{2}|b{2,}|c{1,2}", "aaabbbccc", "aa|a|bbb|cc|c|"},
        {"a?+b|a++c", "abaac", "ab|aac|"},
        {"a++a", "aaa", "aaa|"}, /* takes all and leaves none */
        {"(?:ab)?c|(a|ab)d", "abcabdcad", "abc|abd|c|ad|"},
        {"x(?=y)|\\Ay|z\\z", "yxyxzz", "y|x|yxz|z|"},
        {"\\s+$|.", "a \n ", "a| \n |"},
        {"'(?i:[sk]|ll)", "'S'\xc5\xbf'\xe2\x84\xaa'lL's", "'S|'\xc5\xbf|'\xe2\x84\xaa|'lL|'s|"},
        {"[\\p{Lu}\\P{L}]+", "ABcd1E", "AB|cd|1E|"},
        {"[\\u0041-C\\-\\]]+", "xAB-]D", "x|AB-]|D|"},
        {"\\d\\D|[^\\S\\n]+", "1a \n", "1a| |\n|"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = pieces(cases[i].pattern, cases[i].text);
        if (!CHECK(!strcmp(got, cases[i].pieces)))
            printf("    %s: %s\n", cases[i].pattern, got);
    }
}

static void test_refused_patterns(void)
{
    static const char *const patterns[] = {
        "a*",          "",      "a|",      "(a",       "a)",      "[a",          "[]a]",
        "a**",         "a+?",   "a{2}+",   "(a)*",     "(ab)+",   "(?<=a)b",     "(?>a)",
        "\\bx",        "\\w+",  "^a",      "[a&&b]",   "[a[^b]]", "[[:alpha:]]", "\\p{Han}",
        "\\",          "[b-a]", "a{3,2}",  "a{99999}", "?a",      "(?i:st)",     "(?i:\xc3\xa9)",
        "(?i:\\p{L})", "\\u12", "[a-\\s]", "a{,2}",
    };
    char deep[128] = "";
    struct regex r;
    for (unsigned i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        CHECK(regex_compile(test_context(), patterns[i], (int64_t)strlen(patterns[i]), &r));
        regex_free(&r);
    }
    memset(deep, '(', sizeof deep - 1);
    CHECK(regex_compile(test_context(), deep, sizeof deep - 1, &r));
    regex_free(&r);
    memset(deep, '[', sizeof deep - 1);
    CHECK(regex_compile(test_context(), deep, sizeof deep - 1, &r));
    regex_free(&r);
}

static void test_unicode(void)
{
    char text[8];
    CHECK_EQ(unicode_category('A'), UNICODE_LU);
    CHECK_EQ(unicode_category(0x100), UNICODE_LU); /* one of a row in which Lu and Ll take turns */
    CHECK_EQ(unicode_category(0x101), UNICODE_LL);
    CHECK_EQ(unicode_category(0x1c5), UNICODE_LT);
    CHECK_EQ(unicode_category(0x4e2d), UNICODE_LO);
    CHECK_EQ(unicode_category(0x10ffff), UNICODE_CN);
    CHECK(unicode_is_numeric(0x4e00) == 0 && unicode_is_numeric(0xbd) && unicode_is_numeric('7'));
    CHECK(unicode_is_space(0x2003) && !unicode_is_space(0x200b));
    CHECK(unicode_is_word('_') && unicode_is_word(0x301) && !unicode_is_word(0xbd));
    CHECK(unicode_put_lower(text, 0x130) == 3 && !memcmp(text, "i\xcc\x87", 3));
    CHECK(unicode_put_lower(text, 0xc5) == 2 && !memcmp(text, "\xc3\xa5", 2));
    CHECK(unicode_put_lower(text, 0xdf) == 2 && !memcmp(text, "\xc3\x9f", 2));
}

void test_regex(void)
{
    test_splits();
    test_refused_patterns();
    test_unicode();
}
