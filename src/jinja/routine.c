#include "jinja/routine.h"
#include <string.h>

const struct routine *routine_find(const struct routine *table, int count, struct text name)
{
    for (int i = 0; i < count; i++)
        if (text_is(name, table[i].name))
            return &table[i];
    return NULL;
}

/* The next word of a list of parameters; 0 at its end. */
static int next_word(const char **list, struct text *word)
{
    *list += strspn(*list, " ");
    *word = (struct text){*list, (int64_t)strcspn(*list, " ")};
    *list += word->length;
    return word->length != 0;
}

static int place_of(const char *parameters, struct text name)
{
    struct text word;
    for (int i = 0; next_word(&parameters, &word); i++)
        if (text_equal(word, name))
            return i;
    return -1;
}

static int count_of(const char *parameters)
{
    struct text word;
    int count = 0;
    while (next_word(&parameters, &word))
        count++;
    return count;
}

/* Puts arguments in the places of the parameters. */
static ptq_status bind(struct machine *m, const struct routine *r,
                       const struct arguments *arguments, struct value *values)
{
    const int count = count_of(r->parameters);
    for (int i = 0; i < ROUTINE_PARAMETERS; i++)
        values[i] = value_absent();
    if (arguments->count > count)
        return machine_fail(m, PTQ_ERROR_FORMAT, "'%s' takes %d arguments, not %d", r->name, count,
                            arguments->count);
    for (int i = 0; i < arguments->count; i++)
        values[i] = arguments->values[i];
    for (int i = 0; i < arguments->keyword_count; i++) {
        const struct keyword *k = &arguments->keywords[i];
        const int place = place_of(r->parameters, k->name);
        if (place < 0 || values[place].kind != VALUE_ABSENT)
            return machine_fail(m, PTQ_ERROR_UNSUPPORTED, "'%s' does not take '%.*s' here", r->name,
                                (int)ptqi_min(k->name.length, 40), k->name.bytes);
        values[place] = k->value;
    }
    for (int i = 0; i < r->required; i++)
        if (values[i].kind == VALUE_ABSENT)
            return machine_fail(m, PTQ_ERROR_FORMAT, "'%s' needs more arguments", r->name);
    return PTQ_OK;
}

ptq_status routine_call(struct machine *m, const char *what, const struct routine *routine,
                        const struct value *self, const struct arguments *arguments,
                        struct value *result)
{
    struct value values[ROUTINE_PARAMETERS], input = *self; /* result may be self */
    struct call c = {m, &input, *arguments, result};
    if (!routine->run)
        return machine_refuse(m, what,
                              (struct text){routine->name, (int64_t)strlen(routine->name)});
    if (routine->parameters) {
        PTQI_TRY(bind(m, routine, arguments, values));
        c.arguments = (struct arguments){.values = values, .count = ROUTINE_PARAMETERS};
    }
    return routine->run(&c);
}

int call_has(const struct call *c, int i)
{
    const struct value *v = &c->arguments.values[i];
    return v->kind != VALUE_ABSENT && v->kind != VALUE_NONE;
}

ptq_status call_text(const struct call *c, int i, struct text *text)
{
    const struct value *v = &c->arguments.values[i];
    if (v->kind != VALUE_STRING)
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "an argument should be a string, not %s",
                            value_type(v));
    *text = v->text;
    return PTQ_OK;
}

ptq_status call_integer(const struct call *c, int i, int64_t *integer)
{
    const struct value *v = &c->arguments.values[i];
    if (!value_is_whole(v))
        return machine_fail(c->m, PTQ_ERROR_FORMAT, "an argument should be an integer, not %s",
                            value_type(v));
    *integer = v->integer;
    return PTQ_OK;
}

int call_flag(const struct call *c, int i)
{
    return value_is_true(&c->arguments.values[i]);
}
