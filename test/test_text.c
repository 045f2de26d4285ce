/*
 * The tokenizer: ids recorded from the tokenizers library, the splits of each pre-tokenizer,
 * damaged files and files with unsupported features, invalid text, out of memory.
 */
#include "test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

void test_text(void);

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define SEQUENCE(list) "{\"type\":\"Sequence\",\"pretokenizers\":[" list "]}"
#define HELLO "\"h e\",\"l l\",\"he ll\",\"hell o\",\"\xc4\xa0 hell\""

/* Variations of the small tokenizers made here; NULL: the default. */
struct recipe {
    const char *pre_tokenizer, *added, *merges, *model, *root;
};

static char path[512];

static void put(char **out, const char *text)
{
    size_t length = strlen(text);
    memcpy(*out, text, length + 1);
    *out += length;
}

/*
 * A tokenizer.json, valid until the next call: byte b is token b; he, ll, hell, hello, " hell" and
 * whole, which no merge makes, are 256 to 261.
 */
static const char *make_json(const struct recipe *r)
{
    static char json[16384];
    char *out = json, entry[32];
    put(&out, "{");
    put(&out, r->root ? r->root : "\"normalizer\":null");
    put(&out, ",\"added_tokens\":[");
    put(&out, r->added ? r->added : "");
    put(&out, "],\"pre_tokenizer\":");
    put(&out, r->pre_tokenizer ? r->pre_tokenizer : BYTE_LEVEL);
    put(&out, ",\"model\":{");
    put(&out, r->model ? r->model : "\"type\":\"BPE\"");
    put(&out, ",\"vocab\":{");
    for (int b = 0; b < 256; b++) {
        char c[5] = "";
        c[ptqi_utf8_put(c, unicode_from_byte((uint8_t)b))] = 0;
        snprintf(entry, sizeof entry, "\"%s%s\":%d,", b == '"' || b == '\\' ? "\\" : "", c, b);
        put(&out, entry);
    }
    put(&out,
        "\"he\":256,\"ll\":257,\"hell\":258,\"hello\":259,\"\xc4\xa0hell\":260,\"whole\":261}");
    put(&out, ",\"merges\":[");
    put(&out, r->merges ? r->merges : HELLO);
    put(&out, "]}}");
    return json;
}

static void make_path(void)
{
    const char *directory = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/ptq-text-XXXXXX", directory ? directory : "/tmp");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    if (fd >= 0)
        close(fd);
}

/* Does not use ptqi_write_file, which syncs: there are thousands of these. */
static void write_text(const char *json, int64_t length)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    if (file) {
        CHECK_EQ((int64_t)fwrite(json, 1, (size_t)length, file), length);
        CHECK(fclose(file) == 0);
    }
}

static ptq_status load_text(ptq_context *context, const char *json, int64_t length,
                            struct tokenizer **tokenizer)
{
    *tokenizer = NULL;
    write_text(json, length);
    return tokenizer_load(context, path, tokenizer);
}

static struct tokenizer *make(const struct recipe *recipe)
{
    struct tokenizer *tokenizer;
    const char *json = make_json(recipe);
    CHECK_OK(load_text(test_context(), json, (int64_t)strlen(json), &tokenizer));
    return tokenizer;
}

/* Whether text has these ids, terminated by -1. */
static int has_ids(const struct tokenizer *tokenizer, const char *text, const int32_t *expected)
{
    int32_t *ids;
    int64_t count, same = 0;
    if (!tokenizer ||
        tokenizer_encode(tokenizer, text, (int64_t)strlen(text), &ids, &count) != PTQ_OK)
        return 0;
    while (same < count && expected[same] >= 0 && ids[same] == expected[same])
        same++;
    int equal = same == count && expected[same] < 0;
    ptqi_free(test_context(), ids);
    return equal;
}

#define CHECK_IDS(tokenizer, text, ...)                                                            \
    CHECK(has_ids(tokenizer, text, (const int32_t[]){__VA_ARGS__, -1}))

