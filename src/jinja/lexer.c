#include "jinja/lexer.h"
#include <string.h>
#include "base/json.h"
#include "base/utf8.h"
#include "jinja/literal.h"
#include "jinja/strings.h"

enum { MOST_BRACKETS = 100 };

struct lexer {
    struct arena *arena;
    struct tokens *tokens;
    const char *begin, *at, *end;
    const char *counted; /* up to here, `line` counts lines */
    int line;
    char brackets[MOST_BRACKETS]; /* that are open in this tag, as they are closed */
    int depth;
};

static int line_of(struct lexer *l, const char *at)
{
    for (; l->counted < at; l->counted++)
        l->line += *l->counted == '\n';
    return l->line;
}

static ptq_status bad(struct lexer *l, const char *problem)
{
    return ptqi_fail(l->arena->context, PTQ_ERROR_FORMAT, "line %d: %s", line_of(l, l->at),
                     problem);
}

static ptq_status add(struct lexer *l, struct token token)
{
    struct tokens *t = l->tokens;
    if (t->count == t->capacity) {
        const int64_t larger = t->capacity * 2 + 64;
        struct token *list = arena_alloc(l->arena, larger, (int64_t)sizeof *list);
        if (!list)
            return l->arena->status;
        if (t->count)
            memcpy(list, t->list, (size_t)t->count * sizeof *list);
        t->list = list;
        t->capacity = larger;
    }
    t->list[t->count++] = token;
    return PTQ_OK;
}

/* Adds a token of `length` bytes at l->at, and advances. */
static ptq_status take(struct lexer *l, enum token_kind kind, int64_t length)
{
    const struct token token = {kind, line_of(l, l->at), {l->at, length}, {0}};
    l->at += length;
    return add(l, token);
}

static int begins(const struct lexer *l, const char *at, const char *word)
{
    const int64_t length = (int64_t)strlen(word);
    return l->end - at >= length && !memcmp(at, word, (size_t)length);
}

static const char *skip_space(const struct lexer *l, const char *at)
{
    return at + text_leading_space((struct text){at, l->end - at});
}

/* The first occurrence of word from `at` on; NULL if there is none. */
static const char *find(const struct lexer *l, const char *at, const char *word)
{
    const int64_t place =
        text_find((struct text){at, l->end - at}, (struct text){word, (int64_t)strlen(word)});
    return place < 0 ? NULL : at + place;
}

/* If a tag ends at `at` with this closing word, where the text continues: behind the white space
 * after "-%}", behind a line feed after "%}" if it is trimmed. NULL if it does not end here. */
static const char *tag_end(const struct lexer *l, const char *at, const char *closing, int trims)
{
    const char sign = at < l->end ? *at : 0;
    const int64_t length = (int64_t)strlen(closing);
    if (sign == '-' && begins(l, at + 1, closing))
        return skip_space(l, at + 1 + length);
    if (sign == '+' && trims && begins(l, at + 1, closing))
        return at + 1 + length;
    if (!begins(l, at, closing))
        return NULL;
    at += length;
    return trims && at < l->end && *at == '\n' ? at + 1 : at;
}

/* Text before a tag, without the white space that the tag removes. sign: '-', '+' or another
 * character behind the opening of the tag. */
static ptq_status add_data(struct lexer *l, const char *stop, char sign, int strips_line)
{
    struct text text = {l->at, stop - l->at};
    if (sign == '-') {
        text.length -= text_trailing_space(text);
    } else if (sign != '+' && strips_line) {
        int64_t line = text.length;
        while (line > 0 && text.bytes[line - 1] != '\n')
            line--;
        const int at_start = line > 0 || l->at == l->begin || l->at[-1] == '\n';
        const struct text last = {text.bytes + line, text.length - line};
        if (at_start && text_leading_space(last) == last.length)
            text.length = line;
    }
    return text.length ? take(l, TOKEN_DATA, text.length) : PTQ_OK;
}

/* If "{% word %}" is at `at`, where it ends; else NULL. */
static const char *word_tag(const struct lexer *l, const char *at, const char *word, int trims)
{
    if (!begins(l, at, "{%"))
        return NULL;
    at += 2;
    if (at < l->end && (*at == '-' || *at == '+'))
        at++;
    at = skip_space(l, at);
    if (!begins(l, at, word))
        return NULL;
    at = skip_space(l, at + strlen(word));
    return tag_end(l, at, "%}", trims);
}

