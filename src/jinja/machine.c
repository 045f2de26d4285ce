#include "jinja/machine.h"
#include <stdio.h>

enum { BYTES_PER_STEP = 8, DEEPEST = 600 };

ptq_status machine_fail(struct machine *m, ptq_status status, const char *format, ...)
{
    char message[PTQI_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return ptqi_fail(m->context, status, "line %d: %s", m->line, message);
}

ptq_status machine_refuse(struct machine *m, const char *what, struct text name)
{
    return machine_fail(m, PTQ_ERROR_UNSUPPORTED, "%s '%.*s' is not supported", what,
                        (int)ptqi_min(name.length, 40), name.bytes);
}

ptq_status machine_work(struct machine *m, int64_t bytes)
{
    m->steps += 1 + bytes / BYTES_PER_STEP;
    if (m->steps > m->most_steps)
        return machine_fail(m, PTQ_ERROR_BOUNDS, "the template takes too many steps");
    return m->steps % 4096 ? PTQ_OK : ptqi_check_cancelled(m->context);
}

ptq_status machine_enter(struct machine *m)
{
    if (m->depth == DEEPEST)
        return machine_fail(m, PTQ_ERROR_BOUNDS, "the template nests too deeply");
    m->depth++;
    return machine_work(m, 0);
}

void machine_leave(struct machine *m)
{
    m->depth--;
}

ptq_status scope_begin(struct machine *m, struct scope *parent, struct scope **scope)
{
    struct scope *new = arena_alloc(m->arena, 1, (int64_t)sizeof *new);
    if (!new)
        return m->arena->status;
    *new = (struct scope){parent, NULL};
    *scope = new;
    return PTQ_OK;
}

static ptq_status find_here(struct machine *m, struct scope *scope, struct text name,
                            struct variable **found)
{
    struct variable *v = scope->first;
    int64_t passed = 0;
    for (; v && !text_equal(v->name, name); v = v->next)
        passed++;
    *found = v;
    return machine_work(m, passed);
}

ptq_status scope_find(struct machine *m, struct scope *scope, struct text name,
                      struct variable **found)
{
    for (*found = NULL; scope && !*found; scope = scope->parent)
        PTQI_TRY(find_here(m, scope, name, found));
    return PTQ_OK;
}

ptq_status scope_set(struct machine *m, struct scope *scope, struct text name, struct value value)
{
    struct variable *v;
    PTQI_TRY(find_here(m, scope, name, &v));
    if (!v) {
        v = arena_alloc(m->arena, 1, (int64_t)sizeof *v);
        if (!v)
            return m->arena->status;
        *v = (struct variable){.name = name, .next = scope->first};
        scope->first = v;
    }
    v->value = value;
    return PTQ_OK;
}