/* Whether decoding the ids of text gives text. */
static int comes_back(const struct tokenizer *tokenizer, const char *text, int64_t length)
{
    int32_t *ids;
    int64_t count, back_length;
    char *back;
    if (tokenizer_encode(tokenizer, text, length, &ids, &count) != PTQ_OK)
        return 0;
    int equal = tokenizer_decode(tokenizer, ids, count, &back, &back_length) == PTQ_OK;
    ptqi_free(test_context(), ids);
    if (equal) {
        equal = back_length == length && !memcmp(back, text, (size_t)length) && back[length] == 0;
        ptqi_free(test_context(), back);
    }
    return equal;
}

static int equal_ids(const struct tokenizer *tokenizer, const struct ptqi_json *text,
                     const struct ptqi_json *expected)
{
    int32_t *ids;
    int64_t count, id, same = 0;
    if (tokenizer_encode(tokenizer, text->text, text->length, &ids, &count) != PTQ_OK)
        return 0;
    for (const struct ptqi_json *e = expected->first; e && same < count; e = e->next)
        same += ptqi_json_integer(e, &id) && id == ids[same];
    ptqi_free(test_context(), ids);
    return same == count && count == expected->count;
}

static void check_model(const struct ptqi_json *recorded, const char *name, const char *file)
{
    struct tokenizer *tokenizer;
    const struct ptqi_json *text = ptqi_json_get(recorded, "texts")->first;
    const struct ptqi_json *ids = ptqi_json_get(ptqi_json_get(recorded, "ids"), name);
    CHECK(ids != NULL);
    if (!file) {
        test_skip("no shared models");
        return;
    }
    CHECK_OK(tokenizer_load(test_context(), file, &tokenizer));
    if (!tokenizer || !ids)
        return;
    for (ids = ids->first; text && ids; text = text->next, ids = ids->next) {
        CHECK(equal_ids(tokenizer, text, ids));
        CHECK(comes_back(tokenizer, text->text, text->length));
    }
    CHECK(!text && !ids);
    tokenizer_free(tokenizer);
}

static void test_recorded_ids(void)
{
    struct ptqi_map map;
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    const char *name = test_data("token-ids.json");
    ptq_status status = ptqi_map_file(test_context(), name, &map);
    CHECK_OK(status);
    if (status)
        return;
    status =
        ptqi_json_parse(test_context(), (const char *)map.data, map.size, name, &document, &root);
    CHECK_OK(status);
    if (!status) {
        check_model(root, "llama-tiny", "examples/llama-tiny/tokenizer.json");
        check_model(root, "llama-5m", shared_data("models/llama-5m/tokenizer.json"));
        check_model(root, "bloom-3m", shared_data("models/bloom-3m/tokenizer.json"));
    }
    ptqi_json_free(document);
    ptqi_unmap_file(&map);
}

static void test_alphabet(void)
{
    int lost = 0;
    for (int b = 0; b < 256; b++)
        lost += unicode_to_byte(unicode_from_byte((uint8_t)b)) != b;
    CHECK_EQ(lost, 0);
    CHECK_EQ(unicode_from_byte(' '), 0x120);
    CHECK_EQ(unicode_to_byte(0x143), 0xad);
    CHECK_EQ(unicode_to_byte(0x144), -1);
    CHECK_EQ(unicode_to_byte(' '), -1);
}

static void test_merging(void)
{
    struct tokenizer *t = make(&(struct recipe){0});
    CHECK_IDS(t, "hello", 259);
    CHECK_IDS(t, " hell", 260);
    CHECK_IDS(t, " hello", ' ', 259); /* the merge to hello comes before the one to " hell" */
    CHECK_IDS(t, "hehehellll", 256, 256, 258, 257);
    CHECK_IDS(t, "whole", 'w', 'h', 'o', 'l', 'e');
    CHECK(has_ids(t, "", (const int32_t[]){-1}));
    CHECK_EQ(tokenizer_vocabulary(t), 262);
    tokenizer_free(t);

    /* Merges as pairs; the last of equal ones counts; a piece that is a token stays whole. */
    t = make(&(struct recipe){
        .merges = "[\"he\",\"ll\"],[\"l\",\"l\"],[\"h\",\"e\"],[\"he\",\"ll\"],[\"hell\",\"o\"]",
        .model = "\"ignore_merges\":true,\"unk_token\":null"});
    CHECK_IDS(t, "hello", 259);
    CHECK_IDS(t, "whole", 261);
    CHECK_IDS(t, "wholes", 'w', 'h', 'o', 'l', 'e', 's');
    tokenizer_free(t);
}

