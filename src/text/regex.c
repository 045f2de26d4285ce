/*
 * The search tries alternatives in order and goes back where one fails. It recurses at most once
 * for every op, because ops only lead forwards.
 */
#include "regex.h"
#include <string.h>
#include "unicode.h"

ptq_status regex_add_op(struct regex *r, struct regex_op op)
{
    PTQI_TRY(ptqi_grow(r->context, (void **)&r->ops, r->op_count, &r->op_capacity, r->op_count + 1,
                       (int64_t)sizeof *r->ops));
    r->ops[r->op_count++] = op;
    return PTQ_OK;
}

ptq_status regex_add_class(struct regex *r, int32_t *index)
{
    PTQI_TRY(ptqi_grow(r->context, (void **)&r->classes, r->class_count, &r->class_capacity,
                       r->class_count + 1, (int64_t)sizeof *r->classes));
    memset(r->classes + r->class_count, 0, sizeof *r->classes);
    r->classes[r->class_count].first_range = (int32_t)r->range_count;
    *index = (int32_t)r->class_count++;
    return PTQ_OK;
}

ptq_status regex_add_range(struct regex *r, struct regex_class *c, uint32_t first, uint32_t last)
{
    PTQI_TRY(ptqi_grow(r->context, (void **)&r->ranges, r->range_count, &r->range_capacity,
                       r->range_count + 1, (int64_t)sizeof *r->ranges));
    r->ranges[r->range_count].first = first;
    r->ranges[r->range_count++].last = last;
    c->ranges++;
    return PTQ_OK;
}

int regex_has(const struct regex *r, const struct regex_class *c, uint32_t character)
{
    int found = c->properties && c->properties >> unicode_category(character) & 1;
    if (!found && c->properties & (REGEX_SPACE | REGEX_NOT_SPACE))
        found = (c->properties & (unicode_is_space(character) ? REGEX_SPACE : REGEX_NOT_SPACE)) > 0;
    if (!found && c->properties & REGEX_NUMERIC)
        found = unicode_is_numeric(character);
    for (int32_t i = 0; i < c->ranges && !found; i++) {
        const struct regex_range *range = &r->ranges[c->first_range + i];
        found = character >= range->first && character <= range->last;
    }
    return found != c->negated;
}

struct search {
    const struct regex *r;
    const char *begin, *end;
};

/* The end of the character at `at` if the class contains it, else NULL. */
static const char *one_of(const struct search *s, const struct regex_class *c, const char *at)
{
    if (at == s->end)
        return NULL;
    const uint8_t byte = (uint8_t)*at;
    if (byte < 0x80)
        return c->ascii[byte / 64] >> byte % 64 & 1 ? at + 1 : NULL;
    return regex_has(s->r, c, ptqi_utf8_next(&at)) ? at : NULL;
}

static const char *match(const struct search *s, const struct regex_op *op, const char *at);

static const char *match_run(const struct search *s, const struct regex_op *op, const char *at)
{
    const struct regex_class *c = s->r->classes + op->class_index;
    const char *next, *found;
    int64_t count = 0;
    while (count < op->max && (next = one_of(s, c, at)) != NULL) {
        at = next;
        count++;
    }
    for (; count >= op->min; count--) {
        if ((found = match(s, op + 1, at)) != NULL || op->kind == REGEX_FIXED || !count)
            return found;
        do
            at--;
        while (((uint8_t)*at & 0xc0) == 0x80);
    }
    return NULL;
}

/* Whether a condition holds at `at`. */
static int holds(const struct search *s, const struct regex_op *op, const char *at)
{
    switch (op->kind) {
    case REGEX_BEGIN:
        return at == s->begin;
    case REGEX_END:
        return at == s->end;
    case REGEX_LINE_END:
        return at == s->end || *at == '\n';
    default:
        return (match(s, op + 1, at) != NULL) == (op->kind == REGEX_AHEAD);
    }
}

/* The end of the match of op and what follows it at `at`, NULL if there is none. */
static const char *match(const struct search *s, const struct regex_op *op, const char *at)
{
    const char *next;
    for (;;) {
        switch (op->kind) {
        case REGEX_MATCH:
            return at;
        case REGEX_RUN:
        case REGEX_FIXED:
            if (op->min != 1 || op->max != 1)
                return match_run(s, op, at);
            if (!(at = one_of(s, s->r->classes + op->class_index, at)))
                return NULL;
            op++;
            break;
        case REGEX_SPLIT:
            if ((next = match(s, op + 1, at)) != NULL)
                return next;
            op += op->jump;
            break;
        case REGEX_JUMP:
            op += op->jump;
            break;
        default:
            if (!holds(s, op, at))
                return NULL;
            op += op->jump;
        }
    }
}

const char *regex_find(const struct regex *r, const char *begin, const char *end, const char *from,
                       const char **match_end)
{
    const struct search s = {r, begin, end};
    for (; from < end; from++) { /* no match starts with the second byte of a character */
        if (r->starts[(uint8_t)*from] && (*match_end = match(&s, r->ops, from)) != NULL)
            return from;
    }
    return NULL;
}

void regex_free(struct regex *r)
{
    if (!r->context)
        return;
    ptqi_free(r->context, r->ops);
    ptqi_free(r->context, r->classes);
    ptqi_free(r->context, r->ranges);
    memset(r, 0, sizeof *r);
}
