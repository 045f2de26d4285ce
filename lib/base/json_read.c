/*
 * The JSON reader. One pass without recursion: open arrays and objects are on a stack of fixed
 * depth. Nodes and strings are allocated from large chunks, so a tokenizer with a million entries
 * costs a few hundred allocations.
 */
#include "json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "table.h"
#include "utf8.h"

#define MAX_DEPTH 64
#define CHUNK (1 << 18)

struct chunk {
    struct chunk *next;
    int64_t used, capacity;
};

struct ptqi_json_document {
    ptq_context *context;
    struct chunk *chunks;
};

struct parser {
    struct ptqi_json_document *document;
    const char *what, *begin, *at, *end;
    struct {
        struct ptqi_json *node, *last;
    } stack[MAX_DEPTH];
    int depth;
};

static void *cut(struct ptqi_json_document *d, int64_t bytes)
{
    const int64_t header = (int64_t)((sizeof(struct chunk) + 15) / 16 * 16);
    bytes = (bytes + 15) / 16 * 16;
    if (!d->chunks || d->chunks->capacity - d->chunks->used < bytes) {
        int64_t capacity = bytes > CHUNK ? bytes : CHUNK;
        struct chunk *c = ptqi_alloc(d->context, header + capacity, 1);
        if (!c)
            return NULL;
        c->next = d->chunks;
        c->used = 0;
        c->capacity = capacity;
        d->chunks = c;
    }
    char *memory = (char *)d->chunks + header + d->chunks->used;
    d->chunks->used += bytes;
    return memory;
}

void ptqi_json_free(struct ptqi_json_document *document)
{
    if (!document)
        return;
    ptq_context *context = document->context;
    while (document->chunks) {
        struct chunk *next = document->chunks->next;
        ptqi_free(context, document->chunks);
        document->chunks = next;
    }
    ptqi_free(context, document);
}

static ptq_status bad(struct parser *p, const char *problem)
{
    return ptqi_fail(p->document->context, PTQ_ERROR_FORMAT, "%s: JSON, byte %lld: %s", p->what,
                     (long long)(p->at - p->begin), problem);
}

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
}