static void test_pre_tokenizers(void)
{
    struct tokenizer *t = make(&(struct recipe){
        .pre_tokenizer = SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true},"
                                  "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}")});
    CHECK_IDS(t, "hell1hell 2", 260, ' ', '1', 260, ' ', ' ', '2');
    tokenizer_free(t);
    t = make(&(struct recipe){
        .pre_tokenizer = SEQUENCE(
            "{\"type\":\"Split\",\"pattern\":{\"Regex\":\" ?[^(\\\\s|[.,!?\xe2\x80\xa6\xe3\x80\x82"
            "\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c])]+\"},"
            "\"behavior\":\"Isolated\",\"invert\":false},"
            "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}")});
    CHECK_IDS(t, "he.ll hell", 256, '.', 257, 260);
    tokenizer_free(t);
}

static void test_added_tokens(void)
{
    struct tokenizer *t = make(&(struct recipe){
        .added = "{\"id\":262,\"content\":\"<a>\",\"normalized\":false},"
                 "{\"id\":263,\"content\":\"<a>b\",\"normalized\":false},"
                 "{\"id\":264,\"content\":\"<l>\",\"lstrip\":true,\"normalized\":false},"
                 "{\"id\":265,\"content\":\"<r>\",\"rstrip\":true,\"normalized\":false},"
                 "{\"id\":266,\"content\":\"a>\",\"normalized\":true},"
                 "{\"id\":0,\"content\":\"\"},"
                 "{\"id\":261,\"content\":\"whole\",\"normalized\":false}"});
    CHECK_EQ(tokenizer_vocabulary(t), 267);
    CHECK_IDS(t, "h<a>", 'h', 262);
    CHECK_IDS(t, "<a><a>bb", 262, 263, 'b');
    CHECK_IDS(t, "he \t<l> h", 256, 264, ' ', 'h');
    CHECK_IDS(t, " <r> \n<l>h", ' ', 265, 264, 'h');
    CHECK_IDS(t, "ba><a>", 'b', 266, 262);
    CHECK_IDS(t, "<whole>", '<', 261, '>');
    CHECK(comes_back(t, "h<a>b whole a>", 14));

    char *text;
    int64_t length;
    const int32_t ids[] = {259, 1000, -1, 263, 0xff}; /* two unknown ids, half a character */
    CHECK_OK(tokenizer_decode(t, ids, 5, &text, &length));
    CHECK(length == 10 && !memcmp(text, "hello<a>b\xff", 11));
    ptqi_free(test_context(), text);
    tokenizer_free(t);
}

static void test_invalid_utf8(void)
{
#define BAD "\xef\xbf\xbd"
    static const char *const cases[][2] = {
        {"a\xff"
         "b",
         "a" BAD "b"},
        {"\xc3", BAD},
        {"\xc0\x80", BAD BAD},
        {"\xe0\x80\x80", BAD BAD BAD},
        {"\xed\xa0\x80", BAD BAD BAD},
        {"\xe2\x82"
         "a",
         BAD "a"},
        {"\xf0\x9f\x98", BAD},
        {"\xf0\x9f\xf0\x9f\x98\x80", BAD "\xf0\x9f\x98\x80"},
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD},
        {"\xf5\x80", BAD BAD},
        {"h\x80"
         "e",
         "h" BAD "e"},
    };
    struct tokenizer *t = make(&(struct recipe){0});
    for (unsigned i = 0; t && i < sizeof cases / sizeof cases[0]; i++) {
        int32_t *a, *b;
        int64_t na, nb;
        const char *bad = cases[i][0], *good = cases[i][1];
        CHECK_OK(tokenizer_encode(t, bad, (int64_t)strlen(bad), &a, &na));
        CHECK_OK(tokenizer_encode(t, good, (int64_t)strlen(good), &b, &nb));
        CHECK(na == nb && !memcmp(a, b, (size_t)na * sizeof *a));
        ptqi_free(test_context(), a);
        ptqi_free(test_context(), b);
    }
    tokenizer_free(t);
