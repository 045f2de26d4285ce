#include "jinja/literal.h"
#include <string.h>
#include "base/utf8.h"

struct reader {
    struct arena *arena;
    const char *at, *end;
    int line;
};

static ptq_status bad(const struct reader *r, const char *problem)
{
    return ptqi_fail(r->arena->context, PTQ_ERROR_FORMAT, "line %d: %s in a string", r->line,
                     problem);
}

static int digit_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 99;
}

/* The number of at most `most` digits in this base; returns how many there were. */
static int read_digits(struct reader *r, int base, int most, uint32_t *number)
{
    int count = 0;
    for (*number = 0; count < most && r->at < r->end && digit_value(*r->at) < base; count++)
        *number = *number * (uint32_t)base + (uint32_t)digit_value(*r->at++);
    return count;
}

/* What follows \x, \u or \U: as many digits as that escape has. */
static ptq_status read_code(struct reader *r, int digits, char *out, int *length)
{
    uint32_t code;
    if (read_digits(r, 16, digits, &code) != digits)
        return bad(r, "an escape has too few digits");
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return bad(r, "an escape is not a character");
    *length = ptqi_utf8_put(out, code);
    return PTQ_OK;
}

/* The escape that begins behind the backslash. */
static ptq_status read_escape(struct reader *r, char *out, int *length)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    static const char with_digits[] = "xuU";
    static const int digits[] = {2, 4, 8};
    const char c = *r->at;
    const char *simple = c ? strchr(from, c) : NULL, *coded = c ? strchr(with_digits, c) : NULL;
    uint32_t octal;
    if (simple || coded || c == '\n')
        r->at++;
    if (simple)
        *out = to[simple - from];
    *length = simple ? 1 : 0;
    if (simple || c == '\n')
        return PTQ_OK;
    if (coded)
        return read_code(r, digits[coded - with_digits], out, length);
    if (c == 'N' || (c & 0x80))
        return bad(r, "an escape by name");
    *out = '\\'; /* an unknown escape stays as it is */
    *length = 1;
    if (read_digits(r, 8, 3, &octal))
        *length = ptqi_utf8_put(out, octal);
    return PTQ_OK;
}

ptq_status literal_unescape(struct arena *arena, struct text literal, int line, struct text *text)
{
    struct reader r = {arena, literal.bytes, literal.bytes + literal.length, line};
    struct builder out = {.arena = arena};
    while (r.at < r.end) {
        const char *escape = memchr(r.at, '\\', (size_t)(r.end - r.at));
        const char *stop = escape ? escape : r.end;
        char code[4];
        int length;
        PTQI_TRY(builder_add(&out, r.at, stop - r.at));
        r.at = stop;
        if (!escape)
            break;
        r.at++;
        PTQI_TRY(read_escape(&r, code, &length));
        PTQI_TRY(builder_add(&out, code, length));
    }
    *text = text_make(out.bytes, out.length);
    return PTQ_OK;
}
