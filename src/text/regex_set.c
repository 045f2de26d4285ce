#include "regex_set.h"
#include <string.h>
#include "unicode.h"

#define ALL_CATEGORIES ((1ull << UNICODE_CATEGORIES) - 1)
#define CATEGORY_BITS(first, last) ((1ull << ((last) + 1)) - (1ull << (first)))
#define MAX_DEPTH 16

static const struct {
    const char *name;
    uint64_t bits;
} properties[] = {
    {"L}", CATEGORY_BITS(UNICODE_LU, UNICODE_LO)},  {"M}", CATEGORY_BITS(UNICODE_MN, UNICODE_ME)},
    {"N}", CATEGORY_BITS(UNICODE_ND, UNICODE_NO)},  {"P}", CATEGORY_BITS(UNICODE_PC, UNICODE_PO)},
    {"S}", CATEGORY_BITS(UNICODE_SM, UNICODE_SO)},  {"Z}", CATEGORY_BITS(UNICODE_ZS, UNICODE_ZP)},
    {"C}", CATEGORY_BITS(UNICODE_CC, UNICODE_CN)},  {"Lu}", CATEGORY_BITS(UNICODE_LU, UNICODE_LU)},
    {"Ll}", CATEGORY_BITS(UNICODE_LL, UNICODE_LL)}, {"Lt}", CATEGORY_BITS(UNICODE_LT, UNICODE_LT)},
    {"Lm}", CATEGORY_BITS(UNICODE_LM, UNICODE_LM)}, {"Lo}", CATEGORY_BITS(UNICODE_LO, UNICODE_LO)},
    {"Mn}", CATEGORY_BITS(UNICODE_MN, UNICODE_MN)}, {"Mc}", CATEGORY_BITS(UNICODE_MC, UNICODE_MC)},
    {"Me}", CATEGORY_BITS(UNICODE_ME, UNICODE_ME)}, {"Nd}", CATEGORY_BITS(UNICODE_ND, UNICODE_ND)},
    {"Nl}", CATEGORY_BITS(UNICODE_NL, UNICODE_NL)}, {"No}", CATEGORY_BITS(UNICODE_NO, UNICODE_NO)},
    {"Sm}", CATEGORY_BITS(UNICODE_SM, UNICODE_SM)}, {"Sc}", CATEGORY_BITS(UNICODE_SC, UNICODE_SC)},
    {"Sk}", CATEGORY_BITS(UNICODE_SK, UNICODE_SK)}, {"So}", CATEGORY_BITS(UNICODE_SO, UNICODE_SO)},
    {"Cc}", CATEGORY_BITS(UNICODE_CC, UNICODE_CC)}, {"Zs}", CATEGORY_BITS(UNICODE_ZS, UNICODE_ZS)},
};

/* Escapes that stand for a set, and for one character. */
static const struct {
    char letter;
    uint64_t bits;
} sets[] = {
    {'s', REGEX_SPACE},
    {'S', REGEX_NOT_SPACE},
    {'d', 1ull << UNICODE_ND},
    {'D', ALL_CATEGORIES & ~(1ull << UNICODE_ND)},
};
static const char letters[][2] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'f', '\f'}, {'v', '\v'}};

ptq_status regex_refuse(struct regex_parser *p, const char *what)
{
    return ptqi_fail(p->r->context, PTQ_ERROR_UNSUPPORTED,
                     "%s is not supported (at byte %lld of the regular expression)", what,
                     (long long)(p->at - p->begin));
}

int regex_accept(struct regex_parser *p, const char *text)
{
    const int64_t length = (int64_t)strlen(text);
    if (p->end - p->at < length || memcmp(p->at, text, (size_t)length))
        return 0;
    p->at += length;
    return 1;
}

void regex_finish_class(struct regex *r, int32_t index)
{
    struct regex_class *c = r->classes + index;
    for (uint32_t i = 0; i < 128; i++)
        if (regex_has(r, c, i))
            c->ascii[i / 64] |= 1ull << i % 64;
}

/* The characters that are equal to c if case is ignored; only ASCII has any here. */
static ptq_status add_other_cases(struct regex_parser *p, struct regex_class *c, uint32_t character)
{
    const uint32_t lower = character | 32;
    if (character >= 0x80)
        return regex_refuse(p, "(?i) with a character beyond ASCII");
    if (lower < 'a' || lower > 'z')
        return PTQ_OK;
    PTQI_TRY(regex_add_range(p->r, c, character ^ 32, character ^ 32));
    if (lower == 's') /* the long s */
        return regex_add_range(p->r, c, 0x17f, 0x17f);
    if (lower == 'k') /* the sign for Kelvin */
        return regex_add_range(p->r, c, 0x212a, 0x212a);
    return PTQ_OK;
}

