/*
 * Templates, against what jinja2 makes of them (test/data/chat.json, recorded by make_chat.py);
 * what is refused; the bounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "jinja/jinja.h"
#include "test.h"

enum { MOST_VARIABLES = 32 };

struct data {
    struct ptqi_map file;
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    struct jinja_variable variables[MOST_VARIABLES];
    int count;
    struct tm now;
};

static void set_variables(struct data *d, const struct ptqi_json *object)
{
    d->count = 0;
    for (const struct ptqi_json *v = object->first; v && d->count < MOST_VARIABLES; v = v->next)
        d->variables[d->count++] = (struct jinja_variable){v->name, v};
}

static int open_data(struct data *d)
{
    int64_t now;
    memset(d, 0, sizeof *d);
    if (!CHECK_OK(ptqi_map_file(test_context(), test_data("chat.json"), &d->file)) ||
        !CHECK_OK(ptqi_json_parse(test_context(), (const char *)d->file.data, d->file.size,
                                  "chat.json", &d->document, &d->root)) ||
        !CHECK(ptqi_json_integer(ptqi_json_get(d->root, "now"), &now)))
        return 0;
    const time_t seconds = (time_t)now;
    gmtime_r(&seconds, &d->now);
    set_variables(d, ptqi_json_get(d->root, "variables"));
    return 1;
}

static void close_data(struct data *d)
{
    ptqi_json_free(d->document);
    ptqi_unmap_file(&d->file);
}

static ptq_status render(const struct data *d, ptq_context *context, const char *source,
                         int64_t size, char **text, int64_t *length)
{
    struct jinja_template *t;
    *text = NULL;
    *length = 0;
    ptq_status status = jinja_parse(context, source, size, &t);
    if (!status)
        jinja_limit(t, 1000000, 1 << 24);
    if (!status)
        status = jinja_render(t, d->variables, d->count, &d->now, text, length);
    jinja_free(t);
    return status;
}

/* Whether a case gives the recorded text, or an error if jinja2 gives one. */
static int is_right(const struct data *d, const struct ptqi_json *c)
{
    const struct ptqi_json *source = ptqi_json_get(c, "template"),
                           *wanted = ptqi_json_get(c, "text");
    char *text, message[512];
    int64_t length;
    const ptq_status status =
        render(d, test_context(), source->text, source->length, &text, &length);
    const int right =
        wanted ? !status && length == wanted->length && !memcmp(text, wanted->text, (size_t)length)
               : status == PTQ_ERROR_FORMAT || status == PTQ_ERROR_UNSUPPORTED ||
                     status == PTQ_ERROR_BOUNDS;
    if (!right) {
        ptq_last_message(message, (int64_t)sizeof message);
        printf("    template: %s\n    gives:    %s\n    jinja2:   %s\n", source->text,
               status ? message : text, wanted ? wanted->text : "an error");
    }
    ptqi_free(test_context(), text);
    return right;
}

static void expressions(const struct data *d)
{
    const struct ptqi_json *all = ptqi_json_get(d->root, "expressions");
    CHECK(all && all->count > 500);
    for (const struct ptqi_json *c = all ? all->first : NULL; c; c = c->next)
        CHECK(is_right(d, c));
}

/* The status of a template, whose text is discarded. */
static ptq_status status_of(const struct data *d, const char *source)
{
    char *text;
    int64_t length;
    const ptq_status status =
        render(d, test_context(), source, (int64_t)strlen(source), &text, &length);
    ptqi_free(test_context(), text);
    return status;
}

static int message_is(const char *wanted)
{
    char message[512];
    ptq_last_message(message, (int64_t)sizeof message);
    if (!strcmp(message, wanted))
        return 1;
    printf("    message: %s\n    wanted:  %s\n", message, wanted);
    return 0;
}

