#include "decode.h"
#include <string.h>
#include "field.h"
#include "unicode.h"

/* Ends the text that has been appended to the list's buffer. */
static ptq_status end_text(ptq_context *context, struct text_list *list)
{
    PTQI_TRY(ptqi_grow(context, (void **)&list->ends, list->count, &list->capacity, list->count + 1,
                       (int64_t)sizeof *list->ends));
    list->ends[list->count++] = list->text.length;
    return PTQ_OK;
}

ptq_status text_list_add(ptq_context *context, struct text_list *list, const char *text,
                         int64_t length)
{
    PTQI_TRY(buffer_append(context, &list->text, text, length));
    return end_text(context, list);
}

void text_list_free(ptq_context *context, struct text_list *list)
{
    buffer_free(context, &list->text);
    ptqi_free(context, list->ends);
    memset(list, 0, sizeof *list);
}

static const char *text_of(const struct text_list *list, int64_t i, int64_t *length)
{
    const int64_t start = i ? list->ends[i - 1] : 0;
    *length = list->ends[i] - start;
    return list->text.bytes + start;
}

/* Appends the bytes of a token; as it is spelled if a character of it does not stand for a byte. */
static ptq_status put_bytes(ptq_context *context, struct buffer *out, const char *text,
                            int64_t length)
{
    const int64_t before = out->length;
    PTQI_TRY(buffer_reserve(context, out, length));
    for (const char *at = text; at < text + length;) {
        const int byte = unicode_to_byte(ptqi_utf8_next(&at));
        if (byte < 0) {
            out->length = before;
            return buffer_append(context, out, text, length);
        }
        out->bytes[out->length++] = (char)byte;
    }
    return PTQ_OK;
}

static ptq_status apply_byte_level(const struct decoder *d, const struct decode_step *step,
                                   const struct text_list *in, struct text_list *out)
{
    int64_t length;
    (void)step;
    for (int64_t i = 0; i < in->count; i++) {
        const char *text = text_of(in, i, &length);
        PTQI_TRY(put_bytes(d->context, &out->text, text, length));
    }
    return end_text(d->context, out);
}

/* In the first token, its spaces are dropped, all of them as in the tokenizers library. */
static ptq_status apply_metaspace(const struct decoder *d, const struct decode_step *step,
                                  const struct text_list *in, struct text_list *out)
{
    int64_t length, size = step->content.length;
    for (int64_t i = 0; i < in->count; i++) {
        const char *at = text_of(in, i, &length), *end = at + length, *next;
        for (; at < end; at = next) {
            const int space = end - at >= size && !memcmp(at, step->content.bytes, (size_t)size);
            next = at + (space ? size : 1);
            if (!space)
                PTQI_TRY(buffer_append(d->context, &out->text, at, 1));
            else if (i || step->keep_first)
                PTQI_TRY(buffer_append(d->context, &out->text, " ", 1));
        }
        PTQI_TRY(end_text(d->context, out));
    }
    return PTQ_OK;
}

static ptq_status apply_replace(const struct decoder *d, const struct decode_step *step,
                                const struct text_list *in, struct text_list *out)
{
    int64_t length;
    for (int64_t i = 0; i < in->count; i++) {
        const char *begin = text_of(in, i, &length), *end = begin + length, *at = begin;
        const char *match, *match_end;
        while ((match = regex_find(&step->regex, begin, end, at, &match_end)) != NULL) {
            PTQI_TRY(buffer_append(d->context, &out->text, at, match - at));
            PTQI_TRY(
                buffer_append(d->context, &out->text, step->content.bytes, step->content.length));
            at = match_end;
        }
        PTQI_TRY(text_list_add(d->context, out, at, end - at));
    }
    return PTQ_OK;
}

/* The byte of a token such as <0x0A>, -1 for all others. */
static int token_byte(const char *text, int64_t length)
{
    static const char digits[] = "0123456789abcdef";
    int byte = 0;
    if (length != 6 || memcmp(text, "<0x", 3) || text[5] != '>')
        return -1;
    for (int i = 3; i < 5; i++) {
        const char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] | 32) : text[i];
        const char *digit = c ? strchr(digits, c) : NULL;
        if (!digit)
            return -1;
        byte = byte * 16 + (int)(digit - digits);
    }
    return byte;
}

static int is_valid(const char *text, int64_t length)
{
    int valid = 1;
    for (int64_t i = 0; i < length && valid;)
        i += ptqi_utf8_sequence(text + i, length - i, &valid);
    return valid;
}

/* Ends a row of bytes that begins at start: if it is not valid, each becomes U+FFFD. */
static ptq_status end_bytes(const struct decoder *d, struct text_list *out, int64_t start)
{
    const int64_t count = out->text.length - start;
    if (!count)
        return PTQ_OK;
    if (!is_valid(out->text.bytes + start, count)) {
        out->text.length = start;
        for (int64_t i = 0; i < count; i++)
            PTQI_TRY(buffer_append(d->context, &out->text, "\xef\xbf\xbd", 3));
    }
    return end_text(d->context, out);
}

static ptq_status apply_byte_fallback(const struct decoder *d, const struct decode_step *step,
                                      const struct text_list *in, struct text_list *out)
{
    int64_t length, start = 0;
    (void)step;
    for (int64_t i = 0; i < in->count; i++) {
        const char *text = text_of(in, i, &length);
        const int byte = token_byte(text, length);
        const char c = (char)byte;
        if (byte >= 0) {
            PTQI_TRY(buffer_append(d->context, &out->text, &c, 1));
            continue;
        }
        PTQI_TRY(end_bytes(d, out, start));
        PTQI_TRY(text_list_add(d->context, out, text, length));
        start = out->text.length;
    }
    return end_bytes(d, out, start);
}

