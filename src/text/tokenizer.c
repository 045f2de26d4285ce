/*
 * Added tokens are cut out of the text, the rest is normalized, the pre-tokenizer splits it into
 * pieces, and the model turns every piece into ids.
 */
#include "tokenizer.h"
#include <string.h>
#include "added.h"
#include "base/file.h"
#include "base/utf8.h"
#include "decode.h"
#include "field.h"
#include "gguf_tokenizer.h"
#include "text_model.h"
#include "normalize.h"
#include "pretokenize.h"
#include "template.h"

struct tokenizer {
    ptq_context *context;
    struct vocabulary vocabulary;
    struct text_model model;
    struct normalizer normalizer;
    struct pretokenizer pretokenizer;
    struct added added;
    struct template template;
    struct decoder decoder;
};

/* State for encoding one text. */
struct encoder {
    const struct tokenizer *tokenizer;
    ptq_context *context;
    struct buffer normalized, other;
    struct pretokenize_work pieces;
    struct text_model_work work;
    struct id_list out;
};

static ptq_status read_root(struct tokenizer *t, const struct ptqi_json *root)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *version = ptqi_json_get(root, "version");
    const struct ptqi_json *model = ptqi_json_get(root, "model");
    const struct ptqi_json *vocab = ptqi_json_get(model, "vocab");
    const struct ptqi_json *added = ptqi_json_get(root, "added_tokens");
    if (version && !field_is(version, "1.0"))
        return ptqi_fail(t->context, PTQ_ERROR_UNSUPPORTED, "version \"%s\" is not supported",
                         field_quote(version, quote));
    if (field_absent(added))
        added = NULL;
    else if (added->kind != PTQI_JSON_ARRAY)
        return ptqi_fail(t->context, PTQ_ERROR_FORMAT, "\"added_tokens\" should be a list");
    if (!vocab || (vocab->kind != PTQI_JSON_OBJECT && vocab->kind != PTQI_JSON_ARRAY))
        return ptqi_fail(t->context, PTQ_ERROR_FORMAT, "there is no model with a vocabulary");
    PTQI_TRY(normalizer_load(t->context, ptqi_json_get(root, "normalizer"), &t->normalizer));
    PTQI_TRY(pretokenizer_load(t->context, ptqi_json_get(root, "pre_tokenizer"), &t->pretokenizer));
    PTQI_TRY(template_load(t->context, ptqi_json_get(root, "post_processor"), &t->template));
    PTQI_TRY(decoder_load(t->context, ptqi_json_get(root, "decoder"),
                          pretokenizer_is_byte_level(&t->pretokenizer), &t->decoder));
    PTQI_TRY(vocabulary_load(t->context, vocab, added, &t->vocabulary));
    PTQI_TRY(text_model_load(t->context, model, &t->vocabulary, &t->model));
    return added_load(t->context, added, &t->normalizer, &t->vocabulary, &t->added);
}

static ptq_status read_text(struct tokenizer *t, const char *text, int64_t length, const char *path)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    PTQI_TRY(ptqi_json_parse(t->context, text, length, path, &document, &root));
    const ptq_status status = read_root(t, root);
    ptqi_json_free(document);
    return status ? ptqi_fail_at(t->context, status, path) : PTQ_OK;
}

static ptq_status read_file(struct tokenizer *t, const char *path)
{
    struct ptqi_map map;
    PTQI_TRY(ptqi_map_file(t->context, path, &map));
    const ptq_status status = read_text(t, (const char *)map.data, map.size, path);
    ptqi_unmap_file(&map);
    return status;
}

/* The metadata of a GGUF file. */
static ptq_status read_gguf(struct tokenizer *t, const char *path)
{
    struct ptqi_json_writer json;
    ptq_store *store;
    PTQI_TRY(ptq_store_open(t->context, path, &store));
    ptq_status status = gguf_write_tokenizer(t->context, store, &json);
    if (status)
        ptqi_fail_at(t->context, status, path);
    else
        status = read_text(t, json.text, json.length, path);
    ptqi_json_end(&json);
    ptq_store_free(store);
    return status;
}

static ptq_status load(ptq_context *context, const char *path,
                       ptq_status (*read)(struct tokenizer *t, const char *path),
                       struct tokenizer **out)
{
    struct tokenizer *t = ptqi_alloc_zero(context, 1, (int64_t)sizeof *t);
    *out = NULL;
    if (!t)
        return PTQ_ERROR_MEMORY;
    t->context = context;
    ptq_status status = read(t, path);
    if (status)
        tokenizer_free(t);
    else
        *out = t;
    return status;
}

ptq_status tokenizer_load(ptq_context *context, const char *path, struct tokenizer **out)
{
    return load(context, path, read_file, out);
}

ptq_status tokenizer_load_model(ptq_context *context, const char *model, struct tokenizer **out)
{
    if (ptqi_file_exists(model) && !ptqi_is_directory(model))
        return load(context, model, read_gguf, out);
    char *path = ptqi_join_path(context, model, "tokenizer.json");
    *out = NULL;
    const ptq_status status = path ? tokenizer_load(context, path, out) : PTQ_ERROR_MEMORY;
    ptqi_free(context, path);
    return status;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    added_free(t->context, &t->added);
    normalizer_free(&t->normalizer);
    pretokenizer_free(&t->pretokenizer);
    decoder_free(&t->decoder);
    text_model_free(&t->model);
    vocabulary_free(&t->vocabulary);
    ptqi_free(t->context, t);
}