/* What is not supported is named. */
static void refusals(const struct data *d)
{
    static const struct {
        const char *source, *message;
    } cases[] = {
        {"a\n{{ s | wordcount }}", "line 2: the filter 'wordcount' is not supported"},
        {"{{ s is escaped }}", "line 1: the test 'escaped' is not supported"},
        {"{{ s.swapcase() }}", "line 1: the method 'swapcase' is not supported"},
        {"{{ l.append(1) }}", "line 1: the method 'append' is not supported"},
        {"{{ cycler(1) }}", "line 1: the name 'cycler' is not supported"},
        {"{% include 'x' %}", "line 1: the statement 'include' is not supported"},
        {"{% call f() %}{% endcall %}", "line 1: the statement 'call' is not supported"},
        {"{% for x in l recursive %}", "line 1: a loop that is 'recursive' is not supported"},
        {"{% for x in l %}{{ loop.changed(x) }}{% endfor %}",
         "line 1: of a loop, the attribute 'changed' is not supported"},
        {"{{ f(*l) }}", "line 1: an argument with '*' is not supported"},
        {"{{ '%s' % s }}", "line 1: on a string, the operator '%' is not supported"},
        {"{{ '\u00e9' | upper }}", "line 1: changing the case of '\u00e9' is not supported"},
        {"{{ l | map('string') }}", "line 1: printing a generator is not supported"},
        {"{{ strftime_now('%f') }}", "line 1: in strftime_now, the directive 'f' is not supported"},
        {"{{ raise_exception('Roles must alternate!') }}", "Roles must alternate!"},
        {"{{ 9223372036854775807 + 1 }}", "line 1: an integer is too large"},
        {"{{ nope.x }}", "line 1: 'nope' is undefined"},
        {"\n\n{% if %}", "line 3: expected an expression, not %}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(status_of(d, cases[i].source) != PTQ_OK);
        CHECK(message_is(cases[i].message));
    }
}

/* Templates that would run for very long, or take very much memory. */
static void bounds(const struct data *d)
{
    static const char *const sources[] = {
        "{% set n = namespace(x='abcdefgh') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}"
        "{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor "
        "%}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ s }}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{{ f(x ~ x) }}{% endmacro %}{{ f('x') }}",
        "{% macro f() %}{% for i in l %}{{ f() }}{% endfor %}{% endmacro %}{{ f() }}",
        "{{ 'abc' * 99999999999 }}",
        "{{ [0] * 99999999999 }}",
        "{{ range(99999999999) }}",
        "{{ 'a\nb' | indent(99999999999) }}",
        "{{ 2 ** 99999999999 }}",
        "{{ 1 ** 99999999999 }}",
        "{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}"
        "{{ n.x }}",
        "{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}"
        "{{ n.x | tojson }}",
        "{% set n = namespace(x=[], y=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}"
        "{% set n.y = [n.y] %}{% endfor %}{{ n.x == n.y }}",
        "{{ range(99999) | sort(reverse=true) | length }}",
        "{{ range(99999) | unique | list | length }}",
        "{% set t = 'ab' * 1000000 %}{% for i in range(99999) %}{{ 'b' * 99 in t }}{% endfor %}",
        "{% set t = 'ab' * 1000000 %}{% for i in range(99999) %}{{ t.split('b') | length }}"
        "{% endfor %}",
        "{% set t = 'ab' * 1000000 %}{% for i in range(99999) %}{{ t[i] }}{% endfor %}",
        "{% set t = 'ab' * 1000000 %}{% for i in range(99999) %}{{ t == t ~ '' }}{% endfor %}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (!CHECK_STATUS(status_of(d, sources[i]), PTQ_ERROR_BOUNDS))
            printf("    %s\n", sources[i]);
}

/* before, then part many times, then behind. */
static ptq_status status_of_many(const struct data *d, const char *before, const char *part,
                                 int times, const char *behind)
{
    const size_t length = strlen(part);
    char *source = malloc(strlen(before) + length * (size_t)times + strlen(behind) + 1);
    if (!source)
        return PTQ_ERROR_MEMORY;
    strcpy(source, before);
    char *at = source + strlen(before);
    for (int i = 0; i < times; i++, at += length)
        memcpy(at, part, length);
    strcpy(at, behind);
    const ptq_status status = status_of(d, source);
    free(source);
    return status;
}

static void nesting(const struct data *d)
{
    static const struct {
        const char *before, *part, *behind;
    } deep[] = {
        {"{{ ", "(", ""},
        {"{{ ", "[", ""},
        {"{{ ", "{1:", ""},
        {"{{ ", "not ", "n }}"},
        {"{{ ", "-", "n }}"},
        {"{{ ", "f(", ""},
        {"{{ ", "l[", ""},
        {"", "{% if n %}", ""},
        {"", "{% for x in l %}", ""},
        {"", "{% set x %}", ""},
        {"{{ ", "1 if 1 else ", "2 }}"},
    };
    static const struct {
        const char *before, *part, *behind;
    } flat[] = {
        {"{{ n", " + n", " }}"},
        {"{{ s", " ~ s", " }}"},
        {"{{ n", " and n", " }}"},
        {"{{ s", "|string", " }}"},
    };
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        const ptq_status status =
            status_of_many(d, deep[i].before, deep[i].part, 20000, deep[i].behind);
        CHECK(status == PTQ_ERROR_BOUNDS || status == PTQ_ERROR_FORMAT);
    }
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        CHECK_OK(status_of_many(d, flat[i].before, flat[i].part, 200, flat[i].behind));
        CHECK_STATUS(status_of_many(d, flat[i].before, flat[i].part, 20000, flat[i].behind),
                     PTQ_ERROR_BOUNDS);
    }
    CHECK_OK(status_of_many(d, "{% if z %}", "{% elif z %}a", 20000, "{% endif %}"));
    CHECK_OK(status_of_many(d, "", "{% if n %}{{ s }}{% endif %}\n", 20000, ""));
}

