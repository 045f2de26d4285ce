/*
 * Compiles regular expressions for regex.c. Jumps are relative, so a finished part can be moved
 * when an op has to be put before it.
 */
#include "regex_set.h"
#include <string.h>
#include "base/utf8.h"

#define MAX_DEPTH 16
#define MAX_LENGTH 65536
#define MAX_COUNT 1000

static ptq_status insert_op(struct regex *r, int64_t at, struct regex_op op)
{
    PTQI_TRY(regex_add_op(r, op));
    memmove(r->ops + at + 1, r->ops + at, (size_t)(r->op_count - 1 - at) * sizeof *r->ops);
    r->ops[at] = op;
    return PTQ_OK;
}

static int distance(const struct regex *r, int64_t from)
{
    return (int)(r->op_count - from);
}

static ptq_status parse_alternatives(struct regex_parser *p, int *least);

/* Groups and conditions that begin with a bracket. */
static const struct {
    const char *text;
    enum regex_kind condition; /* REGEX_MATCH for none */
    int fold;
} groups[] = {
    {"(?:", REGEX_MATCH, 0},
    {"(?i:", REGEX_MATCH, 1},
    {"(?!", REGEX_NOT_AHEAD, 0},
    {"(?=", REGEX_AHEAD, 0},
};

static ptq_status parse_group(struct regex_parser *p, enum regex_kind condition, int *least)
{
    const int64_t start = p->r->op_count;
    if (++p->depth > MAX_DEPTH)
        return regex_refuse(p, "such a depth");
    if (condition != REGEX_MATCH)
        PTQI_TRY(regex_add_op(p->r, (struct regex_op){.kind = condition}));
    PTQI_TRY(parse_alternatives(p, least));
    if (!regex_accept(p, ")"))
        return regex_refuse(p, "a group without an end");
    p->depth--;
    if (condition != REGEX_MATCH) {
        PTQI_TRY(regex_add_op(p->r, (struct regex_op){.kind = REGEX_MATCH}));
        p->r->ops[start].jump = distance(p->r, start);
        *least = 0;
        return PTQ_OK;
    }
    if (regex_accept(p, "?")) {
        const int jump = distance(p->r, start) + 1;
        PTQI_TRY(insert_op(p->r, start, (struct regex_op){.kind = REGEX_SPLIT, .jump = jump}));
        *least = 0;
    }
    return p->at < p->end && strchr("?*+{", *p->at) ? regex_refuse(p, "a repeated group") : PTQ_OK;
}

static int parse_number(struct regex_parser *p, int fallback)
{
    int64_t number = -1;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
        if (number <= MAX_COUNT)
            number = (number < 0 ? 0 : number * 10) + (*p->at - '0');
    return number < 0 ? fallback : (int)number;
}

static ptq_status parse_interval(struct regex_parser *p, struct regex_op *op)
{
    op->min = op->max = parse_number(p, -1);
    if (regex_accept(p, ","))
        op->max = parse_number(p, INT32_MAX);
    if (!regex_accept(p, "}") || op->min < 0 || op->min > MAX_COUNT || op->max < op->min)
        return regex_refuse(p, "this { }");
    return PTQ_OK;
}

/* The quantifier behind a single character, if there is one. */
static ptq_status parse_quantifier(struct regex_parser *p, struct regex_op *op)
{
    static const struct {
        const char *text;
        int32_t min, max;
    } quantifiers[] = {{"?", 0, 1}, {"*", 0, INT32_MAX}, {"+", 1, INT32_MAX}};
    int found = 0;
    for (int i = 0; i < 3 && !found; i++)
        if (regex_accept(p, quantifiers[i].text)) {
            op->min = quantifiers[i].min;
            op->max = quantifiers[i].max;
            op->kind = regex_accept(p, "+") ? REGEX_FIXED : REGEX_RUN;
            found = 1;
        }
    if (!found && regex_accept(p, "{"))
        PTQI_TRY(parse_interval(p, op));
    else if (!found)
        return PTQ_OK;
    return p->at < p->end && strchr("?*+{", *p->at) ? regex_refuse(p, "this quantifier") : PTQ_OK;
}

/* Some pairs of letters are equal to one character if case is ignored, which is not done here. */
static int folds_to_one(const struct regex_parser *p)
{
    static const char pairs[][3] = {"ff", "fi", "fl", "ss", "st"};
    if (!p->fold || p->end - p->at < 2)
        return 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if ((p->at[0] | 32) == pairs[i][0] && (p->at[1] | 32) == pairs[i][1])
            return 1;
    return 0;
}

static ptq_status parse_character(struct regex_parser *p, int *least)
{
    struct regex_op op = {.kind = REGEX_RUN, .min = 1, .max = 1};
    if (strchr("?*+{^)", *p->at))
        return regex_refuse(p, "this character");
    if (folds_to_one(p))
        return regex_refuse(p, "(?i) with these letters");
    PTQI_TRY(regex_parse_set(p, &op.class_index));
    PTQI_TRY(parse_quantifier(p, &op));
    *least = op.min;
    return regex_add_op(p->r, op);
}

