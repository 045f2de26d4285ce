/*
 * tokenizer.ggml.model is "gpt2", byte-level BPE, or "llama", BPE in the way of SentencePiece.
 */
#include "gguf_tokenizer.h"
#include <stdio.h>
#include <string.h>
#include "gguf_merges.h"
#include "gguf_schemes.h"

/* Values of tokenizer.ggml.token_type. */
enum { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4 };

static const char space[] = "\xe2\x96\x81"; /* U+2581, which stands for a space */

/* The lists of the metadata; NULL if absent. */
enum { TOKENS, TOKEN_TYPES, SCORES, MERGES, LISTS };
static const struct {
    const char *key;
    const char *type; /* of the array */
} lists[LISTS] = {
    [TOKENS] = {"tokenizer.ggml.tokens", "arr[str]"},
    [TOKEN_TYPES] = {"tokenizer.ggml.token_type", "arr[i32]"},
    [SCORES] = {"tokenizer.ggml.scores", "arr[f32]"},
    [MERGES] = {"tokenizer.ggml.merges", "arr[str]"},
};

struct source {
    ptq_context *context;
    const ptq_store *store;
    struct ptqi_json_document *documents[LISTS];
    const struct ptqi_json *list[LISTS];
};

static ptq_status refuse(const struct source *s, const char *key, const char *value)
{
    return ptqi_fail(s->context, PTQ_ERROR_UNSUPPORTED, "%s \"%.60s\" is not supported", key,
                     value ? value : "");
}

static ptq_status read_lists(struct source *s)
{
    for (int i = 0; i < LISTS; i++) {
        const char *text = ptq_store_metadata(s->store, lists[i].key);
        if (!text)
            continue;
        if (strcmp(ptq_store_metadata_type(s->store, lists[i].key), lists[i].type))
            return ptqi_fail(s->context, PTQ_ERROR_FORMAT, "%s is not of the type %s", lists[i].key,
                             lists[i].type);
        PTQI_TRY(ptqi_json_parse(s->context, text, (int64_t)strlen(text), lists[i].key,
                                 &s->documents[i], &s->list[i]));
    }
    for (int i = TOKEN_TYPES; i <= SCORES && s->list[TOKENS]; i++)
        if (s->list[i] && s->list[i]->count != s->list[TOKENS]->count)
            return ptqi_fail(s->context, PTQ_ERROR_FORMAT,
                             "%s does not have one entry for each "
                             "token",
                             lists[i].key);
    return s->list[TOKENS] ? PTQ_OK
                           : ptqi_fail(s->context, PTQ_ERROR_MISSING, "there is no tokenizer (%s)",
                                       lists[TOKENS].key);
}

/* "tokenizer.ggml." and a name: a bool, or an id. */
static int flag(const struct source *s, const char *name, int fallback)
{
    char key[80];
    snprintf(key, sizeof key, "tokenizer.ggml.%s", name);
    const char *value = ptq_store_metadata(s->store, key);
    return value ? !strcmp(value, "true") : fallback;
}

/* The token with the id that a key gives; NULL if there is none. */
static const struct ptqi_json *token_of(const struct source *s, const char *name, int64_t fallback,
                                        int64_t *id)
{
    char key[80];
    double value;
    snprintf(key, sizeof key, "tokenizer.ggml.%s", name);
    const char *text = ptq_store_metadata(s->store, key);
    *id = fallback;
    if (text && ptqi_parse_number(text, (int64_t)strlen(text), &value))
        *id = value >= 0 && value < (double)s->list[TOKENS]->count ? (int64_t)value : -1;
    const struct ptqi_json *token = *id >= 0 ? s->list[TOKENS]->first : NULL;
    for (int64_t i = 0; token && i < *id; i++)
        token = token->next;
    return token;
}

static void write_vocabulary(const struct source *s, struct ptqi_json_writer *w)
{
    int64_t id = 0;
    ptqi_json_open(w, "vocab", '{');
    for (const struct ptqi_json *t = s->list[TOKENS]->first; t; t = t->next)
        ptqi_json_add_integer(w, t->text, id++);
    ptqi_json_close(w, '}');
}

/* Phi-3's tokens include the white space after them, except these; nothing in a file says so. */
static int strips_behind(const struct source *s, const char *token)
{
    static const char *const others[] = {"<unk>", "<s>", "<|endoftext|>"};
    const char *architecture = ptq_store_metadata(s->store, "general.architecture");
    for (int i = 0; i < 3; i++)
        if (!strcmp(token, others[i]))
            return 0;
    return architecture && !strcmp(architecture, "phi3");
}

