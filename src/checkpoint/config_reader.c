#include "checkpoint/config_reader.h"
#include <string.h>
#include "base/context.h"

void config_fail(struct config_reader *r, const char *name, const char *problem)
{
    if (!r->status)
        r->status =
            ptqi_fail(r->context, PTQ_ERROR_FORMAT, "%s: \"%s\" %s", r->path, name, problem);
}

const struct ptqi_json *config_value(const struct ptqi_json *object, const char *name)
{
    const struct ptqi_json *value = ptqi_json_get(object, name);
    return value && value->kind != PTQI_JSON_NULL ? value : NULL;
}

static int was_seen(const struct config_reader *r, const struct ptqi_json *member)
{
    for (int i = 0; i < r->seen_count; i++)
        if (r->seen[i] == member)
            return 1;
    return 0;
}

const struct ptqi_json *config_member(struct config_reader *r, const char *name)
{
    const struct ptqi_json *member = ptqi_json_get(r->root, name);
    if (member && !was_seen(r, member) && r->seen_count < MAX_SEEN)
        r->seen[r->seen_count++] = member;
    return config_value(r->root, name);
}

/* A member of object, which is root or a member of it. */
static const struct ptqi_json *member_of(struct config_reader *r, const struct ptqi_json *object,
                                         const char *name)
{
    return object == r->root ? config_member(r, name) : config_value(object, name);
}

const struct ptqi_json *config_next_unseen(const struct config_reader *r, int64_t *at)
{
    int64_t i = 0;
    for (const struct ptqi_json *m = r->root->first; m; m = m->next, i++)
        if (i >= *at && m->kind != PTQI_JSON_NULL && !was_seen(r, m)) {
            *at = i + 1;
            return m;
        }
    return NULL;
}

int64_t config_integer(struct config_reader *r, const char *name, int64_t highest, int64_t fallback)
{
    const struct ptqi_json *value = config_member(r, name);
    int64_t number = fallback;
    if (!value && fallback < 0)
        config_fail(r, name, "is missing");
    else if (value && (!ptqi_json_integer(value, &number) || number < 1 || number > highest))
        config_fail(r, name, "is not an integer in its range");
    return number;
}

int64_t config_either(struct config_reader *r, const char *name, const char *other, int64_t highest)
{
    const int has_other = config_member(r, other) != NULL;
    if (!config_member(r, name))
        return config_integer(r, has_other ? other : name, highest, -1);
    const int64_t number = config_integer(r, name, highest, -1);
    if (has_other && config_integer(r, other, highest, -1) != number)
        config_fail(r, other, "contradicts another member of the same meaning");
    return number;
}

int64_t config_first(struct config_reader *r, const char *const *names, int64_t highest,
                     int64_t fallback)
{
    for (; *names; names++)
        if (config_member(r, *names))
            return config_integer(r, *names, highest, -1);
    return fallback;
}

double config_real(struct config_reader *r, const struct ptqi_json *object, const char *name,
                   double fallback)
{
    const struct ptqi_json *value = member_of(r, object, name);
    if (!value)
        return fallback;
    if (value->kind != PTQI_JSON_NUMBER || !(value->number > 0))
        config_fail(r, name, "is not a positive number");
    return value->number;
}

double config_optional(struct config_reader *r, const char *name, double fallback)
{
    const struct ptqi_json *value = ptqi_json_get(r->root, name);
    const double number = config_real(r, r->root, name, fallback);
    return value && value->kind == PTQI_JSON_NULL ? 0 : number;
}

int config_flag(struct config_reader *r, const char *name, int fallback)
{
    const struct ptqi_json *value = config_member(r, name);
    if (!value)
        return fallback;
    if (value->kind != PTQI_JSON_BOOL)
        config_fail(r, name, "is neither true nor false");
    return value->number != 0;
}

void config_expect(struct config_reader *r, const char *name, const char *wanted, const char *other)
{
    const struct ptqi_json *value = config_member(r, name);
    const char *text = ptqi_json_string(value);
    if (value && (!text || (strcmp(text, wanted) && strcmp(text, other))))
        config_fail(r, name, "has a value that is not supported");
}

/* false, {} and [] request nothing. */
static int is_nothing(const struct ptqi_json *value)
{
    if (value->kind == PTQI_JSON_BOOL)
        return value->number == 0;
    return (value->kind == PTQI_JSON_OBJECT || value->kind == PTQI_JSON_ARRAY) && !value->first;
}

void config_check_fixed(struct config_reader *r, const struct ptqi_json *object,
                        const struct config_fixed *fixed)
{
    for (; fixed->name; fixed++) {
        const struct ptqi_json *value = ptqi_json_get(object, fixed->name);
        if (object == r->root && value && was_seen(r, value))
            continue; /* this architecture has it */
        value = member_of(r, object, fixed->name);
        if (!value || is_nothing(value))
            continue;
        if (value->kind != PTQI_JSON_NUMBER || value->number != fixed->value)
            config_fail(r, fixed->name, "has a value that is not supported");
    }
}