/* The least number of characters that a part matches is added up, to find those that match none. */
static ptq_status parse_atom(struct regex_parser *p, int *least)
{
    static const struct {
        const char *text;
        enum regex_kind kind;
    } conditions[] = {{"\\A", REGEX_BEGIN}, {"\\z", REGEX_END}, {"$", REGEX_LINE_END}};
    const int fold = p->fold;
    *least = 0;
    for (int i = 0; i < 3; i++)
        if (regex_accept(p, conditions[i].text))
            return regex_add_op(p->r, (struct regex_op){.kind = conditions[i].kind, .jump = 1});
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (regex_accept(p, groups[i].text)) {
            p->fold |= groups[i].fold;
            ptq_status status = parse_group(p, groups[i].condition, least);
            p->fold = fold;
            return status;
        }
    if (regex_accept(p, "(?"))
        return regex_refuse(p, "this kind of group");
    return regex_accept(p, "(") ? parse_group(p, REGEX_MATCH, least) : parse_character(p, least);
}

static ptq_status parse_sequence(struct regex_parser *p, int *least)
{
    int least_atom;
    *least = 0;
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        PTQI_TRY(parse_atom(p, &least_atom));
        if (*least < MAX_COUNT)
            *least += least_atom;
    }
    return PTQ_OK;
}

static ptq_status parse_alternatives(struct regex_parser *p, int *least)
{
    struct regex *r = p->r;
    int64_t start = r->op_count, last_jump = -1; /* jumps to the end lead back in a list */
    int least_here;
    PTQI_TRY(parse_sequence(p, least));
    while (regex_accept(p, "|")) {
        const int jump = distance(r, start) + 2;
        PTQI_TRY(insert_op(r, start, (struct regex_op){.kind = REGEX_SPLIT, .jump = jump}));
        PTQI_TRY(
            regex_add_op(r, (struct regex_op){.kind = REGEX_JUMP, .jump = (int32_t)last_jump}));
        last_jump = r->op_count - 1;
        start = r->op_count;
        PTQI_TRY(parse_sequence(p, &least_here));
        if (least_here < *least)
            *least = least_here;
    }
    while (last_jump >= 0) {
        struct regex_op *op = r->ops + last_jump;
        const int64_t before = op->jump;
        op->jump = distance(r, last_jump);
        last_jump = before;
    }
    return PTQ_OK;
}

/* Whether the match from op onwards may start with an ASCII character, given the same for what
 * follows it. */
static int may_start(const struct regex *r, const uint8_t *can, int64_t i, int byte)
{
    const struct regex_op *op = r->ops + i;
    switch (op->kind) {
    case REGEX_MATCH:
        return 1;
    case REGEX_RUN:
    case REGEX_FIXED:
        return (r->classes[op->class_index].ascii[byte / 64] >> byte % 64 & 1) ||
               (!op->min && can[i + 1]);
    case REGEX_SPLIT:
        return can[i + 1] || can[i + op->jump];
    default:
        return can[i + op->jump];
    }
}

static ptq_status find_starts(struct regex *r)
{
    uint8_t *can = ptqi_alloc(r->context, r->op_count, 1);
    if (!can)
        return PTQ_ERROR_MEMORY;
    for (int byte = 0; byte < 128; byte++) {
        for (int64_t i = r->op_count - 1; i >= 0; i--)
            can[i] = (uint8_t)may_start(r, can, i, byte);
        r->starts[byte] = can[0];
    }
    memset(r->starts + 0xc0, 1, 0x40); /* all that begin a character */
    ptqi_free(r->context, can);
    return PTQ_OK;
}

static ptq_status finish(struct regex *r)
{
    PTQI_TRY(regex_add_op(r, (struct regex_op){.kind = REGEX_MATCH}));
    return find_starts(r);
}

static void begin(struct regex *r, ptq_context *context)
{
    memset(r, 0, sizeof *r);
    r->context = context;
}

ptq_status regex_compile(ptq_context *context, const char *pattern, int64_t length, struct regex *r)
{
    struct regex_parser p = {.r = r, .begin = pattern, .at = pattern, .end = pattern + length};
    int least;
    begin(r, context);
    if (length > MAX_LENGTH)
        return regex_refuse(&p, "such a length");
    PTQI_TRY(parse_alternatives(&p, &least));
    if (p.at < p.end)
        return regex_refuse(&p, "a ) without a (");
    if (!least)
        return regex_refuse(&p, "an expression that may match nothing");
    return finish(r);
}

static ptq_status add_literal(struct regex *r, const char *text, int64_t length)
{
    const char *end = text + length;
    struct regex_op op = {.kind = REGEX_RUN, .min = 1, .max = 1};
    while (text < end) {
        uint32_t c = ptqi_utf8_next(&text);
        PTQI_TRY(regex_add_class(r, &op.class_index));
        PTQI_TRY(regex_add_range(r, r->classes + op.class_index, c, c));
        regex_finish_class(r, op.class_index);
        PTQI_TRY(regex_add_op(r, op));
    }
    return finish(r);
}

ptq_status regex_literal(ptq_context *context, const char *text, int64_t length, struct regex *r)
{
    begin(r, context);
    if (!length || length > MAX_LENGTH)
        return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED, "a pattern of %lld bytes is not supported",
                         (long long)length);
    return add_literal(r, text, length);
}

ptq_status regex_numeric(ptq_context *context, struct regex *r)
{
    struct regex_op op = {.kind = REGEX_RUN, .min = 1, .max = 1};
    begin(r, context);
    PTQI_TRY(regex_add_class(r, &op.class_index));
    r->classes[op.class_index].properties = REGEX_NUMERIC;
    regex_finish_class(r, op.class_index);
    PTQI_TRY(regex_add_op(r, op));
    return finish(r);
}
