#include "checkpoint/difference.h"
#include <stdio.h>
#include <string.h>
#include "base/json.h"

struct path {
    char *text;
    size_t capacity;
};

static int same_leaf(const struct ptqi_json *a, const struct ptqi_json *b)
{
    if (a->kind != b->kind)
        return 0;
    if (a->kind == PTQI_JSON_STRING)
        return a->length == b->length && !memcmp(a->text, b->text, (size_t)a->length);
    return a->kind == PTQI_JSON_NULL || a->number == b->number;
}

static int is_same(const struct ptqi_json *a, const struct ptqi_json *b, struct path *path);

/* Usually members with the same name are at the same position. */
static const struct ptqi_json *partner(const struct ptqi_json *object, const char *name,
                                       const struct ptqi_json *likely)
{
    return likely && likely->name && !strcmp(likely->name, name) ? likely
                                                                 : ptqi_json_get(object, name);
}

static int same_members(const struct ptqi_json *a, const struct ptqi_json *b, struct path *path)
{
    const size_t used = strlen(path->text);
    const struct ptqi_json *likely = b->first;
    for (const struct ptqi_json *m = a->first; m; m = m->next) {
        const struct ptqi_json *other = partner(b, m->name, likely);
        likely = likely ? likely->next : NULL;
        snprintf(path->text + used, path->capacity - used, "%s%.150s", used ? " " : "", m->name);
        if (!other || !is_same(m, other, path))
            return 0;
    }
    path->text[used] = 0;
    return 1;
}

/* Whether b has a member that a does not have. */
static int has_more(const struct ptqi_json *a, const struct ptqi_json *b, struct path *path)
{
    const size_t used = strlen(path->text);
    const struct ptqi_json *likely = a->first;
    for (const struct ptqi_json *m = b->first; m; m = m->next) {
        if (!partner(a, m->name, likely)) {
            snprintf(path->text + used, path->capacity - used, "%s%.150s", used ? " " : "",
                     m->name);
            return 1;
        }
        likely = likely ? likely->next : NULL;
    }
    return 0;
}

static int same_elements(const struct ptqi_json *a, const struct ptqi_json *b, struct path *path)
{
    const struct ptqi_json *y = b->first;
    for (const struct ptqi_json *x = a->first; x; x = x->next, y = y->next)
        if (!y || !is_same(x, y, path))
            return 0;
    return !y;
}

/* The reader limits the depth of both. */
static int is_same(const struct ptqi_json *a, const struct ptqi_json *b, struct path *path)
{
    if (a->kind == PTQI_JSON_OBJECT && b->kind == PTQI_JSON_OBJECT)
        return same_members(a, b, path) && !has_more(a, b, path);
    if (a->kind == PTQI_JSON_ARRAY && b->kind == PTQI_JSON_ARRAY)
        return same_elements(a, b, path);
    return same_leaf(a, b);
}

ptq_status find_difference(ptq_context *context, const char *what, const char *a, int64_t length,
                           const char *b, char *where, int64_t capacity)
{
    struct ptqi_json_document *first = NULL, *second = NULL;
    const struct ptqi_json *x, *y;
    struct path path = {where, (size_t)capacity};
    *where = 0;
    ptq_status status = ptqi_json_parse(context, a, length, what, &first, &x);
    if (!status)
        status = ptqi_json_parse(context, b, (int64_t)strlen(b), what, &second, &y);
    if (!status && !is_same(x, y, &path) && !*where)
        snprintf(where, (size_t)capacity, "its kind");
    ptqi_json_free(first);
    ptqi_json_free(second);
    return status;
}
