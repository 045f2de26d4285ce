/*
 * Added tokens are cut out of the text, the pre-tokenizer splits the rest into pieces, and BPE
 * turns every piece into ids.
 */
#include "tokenizer.h"
#include <string.h>
#include "added.h"
#include "base/file.h"
#include "bpe.h"
#include "field.h"
#include "pretokenize.h"
#include "unicode.h"

struct tokenizer {
    ptq_context *context;
    struct vocabulary vocabulary;
    struct bpe bpe;
    struct pretokenizer pretokenizer;
    struct added added;
};

/* State for encoding one text. */
struct encoder {
    const struct tokenizer *tokenizer;
    ptq_context *context;
    struct bpe_work work;
    struct id_list out;
    char *spaced; /* a piece with a space prepended */
    int64_t spaced_capacity;
};

static ptq_status read_root(struct tokenizer *t, const struct ptqi_json *root)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *version = ptqi_json_get(root, "version");
    const struct ptqi_json *model = ptqi_json_get(root, "model");
    const struct ptqi_json *vocab = ptqi_json_get(model, "vocab");
    const struct ptqi_json *added = ptqi_json_get(root, "added_tokens");
    const struct ptqi_json *normalizer = ptqi_json_get(root, "normalizer");
    if (version && !field_is(version, "1.0"))
        return ptqi_fail(t->context, PTQ_ERROR_UNSUPPORTED, "version \"%s\" is not supported",
                         field_quote(version, quote));
    if (!field_absent(normalizer))
        return ptqi_fail(t->context, PTQ_ERROR_UNSUPPORTED,
                         "the normalizer \"%s\" is not supported",
                         field_quote(ptqi_json_get(normalizer, "type"), quote));
    if (field_absent(added))
        added = NULL;
    else if (added->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(t->context, PTQ_ERROR_FORMAT, "\"added_tokens\" should be a list");
    if (!vocab || vocab->kind != PTQI_JSON_OBJECT) /* as in other models */
        return ptqi_fail(t->context, PTQ_ERROR_FORMAT, "there is no BPE model with a vocabulary");
    PTQI_TRY(pretokenizer_load(t->context, ptqi_json_get(root, "pre_tokenizer"), &t->pretokenizer));
    PTQI_TRY(vocabulary_load(t->context, vocab, added, &t->vocabulary));
    PTQI_TRY(bpe_load(t->context, model, &t->vocabulary, &t->bpe));
    return added_load(t->context, added, &t->vocabulary, &t->added);
}

static ptq_status read_file(struct tokenizer *t, const char *path)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    struct ptqi_map map;
    PTQI_TRY(ptqi_map_file(t->context, path, &map));
    ptq_status status =
        ptqi_json_parse(t->context, (const char *)map.data, map.size, path, &document, &root);
    if (!status) {
        status = read_root(t, root);
        if (status)
            ptqi_fail_at(t->context, status, path);
        ptqi_json_free(document);
    }
    ptqi_unmap_file(&map);
    return status;
}

ptq_status tokenizer_load(ptq_context *context, const char *path, struct tokenizer **out)
{
    struct tokenizer *t = ptqi_alloc_zero(context, 1, (int64_t)sizeof *t);
    *out = NULL;
    if (!t)
        return PTQ_ERROR_MEMORY;
    t->context = context;
    ptq_status status = read_file(t, path);
    if (status)
        tokenizer_free(t);
    else
        *out = t;
    return status;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    added_free(t->context, &t->added);
    bpe_free(&t->bpe);
    vocabulary_free(&t->vocabulary);
    ptqi_free(t->context, t);
}

int64_t tokenizer_vocabulary(const struct tokenizer *t)
{
    return t->vocabulary.largest + 1;
}

/* Splits from step onwards, then BPE. ByteLevel, the only step that adds spaces, is the last. */
static ptq_status encode_pieces(struct encoder *e, int step, const char *at, const char *end)
{
    const struct pretokenizer *p = &e->tokenizer->pretokenizer;
    if (step == p->count)
        return bpe_encode(&e->tokenizer->bpe, &e->work, at, end - at, &e->out);
    if (p->steps[step].add_space && *at != ' ') {
        int64_t length = end - at;
        PTQI_TRY(ptqi_grow(e->context, (void **)&e->spaced, 0, &e->spaced_capacity, length + 1, 1));
        e->spaced[0] = ' ';
        memcpy(e->spaced + 1, at, (size_t)length);
        at = e->spaced;
        end = at + length + 1;
    }
    while (at < end) {
        const char *next = p->steps[step].piece_end(at, end);
        PTQI_TRY(encode_pieces(e, step + 1, at, next));
        at = next;
    }
    return PTQ_OK;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end) {
        const char *next = at;
        if (!unicode_is_space(ptqi_utf8_next(&next)))
            break;
        at = next;
    }
    return at;
}

