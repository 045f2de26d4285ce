/* A template and an object of variables, the parts of an input. */
#include <string.h>
#include "base/context.h"
#include "fuzz.h"
#include "jinja/jinja.h"

enum { MOST_VARIABLES = 16, MOST_STEPS = 100000, MOST_MEMORY = 1 << 22 };

static void render(const struct jinja_template *t, const struct ptqi_json *variables)
{
    struct jinja_variable given[MOST_VARIABLES];
    const struct tm now = {.tm_year = 126, .tm_mon = 6, .tm_mday = 4, .tm_wday = 6, .tm_yday = 184};
    int count = 0;
    char *text;
    int64_t length;
    if (variables->kind == PTQI_JSON_OBJECT)
        for (const struct ptqi_json *v = variables->first; v && count < MOST_VARIABLES; v = v->next)
            given[count++] = (struct jinja_variable){v->name, v};
    if (!fuzz_succeeded(jinja_render(t, given, count, &now, &text, &length)))
        return;
    fuzz_require(text[length] == 0, "a text ends in a zero byte");
    ptqi_free(fuzz_context(), text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fuzz_part parts[2];
    struct jinja_template *t;
    struct ptqi_json_document *document;
    const struct ptqi_json *variables;
    fuzz_divide(bytes, size, parts, 2);
    if (!fuzz_succeeded(
            jinja_parse(fuzz_context(), (const char *)parts[0].bytes, parts[0].size, &t)))
        return 0;
    jinja_limit(t, MOST_STEPS, MOST_MEMORY);
    if (fuzz_succeeded(ptqi_json_parse(fuzz_context(), (const char *)parts[1].bytes, parts[1].size,
                                       "variables", &document, &variables))) {
        render(t, variables);
        ptqi_json_free(document);
    }
    jinja_free(t);
    return 0;
}
