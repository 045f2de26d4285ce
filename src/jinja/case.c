#include "jinja/case.h"
#include <string.h>
#include "text/unicode.h"
#include "jinja/strings.h"

enum { CAPITAL_SIGMA = 0x3a3 }; /* its lower case depends on its place in the word */

static int is_ascii_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether the upper case of a character is another one, or may be. */
static int may_have_upper(uint32_t c)
{
    static const int categories[] = {UNICODE_LL, UNICODE_LT, UNICODE_LM, UNICODE_NL,
                                     UNICODE_SO, UNICODE_MN, UNICODE_LO};
    const int category = unicode_category(c);
    if (category == UNICODE_LO) /* Georgian letters */
        return c >= 0x10d0 && c <= 0x10ff;
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (category == categories[i])
            return 1;
    return 0;
}

static ptq_status refuse(struct machine *m, struct text character)
{
    return machine_refuse(m, "changing the case of", character);
}

static ptq_status put_lower(struct machine *m, uint32_t c, struct text character,
                            struct builder *out)
{
    char lower[8];
    if (c == CAPITAL_SIGMA)
        return refuse(m, character);
    return builder_add(out, lower, unicode_put_lower(lower, c));
}

static ptq_status put_upper(struct machine *m, uint32_t c, struct text character,
                            struct builder *out)
{
    const char upper = (char)(c - 'a' + 'A');
    if (c >= 'a' && c <= 'z')
        return builder_add(out, &upper, 1);
    if (c >= 0x80 && may_have_upper(c))
        return refuse(m, character);
    return builder_add(out, character.bytes, character.length);
}

/* Whether the character behind `before`, which is 0 at the start, is in upper case. */
static int wants_upper(enum letter_case how, uint32_t before)
{
    switch (how) {
    case CASE_LOWER:
        return 0;
    case CASE_UPPER:
        return 1;
    case CASE_CAPITALIZE:
        return !before;
    case CASE_TITLE:
        return !is_ascii_letter(before);
    default:
        return !before || unicode_is_space(before) || (before >= 0x1c && before <= 0x1f) ||
               (before < 0x80 && strchr("-({[<", (int)before));
    }
}

ptq_status text_change_case(struct machine *m, struct text text, enum letter_case how,
                            struct text *out)
{
    struct builder b = {.arena = m->arena};
    const char *at = text.bytes, *const end = text.bytes + text.length;
    uint32_t before = 0;
    PTQI_TRY(machine_work(m, text.length * 8));
    while (at < end) {
        const char *const begin = at;
        const uint32_t c = ptqi_utf8_next(&at);
        const struct text character = {begin, at - begin};
        if (how == CASE_TITLE && c >= 0x80)
            return refuse(m, character);
        PTQI_TRY(wants_upper(how, before) ? put_upper(m, c, character, &b)
                                          : put_lower(m, c, character, &b));
        before = c ? c : 1;
    }
    *out = text_make(b.bytes, b.length);
    return PTQ_OK;
}