/* Four hexadecimal digits at p->at; -1 if they are not there. */
static int32_t hex4(struct parser *p)
{
    int32_t value = 0;
    if (p->end - p->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = *p->at++;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Appends the escape that follows a backslash to out; 0 if it is not valid. */
static int unescape(struct parser *p, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = p->at < p->end ? *p->at++ : 0;
    if (c == 'u') {
        int32_t high = hex4(p);
        if (high < 0 || (high >= 0xdc00 && high < 0xe000))
            return 0;
        if (high < 0xd800 || high >= 0xe000)
            return ptqi_utf8_put(out, (uint32_t)high);
        if (p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u')
            return 0;
        p->at += 2;
        int32_t low = hex4(p);
        if (low < 0xdc00 || low >= 0xe000)
            return 0;
        return ptqi_utf8_put(out, 0x10000 + ((uint32_t)(high - 0xd800) << 10) +
                                      (uint32_t)(low - 0xdc00));
    }
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return 0;
    *out = to[found - from];
    return 1;
}

/* A string; p->at is after its opening quote. Unescaped text is never longer than its source. */
static ptq_status parse_string(struct parser *p, const char **text, int32_t *length)
{
    const char *close = p->at;
    while (close < p->end && *close != '"')
        close += *close == '\\' && close + 1 < p->end ? 2 : 1;
    if (close >= p->end)
        return bad(p, "unterminated string");
    if (close - p->at > INT32_MAX)
        return bad(p, "string too long");
    char *out = cut(p->document, close - p->at + 1);
    if (!out)
        return PTQ_ERROR_MEMORY;
    *text = out;
    while (p->at < close) {
        if (*p->at == '\\') {
            p->at++;
            int n = unescape(p, out);
            if (!n)
                return bad(p, "invalid escape in a string");
            out += n;
            continue;
        }
        int valid, n = ptqi_utf8_sequence(p->at, close - p->at, &valid);
        if (!valid || (unsigned char)*p->at < 0x20)
            return bad(p, valid ? "control character in a string" : "invalid UTF-8 in a string");
        memcpy(out, p->at, (size_t)n);
        out += n;
        p->at += n;
    }
    *out = 0;
    *length = (int32_t)(out - *text);
    p->at = close + 1;
    return PTQ_OK;
}

/* The length of the JSON number that text starts with, 0 if there is none. */
static int64_t number_length(const char *text, const char *end)
{
    const char *s = text;
#define DIGITS(from)                                                                               \
    do {                                                                                           \
        from = s;                                                                                  \
        while (s < end && *s >= '0' && *s <= '9')                                                  \
            s++;                                                                                   \
    } while (0)
    const char *from;
    if (s < end && *s == '-')
        s++;
    DIGITS(from);
    if (s == from || (*from == '0' && s - from > 1))
        return 0;
    if (s < end && *s == '.') {
        s++;
        DIGITS(from);
        if (s == from)
            return 0;
    }
    if (s < end && (*s == 'e' || *s == 'E')) {
        s++;
        if (s < end && (*s == '+' || *s == '-'))
            s++;
        DIGITS(from);
        if (s == from)
            return 0;
    }
#undef DIGITS
    return s - text;
}

/* Up to 15 digits, and powers of ten up to 10^22, are exact in double, so one operation rounds
 * once. */
static int exact_decimal(const char *text, int64_t length, double *value)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int64_t mantissa = 0, exponent = 0, i = text[0] == '-';
    int digits = 0, fraction = 0;
    for (; i < length && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            fraction = 1;
            continue;
        }
        mantissa = mantissa * 10 + (text[i] - '0');
        exponent -= fraction;
        if (mantissa && ++digits > 15)
            return 0;
    }
    if (i < length) {
        int negative = text[++i] == '-';
        int64_t e = 0;
        i += text[i] == '-' || text[i] == '+';
        for (; i < length; i++)
            if ((e = e * 10 + (text[i] - '0')) > 10000)
                return 0;
        exponent += negative ? -e : e;
    }
    if (exponent < -22 || exponent > 22)
        return 0;
    double m = (double)mantissa;
    m = exponent < 0 ? m / power[-exponent] : m * power[exponent];
    *value = text[0] == '-' ? -m : m;
    return 1;
}

int ptqi_parse_number(const char *text, int64_t length, double *value)
{
    char copy[400], *stop;
    if (length <= 0 || number_length(text, text + length) != length)
        return 0;
    if (exact_decimal(text, length, value))
        return 1;
    if (length >= (int64_t)sizeof copy)
        return 0;
    memcpy(copy, text, (size_t)length);
    copy[length] = 0;
    *value = strtod(copy, &stop);
    if (*stop == '.') { /* the locale has another decimal point: find out which */
        char probe[8];
        snprintf(probe, sizeof probe, "%.1f", 0.5);
        *strchr(copy, '.') = probe[1];
        *value = strtod(copy, &stop);
    }
    return *stop == 0 && *value - *value == 0;
}

static ptq_status parse_scalar(struct parser *p, struct ptqi_json *node)
{
    static const struct {
        const char *text;
        enum ptqi_json_kind kind;
        double number;
    } words[] = {
        {"null", PTQI_JSON_NULL, 0}, {"true", PTQI_JSON_BOOL, 1}, {"false", PTQI_JSON_BOOL, 0}};
    if (*p->at == '"') {
        p->at++;
        node->kind = PTQI_JSON_STRING;
        return parse_string(p, &node->text, &node->length);
    }
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i].text);
        if ((size_t)(p->end - p->at) >= n && !memcmp(p->at, words[i].text, n)) {
            p->at += n;
            node->kind = words[i].kind;
            node->number = words[i].number;
            return PTQ_OK;
        }
    }
    int64_t n = number_length(p->at, p->end);
    node->kind = PTQI_JSON_NUMBER;
    if (!n || !ptqi_parse_number(p->at, n, &node->number))
        return bad(p, "invalid value");
    node->text = p->at;
    node->length = (int32_t)ptqi_min(n, INT32_MAX);
    p->at += n;
    return PTQ_OK;
}

/* Whether the table already has a member with this name; if not, adds it. */
static int is_second(struct ptqi_table *t, const struct ptqi_json *member)
{
    const uint64_t hash = ptqi_table_hash(t, member->name, member->name_length);
    const struct ptqi_slot *slot;
    for (int64_t at = -1; (slot = ptqi_table_next(t, hash, &at));) {
        const struct ptqi_json *other = (const struct ptqi_json *)(intptr_t)slot->item;
        if (other->name_length == member->name_length &&
            !memcmp(other->name, member->name, (size_t)member->name_length))
            return 1;
    }
    ptqi_table_add(t, hash, (int64_t)(intptr_t)member);
    return 0;
}

/* Rejects an object that has two members with the same name. */
static ptq_status check_unique(struct parser *p, const struct ptqi_json *object)
{
    ptq_context *context = p->document->context;
    struct ptqi_table names;
    if (object->count < 2)
        return PTQ_OK;
    ptqi_table_begin(&names, context);
    ptq_status status = ptqi_table_reserve(&names, object->count);
    for (const struct ptqi_json *m = object->first; m && !status; m = m->next)
        if (is_second(&names, m))
            status = ptqi_fail(context, PTQ_ERROR_FORMAT,
                               "%s: JSON: the key \"%.100s\" occurs twice", p->what, m->name);
    ptqi_table_end(&names);
    return status;
}

