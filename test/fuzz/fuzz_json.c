/* A text as JSON. What the writer makes of it is read as the same values. */
#include <string.h>
#include "base/json.h"
#include "fuzz.h"

struct text {
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    struct ptqi_json_writer written;
};

static int read_and_write(struct text *t, const char *text, int64_t length)
{
    if (!fuzz_succeeded(
            ptqi_json_parse(fuzz_context(), text, length, "input", &t->document, &t->root)))
        return 0;
    ptqi_json_begin(&t->written, fuzz_context());
    ptqi_json_add_value(&t->written, NULL, t->root);
    fuzz_require(!ptqi_json_finish(&t->written), "a value can be written");
    return 1;
}

static void end(struct text *t)
{
    ptqi_json_end(&t->written);
    ptqi_json_free(t->document);
}

/* Members are found by their names, unless these have zero bytes. */
static void look_up(const struct ptqi_json *value)
{
    int64_t integer;
    ptqi_json_integer(value, &integer);
    for (const struct ptqi_json *m = value->first; m; m = m->next) {
        if (value->kind == PTQI_JSON_OBJECT && (int32_t)strlen(m->name) == m->name_length)
            fuzz_require(ptqi_json_get(value, m->name) != NULL, "members are found");
        look_up(m);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct text first, second;
    if (!read_and_write(&first, (const char *)bytes, (int64_t)size))
        return 0;
    look_up(first.root);
    fuzz_require(read_and_write(&second, first.written.text, first.written.length),
                 "what the writer writes can be read");
    fuzz_require(first.written.length == second.written.length &&
                     !memcmp(first.written.text, second.written.text, (size_t)first.written.length),
                 "what the writer writes is read as the same values");
    end(&second);
    end(&first);
    return 0;
}