static ptq_status add_range(struct regex_parser *p, int32_t index, uint32_t first, uint32_t last)
{
    struct regex_class *c = p->r->classes + index;
    PTQI_TRY(regex_add_range(p->r, c, first, last));
    for (uint32_t i = first; p->fold && i <= last; i++)
        PTQI_TRY(add_other_cases(p, c, i));
    return PTQ_OK;
}

static ptq_status parse_property(struct regex_parser *p, int32_t index, int negated)
{
    if (p->fold)
        return regex_refuse(p, "(?i) with \\p{..}");
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (regex_accept(p, properties[i].name)) {
            p->r->classes[index].properties |=
                negated ? ALL_CATEGORIES & ~properties[i].bits : properties[i].bits;
            return PTQ_OK;
        }
    return regex_refuse(p, "this property");
}

/* Four hexadecimal digits. */
static ptq_status parse_code(struct regex_parser *p, uint32_t *character)
{
    *character = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        static const char digits[] = "0123456789abcdef";
        const char c = p->at < p->end ? *p->at : 0;
        const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 32 : c) : NULL;
        if (!digit)
            return regex_refuse(p, "this \\u");
        *character = *character * 16 + (uint32_t)(digit - digits);
    }
    return PTQ_OK;
}

/* Parses what follows a backslash: a set, which is added, or a character. */
static ptq_status parse_escape(struct regex_parser *p, int32_t index, int *is_set,
                               uint32_t *character)
{
    *is_set = 1;
    if (regex_accept(p, "p{"))
        return parse_property(p, index, 0);
    if (regex_accept(p, "P{"))
        return parse_property(p, index, 1);
    if (p->at == p->end)
        return regex_refuse(p, "a backslash at the end");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (*p->at == sets[i].letter) {
            p->r->classes[index].properties |= sets[i].bits;
            p->at++;
            return PTQ_OK;
        }
    *is_set = 0;
    if (regex_accept(p, "u"))
        return parse_code(p, character);
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (*p->at == letters[i][0]) {
            *character = (uint8_t)letters[i][1];
            p->at++;
            return PTQ_OK;
        }
    if (unicode_is_word((uint8_t)*p->at) || (uint8_t)*p->at >= 0x80)
        return regex_refuse(p, "this escape");
    *character = (uint8_t)*p->at++;
    return PTQ_OK;
}

/* A character, which may begin a range, or the set of an escape. */
static ptq_status parse_member(struct regex_parser *p, int32_t index, int *is_set,
                               uint32_t *character)
{
    *is_set = 0;
    if (regex_accept(p, "\\"))
        return parse_escape(p, index, is_set, character);
    *character = ptqi_utf8_next(&p->at);
    return PTQ_OK;
}

static ptq_status parse_range(struct regex_parser *p, int32_t index)
{
    uint32_t first = 0, last;
    int is_set;
    PTQI_TRY(parse_member(p, index, &is_set, &first));
    const int is_range = p->end - p->at >= 2 && *p->at == '-' && p->at[1] != ']';
    if (is_set && is_range)
        return regex_refuse(p, "a range that begins with a set");
    if (is_set)
        return PTQ_OK;
    last = first;
    if (is_range) {
        p->at++;
        PTQI_TRY(*p->at == '[' ? regex_refuse(p, "a range that ends with a class")
                               : parse_member(p, index, &is_set, &last));
        if (is_set || last < first)
            return regex_refuse(p, "this range");
    }
    return add_range(p, index, first, last);
}

/* The inside of a class, up to its bracket; classes inside it are joined to it. */
static ptq_status parse_class(struct regex_parser *p, int32_t index)
{
    if (p->at < p->end && *p->at == ']')
        return regex_refuse(p, "a class that begins with ]");
    if (++p->depth > MAX_DEPTH)
        return regex_refuse(p, "such a depth");
    while (!regex_accept(p, "]")) {
        if (p->at == p->end)
            return regex_refuse(p, "a class without an end");
        if (regex_accept(p, "[:") || regex_accept(p, "[^") || regex_accept(p, "&&"))
            return regex_refuse(p, "[: or [^ or && in a class");
        PTQI_TRY(regex_accept(p, "[") ? parse_class(p, index) : parse_range(p, index));
    }
    p->depth--;
    return PTQ_OK;
}

ptq_status regex_parse_set(struct regex_parser *p, int32_t *index)
{
    int is_set = 1;
    uint32_t character;
    PTQI_TRY(regex_add_class(p->r, index));
    struct regex_class *c = p->r->classes + *index;
    if (regex_accept(p, "[")) {
        c->negated = regex_accept(p, "^");
        PTQI_TRY(parse_class(p, *index));
    } else if (regex_accept(p, ".")) {
        c->negated = 1;
        PTQI_TRY(regex_add_range(p->r, c, '\n', '\n'));
    } else {
        PTQI_TRY(parse_member(p, *index, &is_set, &character));
        if (!is_set)
            PTQI_TRY(add_range(p, *index, character, character));
    }
    regex_finish_class(p->r, *index);
    return PTQ_OK;
}
