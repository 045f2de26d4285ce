#include "jinja/jinja.h"
#include <string.h>
#include "jinja/execute.h"
#include "jinja/from_json.h"
#include "jinja/lexer.h"
#include "jinja/parse_statement.h"

/* Bytes for a template and for a rendering: enough for the longest conversation that a model can
 * read. */
#define PARSE_MEMORY (64LL << 20)
#define RENDER_MEMORY (512LL << 20)
/* Each takes up to about 50 ns. */
#define RENDER_STEPS 50000000

struct jinja_template {
    ptq_context *context;
    struct arena arena;
    struct node *first;
    int64_t steps, memory; /* of a rendering, at most */
};

static ptq_status parse(struct jinja_template *t, const char *text, int64_t length)
{
    struct tokens tokens;
    struct parser p = {.arena = &t->arena};
    PTQI_TRY(lexer_run(&t->arena, (struct text){text, length}, &tokens));
    p.at = tokens.list;
    return parse_template(&p, &t->first);
}

ptq_status jinja_parse(ptq_context *context, const char *text, int64_t length,
                       struct jinja_template **out)
{
    struct jinja_template *t = ptqi_alloc_zero(context, 1, (int64_t)sizeof *t);
    *out = NULL;
    if (!t)
        return PTQ_ERROR_MEMORY;
    t->context = context;
    t->steps = RENDER_STEPS;
    t->memory = RENDER_MEMORY;
    arena_begin(&t->arena, context, PARSE_MEMORY);
    const ptq_status status = parse(t, text, length);
    if (status)
        jinja_free(t);
    else
        *out = t;
    return status;
}

void jinja_free(struct jinja_template *t)
{
    if (!t)
        return;
    arena_free(&t->arena);
    ptqi_free(t->context, t);
}

void jinja_limit(struct jinja_template *t, int64_t steps, int64_t memory)
{
    t->steps = steps;
    t->memory = memory;
}

static ptq_status set_variables(struct machine *m, const struct jinja_variable *variables,
                                int count)
{
    PTQI_TRY(scope_begin(m, NULL, &m->scope));
    for (int i = 0; i < count; i++) {
        const char *const name = variables[i].name;
        struct value v = value_none();
        if (variables[i].value)
            PTQI_TRY(value_from_json(m, variables[i].value, &v));
        PTQI_TRY(scope_set(m, m->scope, (struct text){name, (int64_t)strlen(name)}, v));
    }
    return scope_begin(m, m->scope, &m->scope); /* what the template sets */
}

ptq_status jinja_render(const struct jinja_template *t, const struct jinja_variable *variables,
                        int count, const struct tm *now, char **text, int64_t *length)
{
    struct arena arena;
    struct builder out = {.arena = &arena};
    struct machine m = {.context = t->context, .arena = &arena, .now = now, .out = &out};
    m.most_steps = t->steps;
    m.line = 1;
    *text = NULL;
    *length = 0;
    arena_begin(&arena, t->context, t->memory);
    ptq_status status = set_variables(&m, variables, count);
    if (!status)
        status = execute_template(&m, t->first);
    if (!status)
        *text = ptqi_copy_text(t->context, out.bytes ? out.bytes : "", out.length);
    if (!status && !*text)
        status = PTQ_ERROR_MEMORY;
    *length = out.length;
    arena_free(&arena);
    return status;
}