int64_t tokenizer_vocabulary(const struct tokenizer *t)
{
    return t->vocabulary.largest + 1;
}

static ptq_status encode_piece(void *user, const char *piece, int64_t length)
{
    struct encoder *e = user;
    return text_model_encode(&e->tokenizer->model, &e->work, piece, length, &e->out);
}

static ptq_status encode_plain(struct encoder *e, const char *begin, const char *end, int is_first)
{
    return pretokenize(&e->tokenizer->pretokenizer, &e->pieces, begin, end, is_first, encode_piece,
                       e);
}

/* Cuts out the added tokens of a set and passes the text between them on. */
static ptq_status encode_added(struct encoder *e, const struct added_set *set, const char *begin,
                               const char *end, int is_first,
                               ptq_status (*encode)(struct encoder *e, const char *begin,
                                                    const char *end, int is_first))
{
    struct added_walk walk = {set, begin, end, begin, begin, begin};
    const struct added_token *token;
    const char *before, *start, *stop;
    while ((token = added_next(&walk, &before, &start, &stop)) != NULL) {
        if (before < start)
            PTQI_TRY(encode(e, before, start, is_first && before == begin));
        if (start < stop)
            PTQI_TRY(id_list_append(e->context, &e->out, token->id));
    }
    return walk.from < end ? encode(e, walk.from, end, is_first && walk.from == begin) : PTQ_OK;
}

/* Text without the added tokens that are searched for before it is normalized. */
static ptq_status encode_unnormalized(struct encoder *e, const char *begin, const char *end,
                                      int is_first)
{
    const struct tokenizer *t = e->tokenizer;
    if (t->normalizer.count) {
        e->normalized.length = 0;
        PTQI_TRY(buffer_append(e->context, &e->normalized, begin, end - begin));
        PTQI_TRY(normalize(&t->normalizer, &e->normalized, &e->other));
        begin = e->normalized.bytes;
        end = begin + e->normalized.length;
    }
    return encode_added(e, &t->added.sets[1], begin, end, is_first, encode_plain);
}

static ptq_status encode_text(struct encoder *e, const char *text, int64_t length)
{
    return encode_added(e, &e->tokenizer->added.sets[0], text, text + length, 1,
                        encode_unnormalized);
}

static void encoder_free(struct encoder *e)
{
    text_model_work_free(e->context, &e->work);
    pretokenize_work_free(e->context, &e->pieces);
    buffer_free(e->context, &e->normalized);
    buffer_free(e->context, &e->other);
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

static ptq_status append_ids(struct encoder *e, const int32_t *ids, int count)
{
    for (int i = 0; i < count; i++)
        PTQI_TRY(id_list_append(e->context, &e->out, ids[i]));
    return PTQ_OK;
}

static ptq_status encode(struct encoder *e, const char *text, int64_t length, int with_template)
{
    const struct template *template = &e->tokenizer->template;
    /* Allocate something to return even if there are no ids. */
    PTQI_TRY(ptqi_grow(e->context, (void **)&e->out.ids, 0, &e->out.capacity, length / 4 + 1,
                       (int64_t)sizeof *e->out.ids));
    if (with_template)
        PTQI_TRY(append_ids(e, template->before, template->before_count));
    PTQI_TRY(encode_text(e, text, length));
    return with_template ? append_ids(e, template->behind, template->behind_count) : PTQ_OK;
}

static ptq_status encode_any(const struct tokenizer *t, const char *text, int64_t length,
                             int with_template, int32_t **ids, int64_t *count)
{
    struct encoder e = {.tokenizer = t, .context = t->context};
    char *copy;
    *ids = NULL;
    *count = 0;
    PTQI_TRY(repair(t->context, text, length, &copy, &length));
    ptq_status status = encode(&e, copy ? copy : text, length, with_template);
    encoder_free(&e);
    ptqi_free(t->context, copy);
    if (status) {
        ptqi_free(t->context, e.out.ids);
        return status;
    }
    *ids = e.out.ids;
    *count = e.out.count;
    return PTQ_OK;
}

ptq_status tokenizer_encode(const struct tokenizer *t, const char *text, int64_t length,
                            int32_t **ids, int64_t *count)
{
    return encode_any(t, text, length, 0, ids, count);
}

ptq_status tokenizer_encode_templated(const struct tokenizer *t, const char *text, int64_t length,
                                      int32_t **ids, int64_t *count)
{
    return encode_any(t, text, length, 1, ids, count);
}

static ptq_status put_tokens(const struct tokenizer *t, const int32_t *ids, int64_t count,
                             struct text_list *list)
{
    for (int64_t i = 0; i < count; i++) {
        const struct token *token = vocabulary_token(&t->vocabulary, ids[i]);
        if (token && t->decoder.spaced && list->count)
            PTQI_TRY(text_list_add(t->context, list, " ", 1));
        if (token)
            PTQI_TRY(text_list_add(t->context, list, token->shown, token->shown_length));
    }
    return PTQ_OK;
}

ptq_status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, int64_t count,
                            char **text, int64_t *length)
{
    struct text_list list = {0}, other = {0};
    *text = NULL;
    *length = 0;
    ptq_status status = put_tokens(t, ids, count, &list);
    if (!status)
        status = decode(&t->decoder, &list, &other);
    if (!status)
        status = buffer_append(t->context, &list.text, "", 1);
    text_list_free(t->context, &other);
    if (status) {
        text_list_free(t->context, &list);
        return status;
    }
    *text = list.text.bytes;
    *length = list.text.length - 1;
    ptqi_free(t->context, list.ends);
    return PTQ_OK;
}