static void write_added(const struct source *s, struct ptqi_json_writer *w)
{
    const struct ptqi_json *type = s->list[TOKEN_TYPES] ? s->list[TOKEN_TYPES]->first : NULL;
    const struct ptqi_json *token = s->list[TOKENS]->first;
    ptqi_json_open(w, "added_tokens", '[');
    for (int64_t id = 0; type && token; id++, type = type->next, token = token->next) {
        if (type->number < TYPE_UNKNOWN || type->number > TYPE_USER_DEFINED || !token->length)
            continue;
        ptqi_json_open(w, NULL, '{');
        ptqi_json_add_integer(w, "id", id);
        ptqi_json_add_text(w, "content", token->text);
        ptqi_json_add_bool(w, "single_word", 0);
        ptqi_json_add_bool(w, "lstrip", 0);
        ptqi_json_add_bool(w, "rstrip", strips_behind(s, token->text));
        ptqi_json_add_bool(w, "normalized", 0);
        ptqi_json_add_bool(w, "special", type->number != TYPE_USER_DEFINED);
        ptqi_json_close(w, '}');
    }
    ptqi_json_close(w, ']');
}

static void write_special(struct ptqi_json_writer *w, const char *token)
{
    ptqi_json_open(w, NULL, '{');
    ptqi_json_open(w, "SpecialToken", '{');
    ptqi_json_add_text(w, "id", token);
    ptqi_json_add_integer(w, "type_id", 0);
    ptqi_json_close(w, '}');
    ptqi_json_close(w, '}');
}

/* What encode(text) puts around a text: the BOS token before it, the EOS token behind it. */
static void write_template(const struct source *s, int begins, struct ptqi_json_writer *w)
{
    static const char *const names[] = {"bos_token_id", "eos_token_id"};
    const struct ptqi_json *tokens[2] = {NULL, NULL};
    int64_t ids[2];
    if (flag(s, "add_bos_token", begins))
        tokens[0] = token_of(s, names[0], -1, &ids[0]);
    if (flag(s, "add_eos_token", 0))
        tokens[1] = token_of(s, names[1], -1, &ids[1]);
    if (!tokens[0] && !tokens[1])
        return;
    ptqi_json_open(w, "post_processor", '{');
    ptqi_json_add_text(w, "type", "TemplateProcessing");
    ptqi_json_open(w, "single", '[');
    if (tokens[0])
        write_special(w, tokens[0]->text);
    ptqi_json_open(w, NULL, '{');
    ptqi_json_open(w, "Sequence", '{');
    ptqi_json_add_text(w, "id", "A");
    ptqi_json_add_integer(w, "type_id", 0);
    ptqi_json_close(w, '}');
    ptqi_json_close(w, '}');
    if (tokens[1])
        write_special(w, tokens[1]->text);
    ptqi_json_close(w, ']');
    ptqi_json_open(w, "special_tokens", '{');
    for (int i = 0; i < 2; i++) {
        if (!tokens[i] || (i && tokens[0] == tokens[1]))
            continue;
        ptqi_json_open(w, tokens[i]->text, '{');
        ptqi_json_open(w, "ids", '[');
        ptqi_json_add_integer(w, NULL, ids[i]);
        ptqi_json_close(w, ']');
        ptqi_json_close(w, '}');
    }
    ptqi_json_close(w, '}');
    ptqi_json_close(w, '}');
}

static ptq_status write_byte_level(const struct source *s, struct ptqi_json_writer *w)
{
    const char *name = ptq_store_metadata(s->store, "tokenizer.ggml.pre");
    const struct gguf_scheme *scheme = gguf_scheme(name ? name : "default");
    if (!scheme)
        return refuse(s, "tokenizer.ggml.pre", name);
    if (!s->list[MERGES])
        return ptqi_fail(s->context, PTQ_ERROR_MISSING, "there is no %s", lists[MERGES].key);
    gguf_write_scheme(w, scheme);
    write_template(s, scheme->begins, w);
    ptqi_json_open(w, "decoder", '{');
    ptqi_json_add_text(w, "type", "ByteLevel");
    ptqi_json_close(w, '}');
    ptqi_json_open(w, "model", '{');
    ptqi_json_add_text(w, "type", "BPE");
    ptqi_json_add_bool(w, "ignore_merges", scheme->whole);
    write_vocabulary(s, w);
    ptqi_json_add_value(w, "merges", s->list[MERGES]);
    ptqi_json_close(w, '}');
    return w->status;
}

