/*
 * As in SpecialVocab of gguf-py/gguf/vocab.py in llama.cpp's source tree. Ids are those of the
 * tokens that tokenizer_config.json names, else those of config.json.
 */
#include "gguf/special_tokens.h"
#include <stdio.h>
#include <string.h>

/* bos, eos and sep are also those that a text may begin or end with. */
enum { BOS, EOS, SEP, UNKNOWN, PADDING, CLS, MASK, SPECIALS };

static const struct {
    const char *name, *key;
} specials[SPECIALS] = {
    [BOS] = {"bos", "tokenizer.ggml.bos_token_id"},
    [EOS] = {"eos", "tokenizer.ggml.eos_token_id"},
    [SEP] = {"sep", "tokenizer.ggml.seperator_token_id"}, /* spelled so */
    [UNKNOWN] = {"unk", "tokenizer.ggml.unknown_token_id"},
    [PADDING] = {"pad", "tokenizer.ggml.padding_token_id"},
    [CLS] = {"cls", "tokenizer.ggml.cls_token_id"},
    [MASK] = {"mask", "tokenizer.ggml.mask_token_id"},
};

enum { UNDECIDED = -1 };

struct specials {
    const struct tokenizer_files *files;
    int adds[SEP + 1]; /* 0, 1 or UNDECIDED */
};

/* A token that tokenizer_config.json names, as a text or an object. */
static const char *token_of(const struct tokenizer_files *files, int special)
{
    char name[32];
    snprintf(name, sizeof name, "%s_token", specials[special].name);
    const struct ptqi_json *entry = ptqi_json_get(files->roots[TOKENIZER_CONFIG], name);
    const char *text = ptqi_json_string(entry);
    return text ? text : ptqi_json_string(ptqi_json_get(entry, "content"));
}

static int64_t id_of(const struct tokenizer_files *files, int special)
{
    char name[32];
    const char *text = token_of(files, special);
    const struct ptqi_json *added = ptqi_json_get(files->roots[TOKENIZER_JSON], "added_tokens");
    int64_t id;
    for (const struct ptqi_json *t = text && added ? added->first : NULL; t; t = t->next) {
        const char *content = ptqi_json_string(ptqi_json_get(t, "content"));
        if (content && !strcmp(content, text) && ptqi_json_integer(ptqi_json_get(t, "id"), &id))
            return id;
    }
    snprintf(name, sizeof name, "%s_token_id", specials[special].name);
    return ptqi_json_integer(ptqi_json_get(files->checkpoint->config, name), &id) ? id : -1;
}

static const char *special_in(const struct ptqi_json *piece)
{
    return ptqi_json_string(ptqi_json_get(ptqi_json_get(piece, "SpecialToken"), "id"));
}

static int same(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

static const struct ptqi_json *last_of(const struct ptqi_json *list)
{
    const struct ptqi_json *item = list ? list->first : NULL;
    while (item && item->next)
        item = item->next;
    return item;
}

/* Whether a template for two texts has a separator between them, and only there. */
static int separates(const struct specials *s, const struct ptqi_json *pair, const char *first,
                     const char *last)
{
    const struct ptqi_json *piece = pair ? pair->first : NULL;
    int found = 0;
    if (piece && first && same(special_in(piece), first))
        piece = piece->next;
    for (piece = piece ? piece->next : NULL; piece && piece->next; piece = piece->next)
        found |= special_in(piece) && !last &&
                 (same(special_in(piece), token_of(s->files, SEP)) ||
                  same(special_in(piece), token_of(s->files, EOS)));
    return found;
}

static int pieces_between(const struct ptqi_json *pair, const char *first, const char *last)
{
    const struct ptqi_json *head = pair ? pair->first : NULL, *tail = last_of(pair);
    int count = pair ? pair->count : 0;
    count -= head && first && same(special_in(head), first);
    count -= tail && last && same(special_in(tail), last);
    return count - 2;
}

/* A template: special tokens around one text, and around two. */
static void read_template(struct specials *s, const struct ptqi_json *processor)
{
    const struct ptqi_json *single = ptqi_json_get(processor, "single");
    const struct ptqi_json *pair = ptqi_json_get(processor, "pair");
    const int several = single && single->count > 1;
    const char *first = several ? special_in(single->first) : NULL;
    const char *last = several ? special_in(last_of(single)) : NULL;
    const char *bos = token_of(s->files, BOS), *cls = token_of(s->files, CLS);
    const int unnamed = !s->files->roots[TOKENIZER_CONFIG];
    if (first)
        s->adds[BOS] = unnamed || same(first, bos) || same(first, cls) || !bos;
    if (last)
        s->adds[EOS] = unnamed || same(last, token_of(s->files, EOS));
    if (pieces_between(pair, first, last) > 0)
        s->adds[SEP] = separates(s, pair, first, last);
}

static void read_processor(struct specials *s, const struct ptqi_json *processor)
{
    const char *type = ptqi_json_string(ptqi_json_get(processor, "type"));
    for (int i = BOS; i <= EOS && same(type, "ByteLevel"); i++)
        s->adds[i] = s->adds[i] == UNDECIDED ? 0 : s->adds[i];
    for (int i = BOS; i <= SEP && same(type, "RobertaProcessing"); i++)
        s->adds[i] = 1;
    if (same(type, "TemplateProcessing"))
        read_template(s, processor);
}

static void read_processors(struct specials *s)
{
    const struct ptqi_json *root = ptqi_json_get(s->files->roots[TOKENIZER_JSON], "post_processor");
    const struct ptqi_json *list = ptqi_json_get(root, "processors");
    if (!list && root)
        read_processor(s, root);
    for (const struct ptqi_json *item = list ? list->first : NULL; item; item = item->next)
        read_processor(s, item);
}

/* What tokenizer_config.json says, where nothing else does. */
static void read_flags(struct specials *s)
{
    char name[32];
    for (int i = BOS; i <= SEP; i++) {
        snprintf(name, sizeof name, "add_%s_token", specials[i].name);
        if (s->adds[i] == UNDECIDED)
            s->adds[i] = ptqi_json_flag(s->files->roots[TOKENIZER_CONFIG], name, UNDECIDED);
    }
}

void special_tokens_put(const struct tokenizer_files *files, int64_t vocabulary, int never_begins,
                        struct gguf_pairs *p)
{
    static const char *const keys[] = {[BOS] = "tokenizer.ggml.add_bos_token",
                                       [EOS] = "tokenizer.ggml.add_eos_token",
                                       [SEP] = "tokenizer.ggml.add_sep_token"};
    struct specials s = {files, {UNDECIDED, UNDECIDED, UNDECIDED}};
    read_processors(&s);
    read_flags(&s);
    if (never_begins)
        s.adds[BOS] = 0;
    for (int i = 0; i < SPECIALS; i++) {
        const int64_t id = id_of(files, i);
        if (id >= 0 && id < vocabulary)
            gguf_put_integer(p, specials[i].key, id);
    }
    for (int i = BOS; i <= SEP; i++)
        if (s.adds[i] != UNDECIDED)
            gguf_put_bool(p, keys[i], s.adds[i]);
}