#undef BAD
}

static void test_long_runs(void)
{
    static const char *const patterns[] = {"h",  "l",      " ",   "\n",       "7",
                                           "he", "hello ", " \n", "\xc3\xa9", "'"};
    const int64_t length = 1 << 20;
    char *text = malloc((size_t)length);
    struct tokenizer *t = make(&(struct recipe){0});
    CHECK(text != NULL);
    for (unsigned i = 0; t && text && i < sizeof patterns / sizeof patterns[0]; i++) {
        int64_t size = (int64_t)strlen(patterns[i]), used = 0;
        for (; used + size <= length; used += size)
            memcpy(text + used, patterns[i], (size_t)size);
        CHECK(comes_back(t, text, used));
    }
    free(text);
    tokenizer_free(t);
}

/* Loading must fail with a one-line message that names the file and contains fragment. */
static void check_refused(const struct recipe *recipe, const char *fragment)
{
    struct tokenizer *tokenizer;
    char message[PTQI_MESSAGE_SIZE];
    const char *json = make_json(recipe);
    CHECK(load_text(test_context(), json, (int64_t)strlen(json), &tokenizer) != PTQ_OK);
    CHECK(tokenizer == NULL);
    ptq_last_message(message, sizeof message);
    CHECK(!strncmp(message, path, strlen(path)));
    CHECK(strstr(message, fragment) != NULL);
    CHECK(!strchr(message, '\n'));
}

static void test_refused(void)
{
    static const struct {
        struct recipe recipe;
        const char *fragment;
    } cases[] = {
        {{.root = "\"version\":\"2.0\""}, "\"2.0\""},
        {{.root = "\"normalizer\":{\"type\":\"Precompiled\"}"}, "\"Precompiled\""},
        {{.root = "\"normalizer\":{\"type\":\"Prepend\"}"}, "prepend"},
        {{.root = "\"normalizer\":{\"type\":\"Sequence\"}"}, "normalizers"},
        {{.root = "\"post_processor\":{\"type\":\"Xyz\"}"}, "\"Xyz\""},
        {{.root = "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
                  "[{\"SpecialToken\":{\"id\":\"<q>\"}}]}"},
         "\"<q>\""},
        {{.root = "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"}, "0 times"},
        {{.root = "\"decoder\":{\"type\":\"WordPiece\"}"}, "\"WordPiece\""},
        {{.root = "\"decoder\":{\"type\":\"Strip\",\"start\":1}"}, "\"stop\""},
        {{.root = "\"normalizer\":{\"type\":\"a\\nb\"}"}, "\"a?b\""},
        {{.pre_tokenizer = "{\"type\":\"Whitespace\"}"}, "\"Whitespace\""},
        {{.pre_tokenizer = "{\"type\":\"Metaspace\"}"}, "replacement"},
        {{.pre_tokenizer = "{\"type\":\"Metaspace\",\"replacement\":\"xy\"}"}, "replacement"},
        {{.pre_tokenizer =
              "{\"type\":\"Metaspace\",\"replacement\":\"x\",\"prepend_scheme\":\"last\"}"},
         "\"last\""},
        {{.pre_tokenizer = "{\"type\":\"Sequence\"}"}, "pretokenizers"},
        {{.pre_tokenizer = SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+?\"},"
                                    "\"behavior\":\"Isolated\",\"invert\":false}")},
         "x+?"},
        {{.pre_tokenizer = SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},"
                                    "\"behavior\":\"Isolated\",\"invert\":false}")},
         "0 bytes"},
        {{.pre_tokenizer = SEQUENCE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x\"},"
                                    "\"behavior\":\"Doubled\",\"invert\":false}")},
         "\"Doubled\""},
        {{.pre_tokenizer = "{\"type\":\"ByteLevel\",\"add_prefix_space\":1}"}, "add_prefix_space"},
        {{.model = "\"type\":\"WordPiece\""}, "\"WordPiece\""},
        {{.model = "\"type\":\"Unigram\""}, "Unigram model"},
        {{.model = "\"byte_fallback\":1"}, "byte_fallback"},
        {{.model = "\"dropout\":0.1"}, "dropout"},
        {{.model = "\"end_of_word_suffix\":\"</w>\""}, "suffixes"},
        {{.model = "\"ignore_merges\":3"}, "ignore_merges"},
        {{.merges = "\"h e\",\"x y\""}, "merge 1"},
        {{.merges = "\"h e x\""}, "merge 0"},
        {{.merges = "\"he\""}, "merge 0"},
        {{.merges = "[\"h\"]"}, "merge 0"},
        {{.merges = "[\"h\",1]"}, "merge 0"},
        {{.merges = "{}"}, "merge 0"},
        {{.added = "1"}, "content"},
        {{.added = "{\"content\":5}"}, "content"},
        {{.added = "{\"content\":\"x\",\"single_word\":1}"}, "single_word"},
        {{.added = "{\"content\":\"<a>\"},{\"content\":\"<a>\"}"}, "twice"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_refused(&cases[i].recipe, cases[i].fragment);
}