/* {"type": "Replace", "pattern": {"String": from}, "content": to} */
static void write_replace(struct ptqi_json_writer *w, const char *from, const char *to)
{
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "type", "Replace");
    ptqi_json_open(w, "pattern", '{');
    ptqi_json_add_text(w, "String", from);
    ptqi_json_close(w, '}');
    ptqi_json_add_text(w, "content", to);
    ptqi_json_close(w, '}');
}

/* Spaces become U+2581, and the text begins with one if prefix is not 0. */
static void write_spaces(int prefix, struct ptqi_json_writer *w)
{
    ptqi_json_open(w, "normalizer", '{');
    ptqi_json_add_text(w, "type", "Sequence");
    ptqi_json_open(w, "normalizers", '[');
    if (prefix) {
        ptqi_json_open(w, NULL, '{');
        ptqi_json_add_text(w, "type", "Prepend");
        ptqi_json_add_text(w, "prepend", space);
        ptqi_json_close(w, '}');
    }
    write_replace(w, " ", space);
    ptqi_json_close(w, ']');
    ptqi_json_close(w, '}');
}

static void write_decoder(int prefix, struct ptqi_json_writer *w)
{
    static const char *const types[] = {"ByteFallback", "Fuse"};
    ptqi_json_open(w, "decoder", '{');
    ptqi_json_add_text(w, "type", "Sequence");
    ptqi_json_open(w, "decoders", '[');
    write_replace(w, space, " ");
    for (int i = 0; i < 2; i++) {
        ptqi_json_open(w, NULL, '{');
        ptqi_json_add_text(w, "type", types[i]);
        ptqi_json_close(w, '}');
    }
    if (prefix) {
        ptqi_json_open(w, NULL, '{');
        ptqi_json_add_text(w, "type", "Strip");
        ptqi_json_add_text(w, "content", " ");
        ptqi_json_add_integer(w, "start", 1);
        ptqi_json_add_integer(w, "stop", 0);
        ptqi_json_close(w, '}');
    }
    ptqi_json_close(w, ']');
    ptqi_json_close(w, '}');
}

static ptq_status write_sentencepiece(const struct source *s, struct ptqi_json_writer *w)
{
    const int prefix = flag(s, "add_space_prefix", 1);
    int64_t id;
    if (!s->list[SCORES])
        return ptqi_fail(s->context, PTQ_ERROR_MISSING, "there is no %s", lists[SCORES].key);
    if (flag(s, "remove_extra_whitespaces", 0))
        return refuse(s, "tokenizer.ggml.remove_extra_whitespaces", "true");
    const struct ptqi_json *unknown = token_of(s, "unknown_token_id", 0, &id);
    write_spaces(prefix, w);
    write_template(s, 1, w);
    write_decoder(prefix, w);
    ptqi_json_open(w, "model", '{');
    ptqi_json_add_text(w, "type", "BPE");
    if (unknown)
        ptqi_json_add_text(w, "unk_token", unknown->text);
    ptqi_json_add_bool(w, "fuse_unk", 1);
    ptqi_json_add_bool(w, "byte_fallback", 1);
    write_vocabulary(s, w);
    PTQI_TRY(gguf_write_merges(s->context, s->list[TOKENS], s->list[SCORES], w));
    ptqi_json_close(w, '}');
    return w->status;
}

static ptq_status write_all(struct source *s, struct ptqi_json_writer *w)
{
    const char *model = ptq_store_metadata(s->store, "tokenizer.ggml.model");
    const int byte_level = model && !strcmp(model, "gpt2");
    PTQI_TRY(read_lists(s));
    if (!byte_level && (!model || strcmp(model, "llama")))
        return refuse(s, "tokenizer.ggml.model", model);
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "version", "1.0");
    write_added(s, w);
    PTQI_TRY(byte_level ? write_byte_level(s, w) : write_sentencepiece(s, w));
    ptqi_json_close(w, '}');
    return ptqi_json_finish(w);
}

ptq_status gguf_write_tokenizer(ptq_context *context, const ptq_store *store,
                                struct ptqi_json_writer *w)
{
    struct source s;
    memset(&s, 0, sizeof s);
    s.context = context;
    s.store = store;
    ptqi_json_begin(w, context);
    const ptq_status status = write_all(&s, w);
    for (int i = 0; i < LISTS; i++)
        ptqi_json_free(s.documents[i]);
    return status;
}