static ptq_status read_raw(struct lexer *l)
{
    const char *stop = l->at, *behind = NULL;
    while ((stop = find(l, stop, "{%")) && !(behind = word_tag(l, stop, "endraw", 1)))
        stop += 2;
    if (!stop)
        return bad(l, "{% raw %} is not closed");
    PTQI_TRY(add_data(l, stop, stop[2], 1));
    l->at = behind;
    return PTQ_OK;
}

static ptq_status read_comment(struct lexer *l)
{
    const char *start = l->at + 2;
    start += start < l->end && (*start == '-' || *start == '+');
    const char *close = find(l, start, "#}");
    if (!close)
        return bad(l, "a comment is not closed");
    const int has_sign = close > start && (close[-1] == '-' || close[-1] == '+');
    l->at = tag_end(l, close - has_sign, "#}", 1);
    return PTQ_OK;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static const char *skip_digits(const struct lexer *l, const char *at)
{
    while (at < l->end && is_digit(*at))
        at++;
    return at;
}

/* The end of a fraction and an exponent behind the digits that end at `at`; `at` if there are
 * none. */
static const char *skip_real(const struct lexer *l, const char *at)
{
    const char *stop = at;
    if (stop + 1 < l->end && *stop == '.' && is_digit(stop[1]))
        stop = skip_digits(l, stop + 1);
    if (stop < l->end && (*stop == 'e' || *stop == 'E')) {
        const char *digits = stop + 1;
        digits += digits < l->end && (*digits == '+' || *digits == '-');
        if (digits < l->end && is_digit(*digits))
            stop = skip_digits(l, digits);
    }
    return stop;
}

static ptq_status read_number(struct lexer *l)
{
    const char *whole = skip_digits(l, l->at), *stop = skip_real(l, whole);
    struct token token = {TOKEN_NUMBER, line_of(l, l->at), {l->at, stop - l->at}, value_integer(0)};
    if ((stop < l->end && (is_name_start(*stop) || (*stop & 0x80))) ||
        (stop == whole && *l->at == '0' && whole - l->at > 1))
        return bad(l, "a number that is not decimal");
    if (stop > whole) {
        token.number.kind = VALUE_REAL;
        if (!ptqi_parse_number(l->at, stop - l->at, &token.number.real))
            return bad(l, "a number that is too large");
    } else if (!text_to_integer(token.text, &token.number.integer)) {
        return bad(l, "a number that is too large");
    }
    l->at = stop;
    return add(l, token);
}

static ptq_status read_string(struct lexer *l)
{
    const char *close = l->at + 1;
    while (close < l->end && *close != *l->at)
        close += *close == '\\' ? 2 : 1;
    if (close >= l->end)
        return bad(l, "a string is not closed");
    struct token token = {TOKEN_STRING, line_of(l, l->at), {NULL, 0}, {0}};
    const struct text literal = {l->at + 1, close - l->at - 1};
    PTQI_TRY(literal_unescape(l->arena, literal, token.line, &token.text));
    l->at = close + 1;
    return add(l, token);
}

static ptq_status read_name(struct lexer *l)
{
    const char *stop = l->at;
    while (stop < l->end && (is_name_start(*stop) || is_digit(*stop)))
        stop++;
    if (stop < l->end && (*stop & 0x80))
        return bad(l, "a name that is not ASCII");
    return take(l, TOKEN_NAME, stop - l->at);
}

/* Keeps account of open brackets, inside which a tag does not end. */
static ptq_status track_bracket(struct lexer *l)
{
    static const char opening[] = "([{", closing[] = ")]}";
    const char *open = strchr(opening, *l->at), *close = strchr(closing, *l->at);
    if (open && l->depth == MOST_BRACKETS)
        return bad(l, "brackets are nested too deeply");
    if (open)
        l->brackets[l->depth++] = closing[open - opening];
    if (close && (!l->depth || l->brackets[--l->depth] != *l->at))
        return bad(l, "brackets do not match");
    return PTQ_OK;
}

static ptq_status read_operator(struct lexer *l)
{
    static const char *const doubled[] = {"**", "//", "==", "!=", ">=", "<="};
    static const char single[] = "+-/*%~[](){}<>=.:|,;";
    for (size_t i = 0; i < sizeof doubled / sizeof *doubled; i++)
        if (begins(l, l->at, doubled[i]))
            return take(l, TOKEN_OPERATOR, 2);
    if (!*l->at || !strchr(single, *l->at))
        return bad(l, "an unexpected character in a tag");
    PTQI_TRY(track_bracket(l));
    return take(l, TOKEN_OPERATOR, 1);
}

static ptq_status read_token(struct lexer *l)
{
    if (is_digit(*l->at))
        return read_number(l);
    if (*l->at == '"' || *l->at == '\'')
        return read_string(l);
    if (is_name_start(*l->at))
        return read_name(l);
    return read_operator(l);
}

/* A block or a variable; l->at is behind its opening. */
static ptq_status read_tag(struct lexer *l, const char *closing, enum token_kind end)
{
    l->depth = 0;
    for (;;) {
        l->at = skip_space(l, l->at);
        if (l->at == l->end)
            return bad(l, "a tag is not closed");
        const char *behind = l->depth ? NULL : tag_end(l, l->at, closing, end == TOKEN_BLOCK_END);
        if (behind) {
            const int64_t length = behind - l->at;
            return take(l, end, length);
        }
        PTQI_TRY(read_token(l));
    }
}

/* Text up to the next tag, and that tag. */
static ptq_status read_part(struct lexer *l)
{
    const char *open = l->at;
    while ((open = memchr(open, '{', (size_t)(l->end - open))) &&
           !(open + 1 < l->end && strchr("%{#", open[1]) && open[1]))
        open++;
    if (!open)
        return take(l, TOKEN_DATA, l->end - l->at);
    const char sign = open + 2 < l->end ? open[2] : 0;
    const char *raw = word_tag(l, open, "raw", 0);
    PTQI_TRY(add_data(l, open, sign, open[1] != '{'));
    l->at = raw ? raw : open;
    if (raw)
        return read_raw(l);
    if (open[1] == '#')
        return read_comment(l);
    const int is_block = open[1] == '%';
    PTQI_TRY(take(l, is_block ? TOKEN_BLOCK_BEGIN : TOKEN_VARIABLE_BEGIN, 2));
    l->at += sign == '-' || sign == '+';
    return is_block ? read_tag(l, "%}", TOKEN_BLOCK_END) : read_tag(l, "}}", TOKEN_VARIABLE_END);
}

/* A copy in which every line ends with a line feed, without the last line feed of the template. */
static ptq_status copy_lines(struct arena *arena, struct text source, struct text *copy)
{
    char *out = arena_alloc(arena, source.length + 1, 1);
    int64_t length = 0;
    *copy = (struct text){NULL, 0};
    if (!out)
        return arena->status;
    for (int64_t i = 0; i < source.length; i++) {
        if (source.bytes[i] == '\r' && i + 1 < source.length && source.bytes[i + 1] == '\n')
            continue;
        out[length++] = source.bytes[i] == '\r' ? '\n' : source.bytes[i];
    }
    if (length && out[length - 1] == '\n')
        length--;
    *copy = (struct text){out, length};
    return PTQ_OK;
}

ptq_status lexer_run(struct arena *arena, struct text source, struct tokens *tokens)
{
    struct text copy;
    *tokens = (struct tokens){0};
    for (int64_t i = 0; i < source.length;) {
        int valid;
        i += ptqi_utf8_sequence(source.bytes + i, source.length - i, &valid);
        if (!valid)
            return ptqi_fail(arena->context, PTQ_ERROR_FORMAT, "not valid UTF-8");
    }
    PTQI_TRY(copy_lines(arena, source, &copy));
    struct lexer l = {.arena = arena, .tokens = tokens, .begin = copy.bytes, .line = 1};
    l.at = l.counted = copy.bytes;
    l.end = copy.bytes + copy.length;
    while (l.at < l.end)
        PTQI_TRY(read_part(&l));
    return take(&l, TOKEN_END, 0);
}