static void test_refused_vocabularies(void)
{
    static const char *const cases[] = {
        "",
        "[]",
        "{}",
        "{\"model\":{}}",
        "{\"model\":{\"vocab\":[],\"merges\":[]},\"pre_tokenizer\":" BYTE_LEVEL "}",
        "{\"model\":{\"vocab\":{}},\"pre_tokenizer\":" BYTE_LEVEL "}",
        "{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]},\"pre_tokenizer\":" BYTE_LEVEL "}",
        "{\"model\":{\"vocab\":{\"a\":1.5},\"merges\":[]},\"pre_tokenizer\":" BYTE_LEVEL "}",
        "{\"model\":{\"vocab\":{\"a\":4294967296},\"merges\":[]},\"pre_tokenizer\":" BYTE_LEVEL "}",
        "{\"model\":{\"vocab\":{\"a\":1,\"b\":1},\"merges\":[]},\"pre_tokenizer\":" BYTE_LEVEL "}",
        "{\"model\":{\"vocab\":{\"a\":1,\"a\":2},\"merges\":[]},\"pre_tokenizer\":" BYTE_LEVEL "}",
        "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}}",
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}}",
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",0],[\"a\",0]]}}",
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\"]]}}",
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[\"a\"]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":[[\"a\",0]],\"merges\":[]}}",
        "{\"model\":{\"vocab\":{\"a\":1},\"merges\":[]},\"pre_tokenizer\":" BYTE_LEVEL
        ",\"added_tokens\":[{\"content\":\"b\"}]}", /* would get the id of a */
    };
    struct tokenizer *t;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(load_text(test_context(), cases[i], (int64_t)strlen(cases[i]), &t) != PTQ_OK);
        CHECK(t == NULL);
    }
    CHECK(tokenizer_load(test_context(), "no/such/file", &t) == PTQ_ERROR_IO);
}

static void test_unknown_bytes(void)
{
    static const char json[] = "{\"model\":{\"vocab\":{\"a\":0,\"?\":2147483646,\"b\":5},"
                               "\"merges\":[],\"unk_token\":\"?\",\"fuse_unk\":true},"
                               "\"pre_tokenizer\":" BYTE_LEVEL "}";
    struct tokenizer *t;
    CHECK_OK(load_text(test_context(), json, (int64_t)strlen(json), &t));
    CHECK_EQ(tokenizer_vocabulary(t), 2147483647);
    CHECK_IDS(t, "axxbx", 0, 2147483646, 5, 2147483646);
    tokenizer_free(t);
}