/* The same, backwards. */
static const char *skip_space_before(const char *at, const char *begin)
{
    while (at > begin) {
        const char *previous = at - 1;
        while (previous > begin && ((uint8_t)*previous & 0xc0) == 0x80)
            previous--;
        const char *next = previous;
        if (!unicode_is_space(ptqi_utf8_next(&next)))
            break;
        at = previous;
    }
    return at;
}

/*
 * Cuts out the added tokens of a set, then those of the next set from the text between them. The
 * search continues after the text of a token, not after the white space that it includes, even if
 * the next token starts in there, because the tokenizers library does so.
 */
static ptq_status encode_added(struct encoder *e, int set, const char *begin, const char *end)
{
    if (set == 2)
        return encode_pieces(e, 0, begin, end);
    const struct added_set *tokens = &e->tokenizer->added.sets[set];
    const struct added_token *token;
    const char *from = begin, *at = begin, *start, *space_end = begin;
    while ((token = added_find(tokens, at, end, &start)) != NULL) {
        const char *stop = at = start + token->length;
        if (token->lstrip)
            start = start > from ? skip_space_before(start, from) : from;
        if (token->rstrip) {
            if (at >= space_end) /* otherwise known from the last token */
                space_end = skip_space(at, end);
            stop = space_end;
        }
        if (from < start)
            PTQI_TRY(encode_added(e, set + 1, from, start));
        if (start < stop) /* otherwise the last token included all of it */
            PTQI_TRY(id_list_append(e->context, &e->out, token->id));
        from = stop;
    }
    return from < end ? encode_added(e, set + 1, from, end) : PTQ_OK;
}

/* A copy of text with U+FFFD for invalid sequences; *copy is NULL if all of it is valid. */
static ptq_status repair(ptq_context *context, const char *text, int64_t length, char **copy,
                         int64_t *copy_length)
{
    int64_t used = 0, capacity;
    int valid = 1;
    *copy = NULL;
    while (used < length && valid)
        used += ptqi_utf8_sequence(text + used, length - used, &valid);
    if (valid)
        return PTQ_OK;
    /* In the worst case every byte becomes the three bytes of U+FFFD. */
    if (!ptqi_multiply(length, 3, &capacity))
        capacity = INT64_MAX;
    *copy = ptqi_alloc(context, capacity, 1);
    if (!*copy)
        return PTQ_ERROR_MEMORY;
    used = 0;
    for (int64_t i = 0; i < length;) {
        int size = ptqi_utf8_sequence(text + i, length - i, &valid);
        if (valid)
            memcpy(*copy + used, text + i, (size_t)size);
        used += valid ? size : ptqi_utf8_put(*copy + used, 0xfffd);
        i += size;
    }
    *copy_length = used;
    return PTQ_OK;
}

ptq_status tokenizer_encode(const struct tokenizer *t, const char *text, int64_t length,
                            int32_t **ids, int64_t *count)
{
    struct encoder e = {.tokenizer = t, .context = t->context};
    char *copy;
    *ids = NULL;
    *count = 0;
    PTQI_TRY(repair(t->context, text, length, &copy, &length));
    if (copy)
        text = copy;
    /* Allocate something to return even if there are no ids. */
    ptq_status status = ptqi_grow(t->context, (void **)&e.out.ids, 0, &e.out.capacity,
                                  length / 4 + 1, (int64_t)sizeof *e.out.ids);
    if (!status && length)
        status = encode_added(&e, 0, text, text + length);
    bpe_work_free(t->context, &e.work);
    ptqi_free(t->context, e.spaced);
    ptqi_free(t->context, copy);
    if (status) {
        ptqi_free(t->context, e.out.ids);
        return status;
    }
    *ids = e.out.ids;
    *count = e.out.count;
    return PTQ_OK;
}

/* Writes the bytes of a token; verbatim if one of its characters does not represent a byte. */
static int64_t put_token(char *out, const struct token *token)
{
    const char *at = token->text, *end = at + token->length;
    int64_t used = 0;
    while (at < end) {
        int byte = unicode_to_byte(ptqi_utf8_next(&at));
        if (byte < 0) {
            memcpy(out, token->text, (size_t)token->length);
            return token->length;
        }
        out[used++] = (char)byte;
    }
    return used;
}

ptq_status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int64_t count,
                            char **text, int64_t *length)
{
    char *out = NULL;
    int64_t used = 0, capacity = 0;
    *text = NULL;
    *length = 0;
    for (int64_t i = 0; i <= count; i++) {
        const struct token *token = i < count ? vocabulary_token(&t->vocabulary, ids[i]) : NULL;
        int64_t needed = used + (token ? token->length : 0) + 1; /* including the zero byte */
        if (ptqi_grow(t->context, (void **)&out, used, &capacity, needed, 1)) {
            ptqi_free(t->context, out);
            return PTQ_ERROR_MEMORY;
        }
        if (token)
            used += put_token(out + used, token);
    }
    out[used] = 0;
    *text = out;
    *length = used;
    return PTQ_OK;
}