static ptq_status apply_fuse(const struct decoder *d, const struct decode_step *step,
                             const struct text_list *in, struct text_list *out)
{
    (void)step;
    return text_list_add(d->context, out, in->text.bytes, in->text.length);
}

static ptq_status apply_strip(const struct decoder *d, const struct decode_step *step,
                              const struct text_list *in, struct text_list *out)
{
    int64_t length, size = step->content.length;
    for (int64_t i = 0; i < in->count; i++) {
        const char *text = text_of(in, i, &length), *content = step->content.bytes;
        for (int64_t n = 0; n < step->start && length >= size; n++, text += size, length -= size)
            if (memcmp(text, content, (size_t)size))
                break;
        for (int64_t n = 0; n < step->stop && length >= size; n++, length -= size)
            if (memcmp(text + length - size, content, (size_t)size))
                break;
        PTQI_TRY(text_list_add(d->context, out, text, length));
    }
    return PTQ_OK;
}

static ptq_status load_content(struct decoder *d, const struct ptqi_json *json, const char *name,
                               struct decode_step *step)
{
    const struct ptqi_json *text = ptqi_json_get(json, name);
    if (!ptqi_json_string(text))
        return ptqi_fail(d->context, PTQ_ERROR_FORMAT, "\"%s\" of a decoder should be a string",
                         name);
    return buffer_append(d->context, &step->content, text->text, text->length);
}

static ptq_status load_metaspace(struct decoder *d, const struct ptqi_json *json,
                                 struct decode_step *step)
{
    step->keep_first = field_is(ptqi_json_get(json, "prepend_scheme"), "never");
    return load_content(d, json, "replacement", step);
}

static ptq_status load_replace(struct decoder *d, const struct ptqi_json *json,
                               struct decode_step *step)
{
    PTQI_TRY(load_content(d, json, "content", step));
    return split_load_pattern(d->context, ptqi_json_get(json, "pattern"), &step->regex);
}

static ptq_status load_strip(struct decoder *d, const struct ptqi_json *json,
                             struct decode_step *step)
{
    if (!ptqi_json_integer(ptqi_json_get(json, "start"), &step->start) ||
        !ptqi_json_integer(ptqi_json_get(json, "stop"), &step->stop))
        return ptqi_fail(d->context, PTQ_ERROR_FORMAT,
                         "\"start\" and \"stop\" of a Strip should be integers");
    return load_content(d, json, "content", step);
}

static const struct {
    const char *type;
    ptq_status (*load)(struct decoder *d, const struct ptqi_json *json,
                       struct decode_step *step); /* NULL: nothing to load */
    decode_function *apply;
} types[] = {
    {"ByteLevel", NULL, apply_byte_level},
    {"Metaspace", load_metaspace, apply_metaspace},
    {"Replace", load_replace, apply_replace},
    {"ByteFallback", NULL, apply_byte_fallback},
    {"Fuse", NULL, apply_fuse},
    {"Strip", load_strip, apply_strip},
};

static ptq_status add_step(struct decoder *d, decode_function *apply, struct decode_step **step)
{
    if (d->count == DECODE_STEPS)
        return ptqi_fail(d->context, PTQ_ERROR_UNSUPPORTED,
                         "more than %d decoders are not supported", DECODE_STEPS);
    *step = d->steps + d->count++;
    (*step)->apply = apply;
    return PTQ_OK;
}

static ptq_status load_one(struct decoder *d, const struct ptqi_json *json)
{
    char quote[FIELD_QUOTE_SIZE];
    struct decode_step *step = NULL;
    const struct ptqi_json *type = ptqi_json_get(json, "type");
    const struct ptqi_json *list = ptqi_json_get(json, "decoders");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (field_is(type, types[i].type)) {
            PTQI_TRY(add_step(d, types[i].apply, &step));
            return types[i].load ? types[i].load(d, json, step) : PTQ_OK;
        }
    if (!field_is(type, "Sequence") || !list || list->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(d->context, PTQ_ERROR_UNSUPPORTED, "the decoder \"%s\" is not supported",
                         field_quote(type, quote));
    for (const struct ptqi_json *item = list->first; item; item = item->next)
        PTQI_TRY(load_one(d, item));
    return PTQ_OK;
}

ptq_status decoder_load(ptq_context *context, const struct ptqi_json *json, int is_byte_level,
                        struct decoder *d)
{
    struct decode_step *step = NULL;
    memset(d, 0, sizeof *d);
    d->context = context;
    d->spaced = field_absent(json) && !is_byte_level;
    if (!field_absent(json))
        return load_one(d, json);
    return is_byte_level ? add_step(d, apply_byte_level, &step) : PTQ_OK;
}

void decoder_free(struct decoder *d)
{
    for (int i = 0; i < d->count; i++) {
        regex_free(&d->steps[i].regex);
        buffer_free(d->context, &d->steps[i].content);
    }
    d->count = 0;
}

ptq_status decode(const struct decoder *d, struct text_list *list, struct text_list *other)
{
    for (int i = 0; i < d->count; i++) {
        const struct text_list in = *list;
        other->count = other->text.length = 0;
        PTQI_TRY(d->steps[i].apply(d, d->steps + i, &in, other));
        *list = *other;
        *other = in;
    }
    return PTQ_OK;
}