/* Damaged templates give a text or an error. */
static void damaged(const struct data *d)
{
    static const char bytes[] = "{}%#-+()[]'\"\\|~.,:= \n0a\xc3\xff";
    struct random r = {7};
    const struct ptqi_json *all = ptqi_json_get(d->root, "expressions");
    for (const struct ptqi_json *c = all ? all->first : NULL; c; c = c->next) {
        const struct ptqi_json *source = ptqi_json_get(c, "template");
        char copy[1024];
        for (int i = 0; i < 20 && source->length > 0 && source->length < 1024; i++) {
            int64_t size = source->length, length;
            char *text;
            memcpy(copy, source->text, (size_t)size);
            if (i % 2)
                size = random_below(&r, size);
            for (int j = 0; j < 1 + i / 4; j++)
                copy[random_below(&r, source->length)] =
                    bytes[random_below(&r, (int64_t)sizeof bytes - 1)];
            const ptq_status status = render(d, test_context(), copy, size, &text, &length);
            CHECK(status == PTQ_OK || !text);
            ptqi_free(test_context(), text);
        }
    }
}

/* Every allocation may fail. */
static void out_of_memory(const struct data *d)
{
    static const char source[] =
        "{% macro f(a, b=2) %}{{ a ~ b }}{% endmacro %}{% set n = namespace(x='') %}"
        "{% for m in messages if m.role != 'system' %}{% set n.x = n.x + f(m.content * 3000) %}"
        "{% endfor %}{{ n.x | lower }}{{ d | tojson(indent=2) }}{{ s.split() | join('-') }}"
        "{{ people | sort(attribute='name') | list }}";
    for (int64_t fail_at = 1, done = 0; !done; fail_at++) {
        ptq_context *context = test_failing_context(fail_at);
        char *text = NULL;
        int64_t length;
        if (context) {
            const ptq_status status =
                render(d, context, source, (int64_t)sizeof source - 1, &text, &length);
            CHECK(status == PTQ_ERROR_MEMORY || (!status && text));
            done = status != PTQ_ERROR_MEMORY;
            ptqi_free(context, text);
        }
        test_free_failing(context);
    }
}

void test_jinja(void);
void test_jinja(void)
{
    struct data d;
    if (open_data(&d)) {
        expressions(&d);
        refusals(&d);
        bounds(&d);
        nesting(&d);
        damaged(&d);
        out_of_memory(&d);
    }
    close_data(&d);
}