static void test_damage(void)
{
    struct tokenizer *t;
    const char *json = make_json(&(struct recipe){.added = "{\"content\":\"<a>\",\"id\":262}"});
    int64_t length = (int64_t)strlen(json), loaded = 0;
    for (int64_t n = 0; n < length; n += 1 + n % 5)
        loaded += load_text(test_context(), json, n, &t) == PTQ_OK;
    CHECK_EQ(loaded, 0);

    /* Some of these are still valid tokenizers and must work. */
    char copy[16384];
    static const char junk[16] = "\"\"{}[]:,\\01e- \x80";
    uint32_t random = 1;
    for (int i = 0; i < 2000; i++) {
        memcpy(copy, json, (size_t)length);
        for (int k = 0; k < 2; k++) {
            random = random * 1664525u + 1013904223u;
            copy[(random >> 8) % length] = junk[random >> 28];
        }
        if (load_text(test_context(), copy, length, &t) == PTQ_OK) {
            int32_t *ids;
            int64_t count;
            CHECK_OK(tokenizer_encode(t, "hello <a> \xc3\xa9 12", 14, &ids, &count));
            ptqi_free(test_context(), ids);
            tokenizer_free(t);
        }
    }
}

struct failing {
    int64_t left, live; /* allocations until one fails; blocks that are in use */
};

static void *failing_allocate(void *user, int64_t bytes, int64_t alignment)
{
    struct failing *f = user;
    void *pointer = NULL;
    if (f->left-- <= 0 || posix_memalign(&pointer, (size_t)alignment, (size_t)bytes))
        return NULL;
    f->live++;
    return pointer;
}

static void failing_release(void *user, void *pointer)
{
    struct failing *f = user;
    f->live--;
    free(pointer);
}

static ptq_status load_and_use(ptq_context *context)
{
    static const char text[] = "hello whole <a> e\xcc\x81 bcx hell\xff"
                               "o";
    struct tokenizer *t;
    int32_t *ids = NULL;
    int64_t count, length;
    char *back = NULL;
    ptq_status status = tokenizer_load(context, path, &t);
    if (!status)
        status = tokenizer_encode(t, text, (int64_t)strlen(text), &ids, &count);
    if (!status)
        status = tokenizer_decode(t, ids, count, &back, &length);
    ptqi_free(context, back);
    ptqi_free(context, ids);
    tokenizer_free(t);
    return status;
}

static void check_no_memory(const char *json)
{
    struct failing failing = {INT64_MAX, 0};
    ptq_context *context;
    ptq_status status =
        ptq_context_create_with_allocator(failing_allocate, failing_release, &failing, &context);
    CHECK_OK(status);
    if (status)
        return;
    write_text(json, (int64_t)strlen(json));
    int64_t before = failing.live, n = 0;
    do {
        failing.left = n++;
        status = load_and_use(context);
        CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
        CHECK_EQ(failing.live, before);
    } while (status && n < 1000);
    CHECK_OK(status);
    CHECK(n > 20); /* otherwise not every allocation was tested */
    failing.left = INT64_MAX;
    ptq_context_free(context);
    CHECK_EQ(failing.live, 0);
}

static void test_no_memory(void)
{
    check_no_memory(make_json(&(struct recipe){
        .added = "{\"content\":\"<A>\",\"id\":262,\"normalized\":true}",
        .pre_tokenizer = "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}",
        .model = "\"ignore_merges\":true,\"byte_fallback\":true",
        .root = "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
                "{\"type\":\"NFC\"},{\"type\":\"Lowercase\"},{\"type\":\"Replace\","
                "\"pattern\":{\"Regex\":\"(a|b)?c|x{2}\"},\"content\":\"he\"}]}"}));
    check_no_memory(
        "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"?\",0],[\"he\",-2],"
        "[\"l\",-1],[\"ll\",-1]]},\"pre_tokenizer\":{\"type\":\"Metaspace\","
        "\"replacement\":\"_\"},\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
        "{\"type\":\"ByteFallback\"},{\"type\":\"Strip\",\"content\":\"?\",\"start\":1,"
        "\"stop\":0},{\"type\":\"Fuse\"}]}}");
}

void test_text(void)
{
    make_path();
    test_recorded_ids();
    test_alphabet();
    test_merging();
    test_pre_tokenizers();
    test_added_tokens();
    test_invalid_utf8();
    test_long_runs();
    test_refused();
    test_refused_vocabularies();
    test_unknown_bytes();
    test_damage();
    test_no_memory();
    remove(path);
}