/* Closes the innermost containers that end here; then p->at is at the next value or at the end. */
static ptq_status close_containers(struct parser *p)
{
    while (p->depth) {
        struct ptqi_json *open = p->stack[p->depth - 1].node;
        char bracket = open->kind == PTQI_JSON_OBJECT ? '}' : ']';
        skip_space(p);
        if (p->at == p->end)
            return bad(p, "the text ends too early");
        if (*p->at == bracket) {
            p->at++;
            p->depth--;
            if (open->kind == PTQI_JSON_OBJECT)
                PTQI_TRY(check_unique(p, open));
            continue;
        }
        if (open->count == 0)
            return PTQ_OK;
        if (*p->at != ',')
            return bad(p, "expected a comma or a closing bracket");
        p->at++;
        skip_space(p);
        return PTQ_OK;
    }
    return PTQ_OK;
}

static ptq_status parse_key(struct parser *p, struct ptqi_json *node)
{
    if (p->at == p->end || *p->at != '"')
        return bad(p, "expected a key");
    p->at++;
    PTQI_TRY(parse_string(p, &node->name, &node->name_length));
    skip_space(p);
    if (p->at == p->end || *p->at != ':')
        return bad(p, "expected a colon");
    p->at++;
    skip_space(p);
    return PTQ_OK;
}

static ptq_status parse_value(struct parser *p, struct ptqi_json **out)
{
    struct ptqi_json *node = cut(p->document, (int64_t)sizeof *node);
    if (!node)
        return PTQ_ERROR_MEMORY;
    memset(node, 0, sizeof *node);
    *out = node;
    if (p->depth) {
        struct ptqi_json *open = p->stack[p->depth - 1].node, *last = p->stack[p->depth - 1].last;
        if (open->kind == PTQI_JSON_OBJECT)
            PTQI_TRY(parse_key(p, node));
        if (last)
            last->next = node;
        else
            open->first = node;
        p->stack[p->depth - 1].last = node;
        if (open->count++ == INT32_MAX - 1)
            return bad(p, "too many elements");
    }
    if (p->at == p->end)
        return bad(p, "the text ends too early");
    if (*p->at != '{' && *p->at != '[')
        return parse_scalar(p, node);
    node->kind = *p->at++ == '{' ? PTQI_JSON_OBJECT : PTQI_JSON_ARRAY;
    if (p->depth == MAX_DEPTH)
        return bad(p, "nested too deeply");
    p->stack[p->depth].node = node;
    p->stack[p->depth++].last = NULL;
    return PTQ_OK;
}

static ptq_status parse(struct parser *p, const struct ptqi_json **root)
{
    struct ptqi_json *node;
    skip_space(p);
    PTQI_TRY(parse_value(p, &node));
    *root = node;
    PTQI_TRY(close_containers(p));
    while (p->depth) {
        PTQI_TRY(parse_value(p, &node));
        PTQI_TRY(close_containers(p));
    }
    skip_space(p);
    return p->at == p->end ? PTQ_OK : bad(p, "unexpected text after the value");
}

ptq_status ptqi_json_parse(ptq_context *context, const char *text, int64_t length, const char *what,
                           struct ptqi_json_document **document, const struct ptqi_json **root)
{
    struct parser p;
    memset(&p, 0, sizeof p);
    *document = NULL;
    *root = NULL;
    p.document = ptqi_alloc_zero(context, 1, (int64_t)sizeof *p.document);
    if (!p.document)
        return PTQ_ERROR_MEMORY;
    p.document->context = context;
    p.what = what;
    p.begin = p.at = text;
    p.end = text + length;
    ptq_status status =
        length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)
            ? bad(&p, "begins with a byte order mark (BOM); save it as UTF-8 without one")
            : parse(&p, root);
    if (status) {
        ptqi_json_free(p.document);
        *root = NULL;
        return status;
    }
    *document = p.document;
    return PTQ_OK;
}

const struct ptqi_json *ptqi_json_get(const struct ptqi_json *object, const char *name)
{
    if (!object || object->kind != PTQI_JSON_OBJECT)
        return NULL;
    for (const struct ptqi_json *m = object->first; m; m = m->next)
        if (!strcmp(m->name, name) && !name[m->name_length])
            return m; /* and no zero byte is in its name */
    return NULL;
}

int ptqi_json_integer(const struct ptqi_json *value, int64_t *out)
{
    if (!value || value->kind != PTQI_JSON_NUMBER || value->number > 0x1p53 ||
        value->number < -0x1p53 || (double)(int64_t)value->number != value->number)
        return 0;
    *out = (int64_t)value->number;
    return 1;
}

const char *ptqi_json_string(const struct ptqi_json *value)
{
    return value && value->kind == PTQI_JSON_STRING ? value->text : NULL;
}

int ptqi_json_flag(const struct ptqi_json *object, const char *name, int fallback)
{
    const struct ptqi_json *value = ptqi_json_get(object, name);
    return value && value->kind == PTQI_JSON_BOOL ? value->number != 0 : fallback;
}
