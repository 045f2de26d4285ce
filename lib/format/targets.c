#include "format/targets.h"
#include <string.h>

#define STEPS 200000 /* of a match, so that no pattern takes long */

/* A backtracking matcher. Each function matches a part of the pattern and then the rest. */
struct matcher {
    const char *pattern_end;
    int64_t steps;
    int known;
};

/* What follows a match of a piece: the rest of the pattern up to an end, then another rest. */
struct rest {
    const char *pattern, *end;
    const struct rest *next;
};

static int match_alternatives(struct matcher *m, const char *pattern, const char *end,
                              const char *text, const struct rest *next);

static int fail(struct matcher *m)
{
    m->known = 0;
    return 0;
}

/* The end of a class "[...]" or a group "(...)" that begins at p, and of any other item. */
static const char *item_end(struct matcher *m, const char *p, const char *end)
{
    int depth = 0;
    if (*p == '\\')
        return p + 1 < end ? p + 2 : (fail(m), end);
    if (*p == '[') {
        for (p += 1 + (p[1] == '^'), p++; p < end && *p != ']'; p++)
            ;
        return p < end ? p + 1 : (fail(m), end);
    }
    if (*p != '(')
        return p + 1;
    for (; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            return p + 1;
    }
    fail(m);
    return end;
}

static int in_class(struct matcher *m, const char *p, const char *end, char c)
{
    const int negated = p[1] == '^';
    int found = 0;
    for (p += 1 + negated; p < end - 1; p++) {
        if (*p == '\\' || *p == '[')
            return fail(m);
        if (p + 2 < end - 1 && p[1] == '-') {
            found |= c >= p[0] && c <= p[2];
            p += 2;
        } else {
            found |= c == *p;
        }
    }
    return c && found != negated;
}

/* Whether an item other than a group matches one character. */
static int matches_one(struct matcher *m, const char *p, const char *end, char c)
{
    switch (*p) {
    case '.':
        return c != 0;
    case '[':
        return in_class(m, p, end, c);
    case '\\':
        if (p[1] == 'd')
            return c >= '0' && c <= '9';
        return strchr(".*+?^$()[]{}|/-_\\", p[1]) ? c == p[1] : fail(m);
    case '*':
    case '+':
    case '?':
    case '{':
        return fail(m);
    default:
        return c == *p;
    }
}

static int match_rest(struct matcher *m, const struct rest *rest, const char *text);

/* Matches pattern [.. end), which has no top-level "|", and then the rest. */
static int match_items(struct matcher *m, const char *pattern, const char *end, const char *text,
                       const struct rest *next)
{
    if (!m->known || --m->steps < 0)
        return fail(m);
    if (pattern == end)
        return match_rest(m, next, text);
    if (*pattern == '^')
        return fail(m); /* only at the beginning, where it is skipped */
    if (*pattern == '$')
        return !*text && match_items(m, pattern + 1, end, text, next);
    const char *after = item_end(m, pattern, end);
    const char repeat = after < end ? *after : 0;
    if (*pattern == '(') {
        if (pattern[1] == '?' || repeat == '*' || repeat == '+' || repeat == '{')
            return fail(m);
        const struct rest then = {after + (repeat == '?'), end, next};
        return match_alternatives(m, pattern + 1, after - 1, text, &then) ||
               (repeat == '?' && match_items(m, after + 1, end, text, next));
    }
    if (repeat == '*' || repeat == '+' || repeat == '?') {
        if (after + 1 < end && (after[1] == '?' || after[1] == '+'))
            after++; /* lazy: a match is a match */
        if (repeat != '+' && match_items(m, after + 1, end, text, next))
            return 1;
        while (*text && matches_one(m, pattern, after, *text) && m->known) {
            if (match_items(m, after + 1, end, ++text, next))
                return 1;
            if (repeat == '?')
                break;
        }
        return 0;
    }
    return *text && matches_one(m, pattern, after, *text) &&
           match_items(m, after, end, text + 1, next);
}

static int match_rest(struct matcher *m, const struct rest *rest, const char *text)
{
    return !rest || match_items(m, rest->pattern, rest->end, text, rest->next);
}

static int match_alternatives(struct matcher *m, const char *pattern, const char *end,
                              const char *text, const struct rest *next)
{
    const char *begin = pattern;
    for (const char *p = pattern; p < end && m->known; p = item_end(m, p, end))
        if (*p == '|') {
            if (match_items(m, begin, p, text, next))
                return 1;
            begin = p + 1;
        }
    return m->known && match_items(m, begin, end, text, next);
}

int ptqi_match(const char *pattern, const char *text, int *known)
{
    struct matcher m = {.steps = STEPS, .known = 1};
    pattern += *pattern == '^';
    const int found = match_alternatives(&m, pattern, pattern + strlen(pattern), text, NULL);
    *known = m.known;
    return found && m.known;
}

static ptq_status is_target(const ptq_store *store, const char *target, const char *prefix,
                            int *found)
{
    int known = 1;
    *found = !strcmp(target, "Linear") || !strcmp(target, prefix) ||
             (!strncmp(target, "re:", 3) && ptqi_match(target + 3, prefix, &known));
    return known ? PTQ_OK
                 : ptqi_fail(store->context, PTQ_ERROR_UNSUPPORTED,
                             "%s: quantization_config: the target %.100s is not supported",
                             store->path, target);
}

/* Exact names come before expressions, and these before the class, as in compressed-tensors. */
static int rank(const char *target, const char *prefix)
{
    return !strcmp(target, prefix) ? 3 : !strncmp(target, "re:", 3) ? 2 : 1;
}

ptq_status ptqi_find_target(const ptq_store *store, const char *prefix,
                            const struct ptqi_json **group)
{
    const struct ptqi_json *groups = ptqi_json_get(store->settings, "config_groups");
    int best = 0;
    *group = NULL;
    if (!groups || groups->kind != PTQI_JSON_OBJECT || !groups->count)
        return ptqi_fail(store->context, PTQ_ERROR_FORMAT,
                         "%s: quantization_config: config_groups is missing", store->path);
    if (groups->count == 1) {
        *group = groups->first;
        return PTQ_OK;
    }
    for (const struct ptqi_json *g = groups->first; g; g = g->next) {
        const struct ptqi_json *targets = ptqi_json_get(g, "targets");
        const struct ptqi_json *t =
            targets && targets->kind == PTQI_JSON_ARRAY ? targets->first : NULL;
        for (; t; t = t->next) {
            const char *text = ptqi_json_string(t);
            int found = 0;
            if (text)
                PTQI_TRY(is_target(store, text, prefix, &found));
            if (found && rank(text, prefix) > best) {
                best = rank(text, prefix);
                *group = g;
            }
        }
    }
    return *group ? PTQ_OK
                  : ptqi_fail(store->context, PTQ_ERROR_FORMAT,
                              "%s: quantization_config: no group has %.300s", store->path, prefix);
}
